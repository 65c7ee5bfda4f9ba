import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { CleanedPlane } from '../../src/cli/index.ts';
import { podInterfaceName } from '../../src/core/index.ts';
import { policyMapDefinitions } from '../../src/ebpf/index.ts';
import { noBpf } from '../ebpf/support.ts';
import { mountBpffs } from '../support/bpffs.ts';
import { RunningDaemon, run } from '../support/daemon.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: a daemon with dataplane: ebpf: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const pod = `apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec: { nodeName: test }
status: { phase: Running, podIP: 10.42.0.5 }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: default }
spec: { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] }
`;
const felix = (bpfEnabled: boolean) => `---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: { name: default }
spec: { bpfEnabled: ${bpfEnabled} }
`;

kernelTest(
	'the data plane follows the file, then FelixConfiguration, without a restart; cleanup removes it',
	async (t) => {
		enterNewNamespace();
		addInterface('eth0', ['10.80.0.1/24']);
		ip(`link add ${podInterfaceName('default', 'web')} type veth peer name pod0`);
		const mount = mountBpffs(t);
		const daemon = new RunningDaemon();
		const resources = join(daemon.folder, 'resources.yaml');
		const configure = (rest: string) =>
			daemon.configure(
				'{ asNumber: 64512, routerId: 10.80.0.1, listen: { address: 127.0.0.1, port: 21796 } }',
				`fib: { enabled: false }
networkPolicy: { enforce: true, resourceFiles: [${resources}] }
ebpf: { pinDirectory: ${mount}/bgpmesh }
${rest}`,
			);
		const becomes = (dataplane: string) =>
			daemon.until(
				`pods are judged by ${dataplane}`,
				async (control) => {
					const { dataplane: now, inSync, programmedAt, failure } = await control.ask('policy', {});
					return { now, programmed: inSync && programmedAt !== undefined, failure };
				},
				({ now, programmed }) => now === dataplane && programmed,
			);
		writeFileSync(resources, pod);
		configure('dataplane: ebpf');
		await daemon.start(t);
		await becomes('ebpf');
		t.true(existsSync(join(mount, 'bgpmesh/v1/nets')));

		configure('');
		daemon.signal('SIGHUP');
		await becomes('nftables');
		writeFileSync(resources, pod + felix(true));
		daemon.signal('SIGHUP');
		await becomes('ebpf');
		configure('dataplane: nftables');
		daemon.signal('SIGHUP');
		await becomes('nftables');
		configure('dataplane: ebpf');
		daemon.signal('SIGHUP');
		await becomes('ebpf');

		daemon.signal('SIGTERM');
		await daemon.ended();
		t.true(existsSync(join(mount, 'bgpmesh/v1/nets')), 'programs outlive the daemon');
		const { code, stdout, stderr } = await run('bgpmesh.js', ['cleanup', '--json', '--config', daemon.configFile]);
		t.is(code, 0, stderr);
		const { planes } = JSON.parse(stdout) as { readonly planes: readonly CleanedPlane[] };
		// The maps, and a link in each direction.
		const expected = Object.keys(policyMapDefinitions()).length + 2;
		t.is(planes.find(({ plane }) => plane === 'ebpf')?.removed.length, expected);
		t.false(existsSync(join(mount, 'bgpmesh')));
	},
);
