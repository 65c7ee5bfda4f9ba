/**
 * `npm run model:ipam [-- SEED OPERATIONS]`: a long history of the allocator, by default a million
 * operations; prints counts. Exit code 1 on a violation.
 */
import { IpamHistory } from '../support/ipam-history.ts';

const [seed = String(Date.now() & 0x7fffffff), operations = '1000000'] = process.argv.slice(2);
const each = 20_000;
const counts: Record<string, number> = {};
let done = 0;
process.stdout.write(`seed ${seed}, ${operations} operations\n`);
try {
	// Each part has its own history: blocks of earlier parts find no new faults.
	for (let part = 0; done < Number(operations); part++) {
		const report = await new IpamHistory(Number(seed) + part).run(Math.min(each, Number(operations) - done));
		done += report.operations;
		for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count;
		if (part % 5 === 4) process.stdout.write(`${done} operations\n`);
	}
	process.stdout.write(`${done} operations, no violation: ${JSON.stringify(counts)}\n`);
} catch (error) {
	process.stdout.write(`after ${done} operations: ${error instanceof Error ? error.stack : String(error)}\n`);
	process.exitCode = 1;
}
