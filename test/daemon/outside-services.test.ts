import test from 'ava';
import { outsideInterfaces } from '../../src/daemon/services/outside-interfaces.ts';
import { earlyByRules, hostsForPrograms } from '../../src/ebpf/index.ts';
import type { Link, LinkAddress } from '../../src/linux/index.ts';
import type { DirectionPolicy, HostEndpoint } from '../../src/policy/index.ts';

const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const link = (index: number, name: string, more: Partial<Link> = {}): Link => ({
	...{ index, name, mtuBytes: 1500, up: true, running: true, loopback: false, kind: undefined, master: undefined, mac },
	...more,
});
const address = (interfaceIndex: number, scope = 0): LinkAddress => ({
	...{ family: 'ipv4', address: Uint8Array.of(192, 0, 2, interfaceIndex), length: 24, interfaceIndex, scope },
});

const links = [
	link(1, 'lo', { loopback: true }),
	link(2, 'eth0'),
	link(3, 'bond0', { kind: 'bond' }),
	link(4, 'eth1', { master: 3 }),
	link(5, 'tunl0', { kind: 'ipip', mac: Uint8Array.of(0, 0, 0, 0) }),
	link(6, 'vxlan.calico', { kind: 'vxlan' }),
	link(7, 'cali123', { kind: 'veth' }),
	link(8, 'nodelocaldns', { kind: 'dummy' }),
	link(9, 'eth9', { up: false }),
];
const addresses = [1, 2, 3, 5, 6, 8, 9].map((index) => address(index)).concat(address(7, 253));
const names = (found: readonly { readonly name: string }[]) => found.map(({ name }) => name);

test('clients come by Ethernet interfaces with an address that other hosts reach', (t) => {
	t.deepEqual(names(outsideInterfaces(links, addresses, undefined)), ['eth0', 'bond0']);
});

test('named interfaces are taken as they are, unless they have no Ethernet header', (t) => {
	t.deepEqual(names(outsideInterfaces(links, addresses, ['eth1', 'eth9', 'tunl0', 'gone'])), ['eth1', 'eth9']);
	t.deepEqual(outsideInterfaces(links, addresses, []), []);
});

const nothing: DirectionPolicy = { id: 'd0', direction: 'ingress', tiers: [], profiles: [], otherwise: 'continue' };
const something: DirectionPolicy = {
	...nothing,
	tiers: [{ tier: 'default', policies: ['a'], defaultAction: 'deny' }],
};
const endpoint = (more: Partial<HostEndpoint>): HostEndpoint => ({
	...{ type: 'host', key: 'eth', interfaceName: 'eth0' },
	...{ normal: { ingress: nothing, egress: nothing }, forward: { ingress: nothing, egress: nothing } },
	...{ preDnat: { ingress: nothing }, untracked: { ingress: nothing, egress: nothing } },
	...more,
});

test('policies of host endpoints that judge before translation are found', (t) => {
	const of = (more: Partial<HostEndpoint>) => {
		const policy = { hosts: new Map([['eth', endpoint(more)]]), policies: new Map() };
		return {
			always: earlyByRules(policy, hostsForPrograms(policy).left),
			translating: earlyByRules(policy, hostsForPrograms(policy, 'nftables translates').left),
		};
	};
	const none = { always: undefined, translating: undefined };
	t.deepEqual(of({}), none);
	t.deepEqual(of({ normal: { ingress: something, egress: something } }), none);
	const byPrograms = { always: undefined, translating: 'eth' };
	t.deepEqual(of({ preDnat: { ingress: something } }), byPrograms);
	t.deepEqual(of({ untracked: { ingress: nothing, egress: something } }), byPrograms);
	t.deepEqual(of({ interfaceName: '*', preDnat: { ingress: something } }), { always: 'eth', translating: 'eth' });
});
