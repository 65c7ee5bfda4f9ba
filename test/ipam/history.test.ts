import test from 'ava';
import { IpamHistory } from '../support/ipam-history.ts';

const seed = Number(process.env['BGPMESH_MODEL_SEED'] ?? Date.now() & 0x7fffffff);

test('no history of pools, block sizes, restarts and foreign writers assigns an address twice or leaves one unannounced', async (t) => {
	const report = await new IpamHistory(seed).run(3000);
	t.log(`seed ${seed}: ${JSON.stringify(report)}`);
	t.true(report.operations >= 3000);
});
