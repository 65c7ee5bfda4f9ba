import test, { type ExecutionContext } from 'ava';
import { addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside } from '../../lab/frames/sockets.ts';
import {
	addMembers,
	compileHostEarly,
	compileHostEntry,
	compileRuleChain,
	EndpointKeeper,
	LoadedProgram,
	ProgramResult,
	type RuleChain,
} from '../../src/ebpf/index.ts';
import { earlyPrograms } from '../../src/ebpf/policy/early-stages.ts';
import { ProgramSlots } from '../../src/ebpf/policy/slots.ts';
import { type Direction, HostMark, type NodeSettings, type Policy } from '../../src/policy/index.ts';
import { direction, nodePolicy, policy, rule, set, settings } from '../nftables/fixtures.ts';
import { noNamespaces } from '../support/namespace.ts';
import { closeMaps, openMaps } from './bench.ts';
import { ethernetFrame, ipPacket, Tcp, type TestFrame } from './frames.ts';
import { noBpf } from './support.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: programs of host endpoints: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const namespace = `bmh${process.pid}`;
const families = {
	IPv4: { own: '10.0.0.1', other: '10.0.0.9', node: '10.0.0.2', pod: '10.1.0.2', icmp: 1, error: 3 },
	IPv6: { own: 'fd00::1', other: 'fd00::9', node: 'fd00::2', pod: 'fd00:1::2', icmp: 58, error: 1 },
} as const;
const bothFamilies = Object.entries(families);
const loopbackIndex = 1;

test.before(() => {
	if (missing !== undefined) return;
	addRouterNamespace(namespace);
	ipBatch(
		[
			'addr add 10.0.0.1/32 dev lo',
			'addr add fd00::1/128 dev lo',
			'link add d0 type veth peer name d1',
			'link set d1 up',
			'link set d0 up',
			'route add default dev d0',
			'route add ::/0 dev d0',
		],
		namespace,
	);
});
test.after.always(() => {
	if (missing === undefined) removeNamespace(namespace);
});

interface HostPolicies {
	readonly own?: readonly Policy[];
	readonly untracked?: readonly Policy[];
	readonly preDnat?: readonly Policy[];
	readonly forward?: readonly Policy[];
	readonly settings?: Partial<NodeSettings>;
	/** The packet begins with the header of IP. */
	readonly link?: 'ethernet' | 'ip';
}

/** The programs of a host endpoint, packets one by one in a namespace that has routes. */
class TestHost {
	readonly maps = openMaps();
	/** In the order in which a packet meets them. */
	readonly #programs: Readonly<Record<Direction, readonly LoadedProgram[]>>;
	readonly #link: 'ethernet' | 'ip';

	constructor({
		own = [],
		forward = [],
		untracked = [],
		preDnat = [],
		settings: changes = {},
		link = 'ethernet',
	}: HostPolicies) {
		this.#link = link;
		const all = [...own, ...forward, ...untracked, ...preDnat];
		const nodes = set('snodes', ['10.0.0.2/32', 'fd00::2/128']);
		const book = nodePolicy([], all, [nodes]);
		addMembers(this.maps, nodes, nodes.members);
		const load = (program: Parameters<typeof LoadedProgram.load>[0]) =>
			LoadedProgram.load(program, { name: 'test', type: 'schedClassifier', maps: this.maps });
		const array = this.maps.get('rule_programs');
		if (array === undefined) throw new RangeError('no array of programs');
		const slots = new ProgramSlots(array);
		const place = ({ programs }: RuleChain) => {
			const at = (family: 'ipv4' | 'ipv6') => {
				const loaded = programs[family].map(load);
				const first = slots.place(loaded);
				for (const program of loaded) program.close();
				return first;
			};
			return { ipv4: at('ipv4'), ipv6: at('ipv6') };
		};
		const chain = (toward: Direction, policies: readonly Policy[], otherwise: 'allow' | 'deny') =>
			place(
				compileRuleChain({
					policy: { ...direction(toward, policies), otherwise: policies.length === 0 ? otherwise : 'deny' },
					...{ book, settings: { endpointToHostAction: 'accept' } },
				}),
			);
		const both = (policies: readonly Policy[], otherwise: 'allow' | 'deny') => ({
			ingress: chain('ingress', policies, otherwise),
			egress: chain('egress', policies, otherwise),
		});
		const policiesOf = { untracked, 'pre-dnat': preDnat } as const;
		const early = earlyPrograms.filter(({ stage }) => policiesOf[stage].length > 0);
		new EndpointKeeper(this.maps).set({
			...{ interfaceIndex: loopbackIndex, addresses: [] },
			...{ first: both(own, 'deny'), forward: both(forward, 'allow') },
			early: early.map(({ stage, direction: toward }) => {
				const { tiers, ...rest } = direction(toward, policiesOf[stage]);
				const passing = tiers.map((tier) => ({ ...tier, defaultAction: 'pass' as const }));
				const chainPolicy = { ...rest, tiers: passing, otherwise: 'continue' as const };
				const options = { policy: chainPolicy, book, stage, settings: { endpointToHostAction: 'accept' } } as const;
				return { stage, direction: toward, places: place(compileRuleChain(options)) };
			}),
		});
		const settled = { ...settings, ...changes };
		const programs = (toward: Direction) => [
			...early
				.filter((one) => one.direction === toward)
				.map(({ stage }) => load(compileHostEarly({ stage, direction: toward, settings: settled, link }))),
			load(compileHostEntry({ direction: toward, settings: settled, link, knowsNodes: true })),
		];
		this.#programs = { ingress: programs('ingress'), egress: programs('egress') };
	}

	/** `forwarded`: on the way out, the packet came by an interface. */
	passes(toward: Direction, frame: TestFrame, forwarded = false): boolean {
		return this.mark(toward, frame, { forwarded }) !== 'dropped';
	}

	/** The mark of the packet behind all programs; `before`: its mark before. */
	mark(toward: Direction, frame: TestFrame, { forwarded = false, before = 0 } = {}): number | 'dropped' {
		const bytes = this.#link === 'ethernet' ? ethernetFrame(frame) : ipPacket(frame);
		const ingressIndex = toward === 'egress' && !forwarded ? 0 : loopbackIndex;
		let mark = before;
		for (const program of this.#programs[toward]) {
			const ran = inside(namespace, () => program.testRunMarked(bytes, { ingressIndex, mark }));
			if (ran.result === ProgramResult.drop) return 'dropped';
			if (ran.result !== ProgramResult.pass) throw new Error(`the program returned ${ran.result}`);
			mark = ran.mark;
		}
		return mark;
	}

	close(): void {
		for (const program of Object.values(this.#programs).flat()) program.close();
		closeMaps(this.maps);
	}
}

function hostOf(t: ExecutionContext, policies: HostPolicies): TestHost {
	const host = new TestHost(policies);
	t.teardown(() => host.close());
	return host;
}

const port = (number: number) => ({ ports: { ranges: [{ first: number, last: number }], sets: [] } });
const web = policy('web', [rule('allow', { protocol: 6, destination: port(80) })]);
const all = policy('all', [rule('allow')], [rule('allow')]);
const tcp = (source: string, destination: string, destinationPort: number, tcpFlags: number = Tcp.syn): TestFrame => ({
	...{ source, destination, protocol: 6, sourcePort: 40_000, destinationPort, tcpFlags },
});

for (const [family, { own, other, node, pod, icmp, error }] of bothFamilies) {
	kernelTest(
		`${family}: without a policy a host endpoint is closed, but for failsafe ports and what is forwarded`,
		(t) => {
			const host = hostOf(t, {});
			t.false(host.passes('ingress', tcp(other, own, 80)));
			t.true(host.passes('ingress', tcp(other, own, 22)), 'failsafe');
			t.true(host.passes('ingress', tcp(other, pod, 80)), 'forwarded');
			t.false(host.passes('egress', tcp(own, other, 80)));
			const dns: TestFrame = { source: own, destination: other, protocol: 17, sourcePort: 4000, destinationPort: 53 };
			t.true(host.passes('egress', dns), 'failsafe');
			t.false(host.passes('egress', { ...dns, protocol: 6 }));
			t.true(host.passes('egress', tcp(pod, other, 80), true), 'forwarded');
		},
	);

	kernelTest(`${family}: answers pass in both directions, at the hook of the other way`, (t) => {
		const host = hostOf(t, { own: [web] });
		const answer = { ...tcp(own, other, 40_000, Tcp.syn | Tcp.ack), sourcePort: 80 };
		t.false(host.passes('egress', answer));
		t.true(host.passes('ingress', tcp(other, own, 80)));
		t.true(host.passes('egress', answer));
		const opener = hostOf(t, { own: [policy('out', [], [rule('allow', { protocol: 6, destination: port(443) })])] });
		const reply = { ...tcp(other, own, 40_000, Tcp.syn | Tcp.ack), sourcePort: 443 };
		t.false(opener.passes('ingress', reply));
		t.true(opener.passes('egress', tcp(own, other, 443)));
		t.true(opener.passes('ingress', reply));
	});

	kernelTest(
		`${family}: what is forwarded is judged at each hook by the forward rules alone, without failsafe ports`,
		(t) => {
			const host = hostOf(t, { own: [all], forward: [web] });
			t.true(host.passes('ingress', tcp(other, own, 81)), 'ends here');
			t.false(host.passes('ingress', tcp(other, pod, 81)));
			t.false(host.passes('ingress', tcp(other, pod, 22)));
			t.true(host.passes('ingress', tcp(other, pod, 80)));
			t.false(host.passes('egress', tcp(other, pod, 80), true), 'allowed by the other hook does not count');
			t.true(host.passes('egress', { ...tcp(pod, other, 40_000, Tcp.ack), sourcePort: 80 }, true), 'its answer does');
		},
	);

	kernelTest(`${family}: tunnels of nodes pass, IP in IP of others does not`, (t) => {
		const host = hostOf(t, {});
		const vxlan = (source: string): TestFrame => ({
			...{ source, destination: own, protocol: 17, sourcePort: 1, destinationPort: 4789 },
		});
		t.true(host.passes('ingress', vxlan(node)));
		t.false(host.passes('ingress', vxlan(other)));
		const open = hostOf(t, { own: [all] });
		t.true(open.passes('ingress', vxlan(other)));
		t.is(open.passes('ingress', { source: node, destination: own, protocol: 4 }), family === 'IPv4');
		t.false(open.passes('ingress', { source: other, destination: own, protocol: 4 }));
	});

	kernelTest(`${family}: an ICMP error passes if it quotes a connection of either hook`, (t) => {
		const host = hostOf(t, { own: [web] });
		const request = tcp(other, own, 80);
		const quoting = (source: string, destination: string, quoted: TestFrame): TestFrame => ({
			...{ source, destination, protocol: icmp, icmp: { type: error, code: 1 }, payload: ipPacket(quoted) },
		});
		t.false(host.passes('egress', quoting(own, other, request)));
		t.true(host.passes('ingress', request));
		t.true(host.passes('egress', quoting(own, other, request)));
		const answer = { ...tcp(own, other, 40_000, Tcp.ack), sourcePort: 80 };
		t.true(host.passes('ingress', quoting(node, own, answer)), 'a router about an answer');
		t.false(host.passes('ingress', quoting(node, own, { ...answer, sourcePort: 81 })));
	});

	kernelTest(`${family}: later fragments pass after their first one`, (t) => {
		const host = hostOf(t, { own: [policy('udp', [rule('allow', { protocol: 17 })])] });
		const piece = (offset: number, more: boolean, identification: number, protocol = 17): TestFrame => ({
			...{ source: other, destination: own, protocol, sourcePort: 1, destinationPort: 9 },
			fragment: { offset, more, identification },
		});
		t.false(host.passes('ingress', piece(2, false, 7)));
		t.true(host.passes('ingress', piece(0, true, 7)));
		t.true(host.passes('ingress', piece(2, false, 7)));
		t.false(host.passes('ingress', piece(2, false, 8)));
		t.false(host.passes('ingress', piece(0, true, 9, 132)));
	});

	kernelTest(`${family}: SCTP is judged by its ports`, (t) => {
		const sctp = policy('sctp', [rule('allow', { protocol: 132, destination: port(9003) })]);
		const host = hostOf(t, { own: [sctp], forward: [sctp] });
		const packet = (destination: string, destinationPort: number): TestFrame => ({
			...{ source: other, destination, protocol: 132, sourcePort: 5000, destinationPort },
		});
		for (const destination of [own, pod]) {
			t.true(host.passes('ingress', packet(destination, 9003)));
			t.false(host.passes('ingress', packet(destination, 9004)));
			t.true(
				host.passes('egress', { ...packet(other, 5000), source: destination, sourcePort: 9003 }, destination === pod),
				'its answer',
			);
		}
		t.false(host.passes('ingress', tcp(other, own, 9003)));
	});

	kernelTest(`${family}: an interface without a link header is read from the header of IP on`, (t) => {
		const host = hostOf(t, { own: [web], link: 'ip' });
		// The kernel reads the ether type of a test packet at byte 12: a part of the source here.
		const source = family === 'IPv4' ? '8.0.0.9' : 'fd00:0:86dd::9';
		t.true(host.passes('ingress', tcp(source, own, 80)));
		t.false(host.passes('ingress', tcp(source, own, 81)));
	});
}

for (const [family, { own, other, pod, icmp, error }] of bothFamilies) {
	const port81 = policy('no-81', [rule('deny', { protocol: 6, destination: port(81) })]);
	const port80 = policy('may-80', [rule('allow', { protocol: 6, destination: port(80) })]);

	kernelTest(`${family}: preDNAT policy denies, allows past later policy, and leaves the rest to that`, (t) => {
		const host = hostOf(t, { preDnat: [port81, port80], own: [all], forward: [port81] });
		t.is(host.mark('ingress', tcp(other, own, 81)), 'dropped');
		t.is(host.mark('ingress', tcp(other, own, 82)), 0, 'ordinary policy allowed it');
		t.is(host.mark('ingress', tcp(other, own, 80)), HostMark.allowedBeforeDnat);
		t.false(host.passes('ingress', tcp(other, pod, 82)), 'forward policy has an end');
		const marked = host.mark('ingress', tcp(other, pod, 80));
		t.is(marked, HostMark.allowedBeforeDnat);
		t.is(host.mark('egress', tcp(other, pod, 80), { forwarded: true, before: HostMark.allowedBeforeDnat }), 0x100);
		t.false(host.passes('egress', tcp(other, pod, 83), true), 'without the mark');
		const closed = hostOf(t, { preDnat: [port80] });
		t.true(closed.passes('ingress', tcp(other, own, 80)));
		t.true(closed.passes('egress', { ...tcp(own, other, 40_000, Tcp.syn | Tcp.ack), sourcePort: 80 }), 'its answer');
		t.true(closed.passes('ingress', tcp(other, own, 80, Tcp.ack)));
		t.true(closed.passes('ingress', tcp(other, own, 22)), 'failsafe');
		t.false(closed.passes('ingress', tcp(other, own, 82)));
	});

	kernelTest(`${family}: preDNAT policy judges the first packet of a connection, and answers pass`, (t) => {
		const deny = policy('deny', [rule('deny')]);
		const opener = hostOf(t, { preDnat: [deny], own: [all] });
		const reply = { ...tcp(other, own, 40_000, Tcp.syn | Tcp.ack), sourcePort: 443 };
		t.false(opener.passes('ingress', reply));
		t.true(opener.passes('egress', tcp(own, other, 443)));
		t.true(opener.passes('ingress', reply), 'an answer');
		const quoting = (source: string, destination: string, quoted: TestFrame): TestFrame => ({
			...{ source, destination, protocol: icmp, icmp: { type: error, code: 1 }, payload: ipPacket(quoted) },
		});
		t.true(opener.passes('ingress', quoting(other, own, tcp(own, other, 443))), 'an error about a connection');
		t.false(opener.passes('ingress', quoting(other, own, tcp(own, other, 444))));
	});

	kernelTest(`${family}: fragments share the verdict of preDNAT policy, and of what follows`, (t) => {
		const piece = (destinationPort: number, offset: number, more: boolean, identification: number): TestFrame => ({
			...{ source: other, destination: own, protocol: 17, sourcePort: 1, destinationPort },
			fragment: { offset, more, identification },
		});
		const udp = (action: 'allow' | 'deny', number: number) => rule(action, { protocol: 17, destination: port(number) });
		const host = hostOf(t, {
			preDnat: [policy('udp', [udp('allow', 9), udp('deny', 10)])],
			own: [policy('own', [udp('allow', 11)])],
		});
		for (const [number, passes] of [
			[9, true],
			[10, false],
			[11, true],
			[12, false],
		] as const) {
			t.is(host.passes('ingress', piece(number, 2, false, number)), false, `${number} before the first one`);
			t.is(host.passes('ingress', piece(number, 0, true, number)), passes, `${number}`);
			t.is(host.passes('ingress', piece(number, 2, false, number)), passes, `${number} behind it`);
		}
	});

	kernelTest(`${family}: doNotTrack policy judges each packet of both directions, and keeps nothing`, (t) => {
		const dns = policy(
			'dns',
			[
				rule('allow', { protocol: 17, destination: port(5353) }),
				rule('deny', { protocol: 17, destination: port(5354) }),
			],
			[rule('allow', { protocol: 17, source: port(5353) })],
		);
		const host = hostOf(t, { untracked: [dns] });
		const packet = (source: string, destination: string, ports: readonly [number, number]): TestFrame => ({
			...{ source, destination, protocol: 17, sourcePort: ports[0], destinationPort: ports[1] },
		});
		t.is(host.mark('ingress', packet(other, own, [4000, 5353])), HostMark.untracked);
		t.is(
			host.mark('ingress', packet(other, pod, [4000, 5353])),
			HostMark.untracked,
			'it does not matter where it ends',
		);
		t.is(host.mark('egress', packet(own, other, [5353, 4000])), HostMark.untracked);
		t.is([...(host.maps.get('connections')?.keys() ?? [])].length, 0);
		t.false(host.passes('ingress', packet(other, own, [4000, 5354])));
		t.false(
			host.passes('ingress', packet(other, own, [4000, 5355])),
			'what no rule matches is judged by ordinary policy',
		);
		const oneWay = hostOf(t, { untracked: [policy('one', [rule('allow', { protocol: 17 })])] });
		t.true(oneWay.passes('ingress', packet(other, own, [4000, 5353])));
		t.false(oneWay.passes('egress', packet(own, other, [5353, 4000])), 'an answer needs a rule of its own');
		t.is(oneWay.mark('ingress', tcp(other, own, 22)), 0, 'failsafe ports are tracked');
		t.is(oneWay.mark('egress', { ...tcp(own, other, 40_000, Tcp.ack), sourcePort: 22 }), 0, 'and answered');
	});

	kernelTest(`${family}: fragments share the verdict of doNotTrack policy`, (t) => {
		const allows = policy('udp', [rule('allow', { protocol: 17, destination: port(9) })]);
		const host = hostOf(t, { untracked: [allows] });
		const piece = (destinationPort: number, offset: number, more: boolean): TestFrame => ({
			...{ source: other, destination: own, protocol: 17, sourcePort: 1, destinationPort },
			fragment: { offset, more, identification: destinationPort },
		});
		t.is(host.mark('ingress', piece(9, 0, true)), HostMark.untracked);
		t.is(host.mark('ingress', piece(9, 2, false)), HostMark.untracked);
		t.is(host.mark('ingress', piece(10, 0, true)), 'dropped', 'ordinary policy');
		t.is(host.mark('ingress', piece(10, 2, false)), 'dropped');
	});

	kernelTest(`${family}: a new SYN is judged by preDNAT policy, packets of its connection are not`, (t) => {
		const host = hostOf(t, { preDnat: [policy('syn', [rule('pass')])], own: [all] });
		t.is(host.mark('ingress', tcp(other, own, 82)), 0);
		const closed = hostOf(t, { preDnat: [policy('deny', [rule('deny')])], own: [all] });
		for (const [key, value] of host.maps.get('connections')?.slices().next().value ?? [])
			closed.maps.get('connections')?.set(key, value);
		t.true(closed.passes('ingress', tcp(other, own, 82, Tcp.ack)), 'an open connection outlives the change');
		t.false(closed.passes('ingress', tcp(other, own, 82)));
		t.false(closed.passes('ingress', tcp(other, own, 83, Tcp.ack)));
	});

	kernelTest(`${family}: doNotTrack is asked before preDNAT, which does not see what it allowed`, (t) => {
		const deny = policy('deny', [rule('deny')]);
		const host = hostOf(t, { untracked: [port80], preDnat: [deny] });
		t.is(host.mark('ingress', tcp(other, own, 80)), HostMark.untracked);
		t.false(host.passes('ingress', tcp(other, own, 82)));
	});

	kernelTest(`${family}: a mark of others is none of an early stage`, (t) => {
		const before = HostMark.untracked | HostMark.allowedBeforeDnat;
		for (const policies of [
			{},
			{ untracked: [port81] },
			{ preDnat: [port81] },
			{ untracked: [port81], preDnat: [port81] },
		]) {
			const host = hostOf(t, policies);
			t.is(host.mark('ingress', tcp(other, own, 82), { before }), 'dropped', JSON.stringify(Object.keys(policies)));
			t.is(host.mark('egress', tcp(own, other, 82), { before }), 'dropped');
		}
		const forwards = hostOf(t, { forward: [port80] });
		t.is(forwards.mark('egress', tcp(other, pod, 82), { forwarded: true, before }), 'dropped');
	});
}

kernelTest('neighbour discovery passes, other ICMPv6 does not', (t) => {
	const host = hostOf(t, {});
	const { own, other } = families.IPv6;
	for (const type of [133, 134, 135, 136, 143])
		t.true(host.passes('ingress', { source: other, destination: own, protocol: 58, icmp: { type, code: 0 } }));
	t.false(host.passes('ingress', { source: other, destination: own, protocol: 58, icmp: { type: 128, code: 0 } }));
});

kernelTest('what begins no connection is dropped where it ends here, and judged where it is forwarded', (t) => {
	const { own, other, pod } = families.IPv4;
	const flags = Tcp.syn | Tcp.ack;
	const strict = hostOf(t, { own: [all], forward: [all] });
	t.false(strict.passes('ingress', tcp(other, own, 80, flags)));
	t.true(strict.passes('ingress', tcp(other, pod, 80, flags)));
	const loose = hostOf(t, { own: [all], settings: { dropInvalid: false } });
	t.true(loose.passes('ingress', tcp(other, own, 80, flags)));
});

kernelTest('a failsafe port with a net is open for that net alone', (t) => {
	const host = hostOf(t, {
		settings: { failsafeInbound: [{ protocol: 6, port: 22, net: '10.0.0.8/30' as never }] },
	});
	const { own } = families.IPv4;
	t.true(host.passes('ingress', tcp('10.0.0.9', own, 22)));
	t.false(host.passes('ingress', tcp('10.0.0.13', own, 22)));
	t.false(host.passes('ingress', tcp(families.IPv6.other, families.IPv6.own, 22)));
});
