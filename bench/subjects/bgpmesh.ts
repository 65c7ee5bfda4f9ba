import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { repository } from '../compile.ts';
import type { AttributeMemory, Subject, SubjectOptions } from '../types.ts';

const program = join(repository, 'bin/bgpmeshd.js');

/** The daemon's code: the bundle that packages have, or the compiled files that a checkout runs. */
export type Form = 'bundle' | 'files';
export const forms: readonly Form[] = ['bundle', 'files'];

/** Our daemon as a user starts it: one range of reflector clients, log level info. */
export const bgpmesh = (form: Form): Subject => ({
	name: 'bgpmesh',
	missing: () => {
		const needed = form === 'files' ? 'dist/src/daemon/index.js' : 'dist/bgpmeshd/index.mjs';
		return existsSync(join(repository, needed)) ? undefined : `${needed} is not there: npm run build`;
	},
	launch: ({ address, port, asNumber, clusterId, clientRange, holdTimeSeconds, denied, folder }) => {
		const policy = `policies:
  towards-clients:
    terms:
      - { match: { prefixes: [${denied.join(', ')}] }, action: reject }
    otherwise: accept
`;
		const exported = denied.length === 0 ? '' : ', exportPolicies: [towards-clients]';
		const text = `node: bench
bgp:
  asNumber: ${asNumber}
  routerId: ${clusterId}
  clusterId: ${clusterId}
  listen: { address: ${address}, port: ${port} }
  peerRanges:
    - { name: clients, prefix: ${clientRange}, asNumber: ${asNumber}, reflectorClient: true, holdTimeSeconds: ${holdTimeSeconds}${exported} }
${denied.length === 0 ? '' : policy}fib: { enabled: false }
control: { socket: ${join(folder, 'control.sock')} }
log: { level: info }
`;
		// As a user starts it: its own first line has the flags of Node.js. Flags such as
		// --cpu-prof follow those.
		const flags = process.env['BGPMESH_BENCH_NODE_FLAGS'];
		const first = form === 'files' ? program : packagedProgram();
		const start = flags === undefined ? [first] : [process.execPath, ...ownFlags(), ...flags.split(' '), first];
		const [command = first, ...args] = start;
		return { command, args: [...args, '--config', 'bgpmesh.yaml'], files: { 'bgpmesh.yaml': text } };
	},
	async longestBlockMs(options) {
		const { longestBlockSeconds } = (await statusOf(options)).process ?? {};
		return longestBlockSeconds === undefined ? null : longestBlockSeconds * 1000;
	},
	attributeMemory: async (options) => (await statusOf(options)).rib?.attributeMemory ?? null,
});

/** The program in a folder like an installed package, without sources: there it runs the bundle. */
function packagedProgram(): string {
	const folder = join(repository, 'dist/packaged');
	mkdirSync(join(folder, 'bin'), { recursive: true });
	mkdirSync(join(folder, 'dist'), { recursive: true });
	const packaged = join(folder, 'bin/bgpmeshd.js');
	copyFileSync(program, packaged);
	copyFileSync(join(repository, 'package.json'), join(folder, 'package.json'));
	// The bundle alone: a link to all of dist would be a loop for programs that walk through it.
	const bundle = join(folder, 'dist/bgpmeshd');
	if (!existsSync(bundle)) symlinkSync('../../bgpmeshd', bundle);
	return packaged;
}

/** The measured fields of the status; absent in older versions. */
interface MeasuredStatus {
	readonly process?: { readonly longestBlockSeconds?: number };
	readonly rib?: { readonly attributeMemory?: AttributeMemory };
}

/** The figures of the metrics, from an endpoint that does not load the metrics library. */
async function statusOf({ folder }: SubjectOptions): Promise<MeasuredStatus> {
	const text = await get(join(folder, 'control.sock'), '/v1/status').catch(() => '{}');
	// The daemon's own response; docs/reference/control-api.md.
	return JSON.parse(text) as MeasuredStatus;
}

/** The flags of Node.js in its first line. */
export function ownFlags(): string[] {
	const [first = ''] = readFileSync(program, 'utf8').split('\n');
	return first.split(' ').filter((word) => word.startsWith('--'));
}

function get(socketPath: string, path: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const asked = request({ socketPath, path, timeout: 10_000 }, (response) => {
			let text = '';
			response.setEncoding('utf8');
			response.on('data', (chunk) => {
				text += chunk;
			});
			response.on('end', () => resolve(text));
		});
		asked.on('error', reject);
		asked.on('timeout', () => asked.destroy(new Error('no answer')));
		asked.end();
	});
}
