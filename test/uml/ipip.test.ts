import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { bundle, runInUml } from '../../lab/uml/index.ts';
import { umlTest } from '../support/uml.ts';

/** The titles of `inside/ipip-mesh.ts`, in its order. */
const titles = [
	'direct in the subnet, through tunl0 across, a blackhole for the own block',
	'tunl0 has the tunnel address and an MTU of 20 less than the wire',
	'pods in one subnet reach each other without the tunnel',
	'pods across subnets reach each other through the tunnel, over a router without routes to pods',
	'a node reaches a pod across subnets under its tunnel address',
	'a packet of the tunnel’s MTU passes whole, one byte more does not',
	'an address of the own block without a pod is answered by the blackhole, not sent in a loop',
	'routes of others are not touched',
	'kill -9 of the programming process leaves the routes, and a restart loses no packet and writes nothing anew',
	'a route that a former life left is swept when all is in sync, not before',
	'a tunl0 that another program changes is set up again, with its routes',
	'a smaller wire makes a smaller tunnel',
	'with ipipMode Always the tunnel is used in the subnet too, with Never the way leads over the router',
	'without nftables the missing guard is reported once, and everything else works',
];

interface Said {
	readonly title: string;
	readonly problem?: string;
}

let running: Promise<{ readonly said: readonly Said[]; readonly trouble: string }> | undefined;

/** One kernel for all statements, booted for the first one. */
function runScenario() {
	running ??= (async () => {
		const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-ipip-'));
		try {
			const file = await bundle(fileURLToPath(new URL('inside/ipip-mesh.js', import.meta.url)), folder);
			const text = { stdout: '', stderr: '' };
			let trouble = '';
			try {
				const { exitCode } = await runInUml({
					command: process.execPath,
					args: [file],
					timeoutSeconds: 240,
					onOutput: (stream, chunk) => {
						text[stream] += Buffer.from(chunk).toString();
					},
				});
				trouble = `exit code ${exitCode}: ${text.stderr}`;
			} catch (error) {
				trouble = `${String(error)}: ${text.stderr}`;
			}
			const said = text.stdout
				.split('\n')
				.filter((line) => line !== '')
				.map((line) => JSON.parse(line) as Said);
			return { said, trouble };
		} finally {
			await rm(folder, { recursive: true, force: true });
		}
	})();
	return running;
}

for (const title of titles) {
	umlTest(title, async (t) => {
		const { said, trouble } = await runScenario();
		const found = said.find((each) => each.title === title);
		t.truthy(found, `not reached: ${trouble}`);
		t.is(found?.problem, undefined);
	});
}

test('every statement from inside is a test here', async (t) => {
	const said = running === undefined ? titles : (await running).said.map(({ title }) => title);
	t.deepEqual(said, titles);
});
