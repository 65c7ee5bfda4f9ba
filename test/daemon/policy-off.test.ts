import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { podInterfaceName } from '../../src/core/index.ts';
import { namesInterface } from '../../src/daemon/policy/earlier.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { noBpf } from '../ebpf/support.ts';
import { pinDirectory } from '../support/bpffs.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: a daemon that enforces policy no more: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const resources = `apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec: { nodeName: test }
status: { phase: Running, podIP: 10.42.0.5 }
`;
const run = (command: string, ...words: string[]) =>
	execFileSync(command, words, { env: systemEnvironment(), encoding: 'utf8' });

for (const dataplane of ['nftables', 'ebpf'] as const)
	kernelTest(`a daemon with enforce: false removes what ${dataplane} enforced before`, async (t) => {
		enterNewNamespace();
		addInterface('eth0', ['10.80.0.1/24']);
		ip(`link add ${podInterfaceName('default', 'web')} type veth peer name pod0`);
		const pins = pinDirectory(t);
		const daemon = new RunningDaemon();
		const file = join(daemon.folder, 'resources.yaml');
		writeFileSync(file, resources);
		const configure = (policy: string) =>
			daemon.configure(
				'{ asNumber: 64512, routerId: 10.80.0.1, listen: { address: 127.0.0.1, port: 21798 } }',
				`fib: { enabled: false }
networkPolicy: { ${policy} }
ebpf: { pinDirectory: ${pins} }
dataplane: ${dataplane}
`,
			);
		const isJudged = () => run('nft', 'list', 'tables').includes('bgpmesh_policy') || existsSync(pins);
		for (const rest of ['', `, resourceFiles: [${file}]`]) {
			configure(`enforce: true, resourceFiles: [${file}]`);
			await daemon.start(t);
			await daemon.until(
				`pods are judged by ${dataplane}`,
				async (control) => {
					const { dataplane: now, inSync, programmedAt } = await control.ask('policy', {});
					return { now, programmed: inSync && programmedAt !== undefined };
				},
				({ now, programmed }) => now === dataplane && programmed,
			);
			t.true(isJudged());
			daemon.signal('SIGTERM');
			await daemon.ended();
			t.true(isJudged(), 'a daemon that stops leaves it');
			configure(`enforce: false${rest}`);
			await daemon.start(t);
			await eventually('nothing of it is left', () => !isJudged());
			daemon.signal('SIGTERM');
			await daemon.ended();
		}
	});

test('pins are of this network namespace if one is that of a link at one of its interfaces', (t) => {
	const links = [{ name: 'eth0.5', index: 7 }];
	t.true(namesInterface(['nets', 'host_link_eth0_5_7_egress'], links));
	t.false(namesInterface(['nets', 'link_cali1_7_ingress', 'host_link_eth0_5_8_egress', 'sockets_connect4'], links));
});
