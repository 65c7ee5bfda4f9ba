import test from 'ava';
import { compareWithKubeProxy } from '../../bench/tables/services/comparison.ts';
import { randomCase } from '../../bench/tables/services/random-cases.ts';
import { findBinary } from '../../lab/kubernetes/binaries.ts';
import { enterNewNamespace, noNamespaces } from '../support/namespace.ts';

const missing =
	noNamespaces ??
	(findBinary('kube-proxy') === undefined ? 'kube-proxy is missing: npm run setup:kube -- --cluster' : undefined);
if (missing !== undefined) console.warn(`SKIPPED: random Services beside a real kube-proxy: ${missing}`);
const comparisonTest = missing === undefined ? test.serial : test.serial.skip;

// Hundreds of cases: `npm run services:compare -- --cases 500`.
comparisonTest('packets to random Services have the same fate as with a real kube-proxy', async (t) => {
	t.timeout(300_000);
	enterNewNamespace();
	const { packets, verdicts, differences } = await compareWithKubeProxy({ seed: 1, cases: 5 });
	t.deepEqual(differences, []);
	t.is(packets, 60);
	t.true((verdicts['dnat'] ?? 0) > 0, JSON.stringify(verdicts));
	t.true((verdicts['reject'] ?? 0) > 0, JSON.stringify(verdicts));
});

test('the same seed gives the same random case, another one another', (t) => {
	t.deepEqual(randomCase(7, 3), randomCase(7, 3));
	t.notDeepEqual(randomCase(7, 3), randomCase(8, 3));
});
