/**
 * `node dist/test/fuzz/main.js SEED SECONDS|COUNTm`: fuzzes the readers of resources and the HTTP
 * entries, and prints counts. Exit code 1 on a failure.
 */
import { fuzzHttp } from './http.ts';
import { fuzzObjects } from './objects.ts';
import type { Budget, FuzzReport } from './random.ts';

const [seed = String(Date.now() & 0x7fffffff), given = '60'] = process.argv.slice(2);
// A request takes hundreds of times as long as a BGP message.
const share = (part: number): Budget =>
	given.endsWith('m')
		? { inputs: Math.max(1000, Math.ceil(Number(given.slice(0, -1)) / part)) }
		: { seconds: Math.max(5, Number(given) / 8) };

process.stdout.write(`seed ${seed}\n`);
let failed = false;
const print = ({ target, inputs, counts, failures }: FuzzReport) => {
	process.stdout.write(`${target}: ${inputs} inputs, ${JSON.stringify(counts)}, ${failures.length} failures\n`);
	for (const failure of failures) process.stdout.write(`  ${failure}\n`);
	failed ||= failures.length > 0;
};
print(fuzzObjects(Number(seed), share(10)));
for (const report of await fuzzHttp(Number(seed), share(100))) print(report);
process.exitCode = failed ? 1 : 0;
