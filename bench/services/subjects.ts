import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startKubeProxy } from '../../lab/kubernetes/kube-proxy.ts';
import { systemEnvironment } from '../../src/linux/index.ts';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');

/** The measured programs. */
export type SubjectName = 'bgpmesh' | 'kube-proxy';

/** Starts a subject in this network namespace; its output is written to a file in `folder`. */
export function startSubject(name: SubjectName, folder: string, kubeconfig: string): ChildProcess {
	switch (name) {
		case 'bgpmesh': {
			const config = join(folder, 'bgpmeshd.yaml');
			writeFileSync(
				config,
				[
					'node: node-a',
					`datastore: { type: kubernetes, kubeconfig: ${kubeconfig} }`,
					'bgp: { asNumber: 64512, routerId: 10.0.1.2, listen: { address: 10.0.1.2, port: 179 } }',
					`control: { socket: ${join(folder, 'control.sock')} }`,
					'services: { proxy: true, podRanges: [ 10.42.0.0/16 ] }',
					'log: { level: info }',
					'',
				].join('\n'),
			);
			// As a service manager does it: the first line of the file has options of Node.js.
			return spawn(join(root, 'bin/bgpmeshd.js'), ['--config', config], {
				stdio: ['ignore', 'inherit', 'pipe'],
				env: systemEnvironment(),
			});
		}
		case 'kube-proxy':
			return startKubeProxy({ mode: 'nftables', kubeconfig, node: 'node-a', podCidrs: ['10.42.0.0/16'], folder });
		default:
			return name satisfies never;
	}
}
