import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { repository } from '../compile.ts';
import type { Subject } from '../types.ts';

const program = join(repository, 'bin/bgpmeshd.js');

/** Our daemon as a user would start it: one range of reflector clients, log level info. */
export const bgpmesh: Subject = {
	name: 'bgpmesh',
	missing: () => (existsSync(program) ? undefined : 'bin/bgpmeshd.js is not there'),
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
		// Its own first line says how Node.js is to be run.
		const flags = process.env['BGPMESH_BENCH_NODE_FLAGS'];
		return {
			command: program,
			args: ['--config', 'bgpmesh.yaml'],
			files: { 'bgpmesh.yaml': text },
			...(flags === undefined ? {} : { env: { NODE_OPTIONS: flags } }),
		};
	},
	async longestBlockMs({ folder }) {
		// The same figure as the metric `bgpmesh_event_loop_longest_block_seconds`, where asking does not first load what makes metrics.
		const text = await get(join(folder, 'control.sock'), '/v1/status').catch(() => '{}');
		// The daemon's own answer; docs/control-api.md.
		const { process } = JSON.parse(text) as { readonly process?: { readonly longestBlockSeconds?: number } };
		return process?.longestBlockSeconds === undefined ? null : process.longestBlockSeconds * 1000;
	},
};

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
