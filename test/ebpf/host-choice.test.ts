import test from 'ava';
import { hostConnectionEntries, hostLinks, hostsForPrograms, presentHosts } from '../../src/ebpf/index.ts';
import { connectionKey } from '../../src/ebpf/policy/take-over.ts';
import { type Flow, FlowStatus, type Link } from '../../src/linux/index.ts';
import { type HostEndpoint, hostPortsOf, type Policy } from '../../src/policy/index.ts';
import { direction, nets, nodePolicy, policy, rule } from '../nftables/fixtures.ts';

const some = policy('some', [rule('allow')], [rule('allow')]);
const bySource = policy('by-source', [], [rule('allow', { source: { nets: nets('10.0.0.0/8') } })]);
const none = { ingress: direction('ingress', []), egress: direction('egress', []) };
const both = (...policies: Policy[]) => ({
	ingress: direction('ingress', policies),
	egress: direction('egress', policies),
});

const host = (interfaceName: string, changes: Partial<HostEndpoint> = {}): HostEndpoint => ({
	...{ type: 'host', key: interfaceName, interfaceName, normal: both(some), forward: none },
	...{ preDnat: { ingress: direction('ingress', []) }, untracked: none, ...changes },
});

function choice(hosts: readonly HostEndpoint[], translator?: string) {
	const all = new Map(hosts.map((one) => [one.key, one]));
	const { programs, left } = hostsForPrograms(nodePolicy([], [some, bySource], [], { hosts: all }), translator);
	return { programs: [...programs.keys()], left: [...left.keys()] };
}

test('ordinary and forward policy of an interface is for programs', (t) => {
	t.deepEqual(choice([host('eth0'), host('eth1', { forward: both(some) }), host('*')]), {
		...{ programs: ['eth0', 'eth1', '*'], left: [] },
	});
});

test('policy before translation is for programs where it names an interface', (t) => {
	const preDnat = { ingress: direction('ingress', [some]) };
	const untracked = both(some);
	const hosts = [
		host('eth0', { preDnat }),
		host('eth1', { untracked }),
		host('eth2', { preDnat, untracked }),
		host('*'),
	];
	t.deepEqual(choice(hosts), { programs: ['eth0', 'eth1', 'eth2', '*'], left: [] });
});

test('what programs at interfaces can not judge as nftables does stays there', (t) => {
	const preDnat = { ingress: direction('ingress', [some]) };
	t.deepEqual(choice([host('*', { preDnat }), host('eth0', { preDnat })]).left, ['*', 'eth0'], 'all of it');
	t.deepEqual(choice([host('*', { forward: both(some) }), host('eth0')]), { programs: ['eth0'], left: ['*'] });
	t.deepEqual(choice([host('*', { preDnat }), host('eth0')]).left, ['*', 'eth0'], 'it holds for eth0 as well');
	t.deepEqual(choice([host('eth0', { forward: both(bySource) })]).left, ['eth0'], 'masquerade');
	t.deepEqual(choice([host('eth0', { normal: both(bySource) })]).left, []);
	t.deepEqual(choice([host('eth0')], 'nftables translates').left, ['eth0']);
});

const link = (index: number, name: string, changes: Partial<Link> = {}): Link => ({
	...{ index, name, mtuBytes: 1500, up: true, running: true, loopback: false, kind: undefined, master: undefined },
	...{ mac: new Uint8Array(6), ...changes },
});

test('interfaces of the host: no loopback, no pod, no part of a bridge or bond', (t) => {
	const links = hostLinks([
		link(1, 'lo', { loopback: true }),
		link(2, 'eth0'),
		link(3, 'eth1', { master: 4 }),
		link(4, 'bond0', { kind: 'bond' }),
		link(5, 'cali1234', { kind: 'veth' }),
		link(6, 'tunl0', { kind: 'ipip', mac: new Uint8Array(4) }),
		link(7, 'ib0', { mac: new Uint8Array(20) }),
	]);
	t.deepEqual(
		links.map(({ name, link: kind }) => `${name} ${kind}`),
		['eth0 ethernet', 'bond0 ethernet', 'tunl0 ip'],
	);
	const hosts = new Map(['eth0', '*'].map((name) => [name, host(name)]));
	t.deepEqual(
		presentHosts({ hosts }, links).map((one) => `${one.at.name} ${one.host.key}`),
		['eth0 eth0', 'bond0 *', 'tunl0 *'],
	);
	t.deepEqual(presentHosts({ hosts: new Map([['eth9', host('eth9')]]) }, links), []);
});

test('connections of the kernel: as they come in, and as they leave behind translation', (t) => {
	const address = (text: string) => Uint8Array.from(text.split('.').map(Number));
	const flow: Flow = {
		...{ family: 'ipv4', status: FlowStatus.seenReply, mark: 0 },
		original: {
			...{ source: address('192.0.2.9'), destination: address('10.0.0.1'), protocol: 6 },
			...{ sourcePort: 4000, destinationPort: 30_080 },
		},
		reply: {
			...{ source: address('10.1.0.2'), destination: address('10.0.0.1'), protocol: 6 },
			...{ sourcePort: 8080, destinationPort: 5000 },
		},
	} as Flow;
	const left = {
		...{ source: flow.reply.destination, destination: flow.reply.source, protocol: 6 },
		...{ sourcePort: 5000, destinationPort: 8080 },
	};
	t.deepEqual(
		hostConnectionEntries([flow], 7n).map(({ key }) => key),
		[connectionKey(0xffff_fffe, 'ipv4', flow.original), connectionKey(0xffff_ffff, 'ipv4', left)],
	);
});

test('host ports of the CNI plugin portmap are seen by its chains or its table', (t) => {
	t.is(hostPortsOf({ nftTables: ['inet bgpmesh_policy'], chains: ['KUBE-MARK-MASQ'] }), undefined);
	t.regex(hostPortsOf({ nftTables: [], chains: ['CNI-HOSTPORT-DNAT'] }) ?? '', /CNI-HOSTPORT-DNAT/);
	t.regex(hostPortsOf({ nftTables: ['inet cni_hostport'], chains: [] }) ?? '', /cni_hostport/);
});
