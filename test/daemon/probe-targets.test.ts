import test from 'ava';
import { parseConfig } from '../../src/config/index.ts';
import type { NodeState } from '../../src/daemon/node-state.ts';
import { probeTargetsOf } from '../../src/daemon/probe-targets.ts';
import type { ProbeTarget } from '../../src/tunnel-probe/index.ts';

const dependencies = {
	interfaces: [{ device: 'eth0', address: '10.0.1.2/24' }],
	links: [
		{ name: 'vxlan.calico', mtuBytes: 1450, up: true },
		{ name: 'tunl0', mtuBytes: 1480, up: true },
	],
	tunnelDevice: 'tunl0',
};

const stateOf = (vxlanMode: string): NodeState => ({
	node: 'node-a',
	config: parseConfig(
		`bgp: { asNumber: 64512 }
pools: [ { cidr: 172.30.0.0/16, ipipMode: Never, vxlanMode: ${vxlanMode} } ]
vxlan:
  nodeAddresses: [ 10.0.1.2 ]
  nodes:
    - { name: near, address: 10.0.1.3, tunnelAddress: 172.30.3.0 }
    - { name: far, address: 10.0.2.2, tunnelAddress: 172.30.2.0 }
`,
		'test.yaml',
	),
	cluster: undefined,
});

const far: ProbeTarget = {
	node: 'far',
	family: 'ipv4',
	tunnelAddress: '172.30.2.0',
	nodeAddress: '10.0.2.2',
	device: 'vxlan.calico',
	mtuBytes: 1450,
};
const near: ProbeTarget = { ...far, node: 'near', tunnelAddress: '172.30.3.0', nodeAddress: '10.0.1.3' };

const modes: Readonly<Record<string, ProbeTarget[]>> = { Always: [near, far], CrossSubnet: [far], Never: [] };
for (const [vxlanMode, expected] of Object.entries(modes))
	test(`with vxlanMode ${vxlanMode} the tunnels to ${expected.length} nodes are probed`, (t) => {
		t.deepEqual(probeTargetsOf(stateOf(vxlanMode), dependencies), expected);
	});

test('a device that is down or absent is not probed', (t) => {
	const links = [{ name: 'vxlan.calico', mtuBytes: 1450, up: false }];
	t.deepEqual(probeTargetsOf(stateOf('Always'), { ...dependencies, links }), []);
	t.deepEqual(probeTargetsOf(stateOf('Always'), { ...dependencies, links: [] }), []);
});
