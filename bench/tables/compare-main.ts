/**
 * `npm run services:compare -- [--cases N] [--seed N] [--json]`: random Services and EndpointSlices
 * given to a real kube-proxy and to our nftables rules; the fates of real packets are compared.
 * Exit code 0: all the same, 1: differences, 2: not run.
 */
import { parseArgs } from 'node:util';
import { findBinary } from '../../lab/kubernetes/binaries.ts';
import { check, libc } from '../../src/linux/index.ts';
import { compareWithKubeProxy } from './services/comparison.ts';

const newNetwork = 0x40000000;

async function main(): Promise<number> {
	const { values } = parseArgs({
		options: {
			cases: { type: 'string', default: '100' },
			seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
			json: { type: 'boolean', default: false },
		},
	});
	const [cases, seed] = [Number(values.cases), Number(values.seed)];
	if (!Number.isInteger(cases) || cases < 1 || !Number.isInteger(seed)) {
		process.stderr.write('usage: npm run services:compare -- [--cases N] [--seed N] [--json]\n');
		return 2;
	}
	if (findBinary('kube-proxy') === undefined) {
		process.stderr.write('kube-proxy is missing: npm run setup:kube -- --cluster\n');
		return 2;
	}
	check('unshare', libc().unshare(newNetwork));
	const result = await compareWithKubeProxy({ seed, cases }, (index) => {
		if ((index + 1) % 10 === 0) process.stderr.write(`${index + 1} of ${cases} cases\n`);
	});
	if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
	else {
		for (const { id, title, from, to, probe, expected, actual } of result.differences)
			process.stdout.write(`${id} (${title}): ${from} -> ${to} ${probe}: kube-proxy ${expected}, ours ${actual}\n`);
		const verdicts = Object.entries(result.verdicts).map(([name, count]) => `${name} ${count}`);
		process.stdout.write(
			`seed ${seed}: ${cases} cases, ${result.packets} packets (${verdicts.join(', ')}), ` +
				`${result.differences.length} differences\n`,
		);
	}
	return result.differences.length === 0 ? 0 : 1;
}

try {
	process.exit(await main());
} catch (error) {
	process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
	process.exit(2);
}
