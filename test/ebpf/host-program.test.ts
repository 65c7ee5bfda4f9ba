import test, { type ExecutionContext } from 'ava';
import { addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside } from '../../lab/frames/sockets.ts';
import {
	addMembers,
	compileHostEntry,
	compileRuleChain,
	EndpointKeeper,
	LoadedProgram,
	ProgramResult,
	type RuleChain,
} from '../../src/ebpf/index.ts';
import { ProgramSlots } from '../../src/ebpf/policy/slots.ts';
import type { Direction, NodeSettings, Policy } from '../../src/policy/index.ts';
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
	readonly forward?: readonly Policy[];
	readonly settings?: Partial<NodeSettings>;
	/** The packet begins with the header of IP. */
	readonly link?: 'ethernet' | 'ip';
}

/** The programs of a host endpoint, packets one by one in a namespace that has routes. */
class TestHost {
	readonly maps = openMaps();
	readonly #entries: Readonly<Record<Direction, LoadedProgram>>;
	readonly #link: 'ethernet' | 'ip';

	constructor({ own = [], forward = [], settings: changes = {}, link = 'ethernet' }: HostPolicies) {
		this.#link = link;
		const all = [...own, ...forward];
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
		new EndpointKeeper(this.maps).set({
			...{ interfaceIndex: loopbackIndex, addresses: [] },
			...{ first: both(own, 'deny'), forward: both(forward, 'allow') },
		});
		const entry = (toward: Direction) =>
			load(compileHostEntry({ direction: toward, settings: { ...settings, ...changes }, link, knowsNodes: true }));
		this.#entries = { ingress: entry('ingress'), egress: entry('egress') };
	}

	/** `forwarded`: on the way out, the packet came by an interface. */
	passes(toward: Direction, frame: TestFrame, forwarded = false): boolean {
		const bytes = this.#link === 'ethernet' ? ethernetFrame(frame) : ipPacket(frame);
		const result = inside(namespace, () =>
			this.#entries[toward].testRun(bytes, { ingressIndex: toward === 'egress' && !forwarded ? 0 : loopbackIndex }),
		);
		if (result === ProgramResult.pass) return true;
		if (result === ProgramResult.drop) return false;
		throw new Error(`the program returned ${result}`);
	}

	close(): void {
		for (const program of Object.values(this.#entries)) program.close();
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
