import test from 'ava';
import { fuzzHttp } from './http.ts';
import { fuzzObjects } from './objects.ts';
import type { FuzzReport } from './random.ts';

/** Bounded; `npm run fuzz` runs for the requested time. */
const seed = Number(process.env['BGPMESH_FUZZ_SEED'] ?? Date.now() & 0x7fffffff);
const summary = ({ target, inputs, counts }: FuzzReport) =>
	`${target}: seed ${seed}, ${inputs} inputs, ${JSON.stringify(counts)}`;

test('any object of a cluster is read or refused by every reader of resources', (t) => {
	const report = fuzzObjects(seed, { inputs: 3000 });
	t.log(summary(report));
	t.deepEqual(report.failures, []);
	t.is(report.inputs, 3000);
});

test.serial('any request to an HTTP entry gets a response or the end of the connection', async (t) => {
	for (const report of await fuzzHttp(seed, { inputs: 300 })) {
		t.log(summary(report));
		t.deepEqual(report.failures, []);
		t.is(report.inputs, 300);
	}
});
