import test, { type ExecutionContext } from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import {
	addMembers,
	compileRuleChain,
	counterKey,
	decodeEvent,
	Layout,
	listProgram,
	ProgramTooLargeError,
	type RuleChain,
	removeMembers,
	Switch,
} from '../../src/ebpf/index.ts';
import { RingBuffer } from '../../src/ebpf/kernel/ring-buffer.ts';
import { Flag } from '../../src/ebpf/policy/connection.ts';
import type { Policy } from '../../src/policy/index.ts';
import { direction, nets, nodePolicy, policy, rule, set, settings, workload } from '../nftables/fixtures.ts';
import { closeMaps, type EndpointOptions, openMaps, TestEndpoint } from './bench.ts';
import { ethernetFrame, ipPacket, Tcp, type TestFrame } from './frames.ts';
import { noBpf } from './support.ts';

if (noBpf !== undefined) console.warn(`SKIPPED: policy programs in the kernel: ${noBpf}`);
const kernelTest = noBpf === undefined ? test : test.skip;

const pod = '10.1.0.2';
const pod6 = 'fd00:1::2';
const other = '10.2.0.9';
const other6 = 'fd00:2::9';

/** An endpoint with these policies in both directions; cleaned up after the test. */
function endpointOf(
	t: ExecutionContext,
	policies: readonly Policy[],
	changes: Partial<EndpointOptions> = {},
): TestEndpoint {
	const maps = changes.maps ?? openMaps();
	const endpoint = new TestEndpoint({
		maps,
		ingress: direction('ingress', policies),
		egress: direction('egress', policies),
		book: nodePolicy([workload('a', pod, policies)], policies, []),
		addresses: [pod, pod6],
		...changes,
	});
	t.teardown(() => {
		endpoint.close();
		if (changes.maps === undefined) closeMaps(maps);
	});
	return endpoint;
}

const web = policy('web', [
	rule('allow', { protocol: 6, destination: { ports: { ranges: [{ first: 80, last: 80 }], sets: [] } } }),
]);
const toWeb: TestFrame = { source: other, destination: pod, protocol: 6, sourcePort: 40_000, destinationPort: 80 };
const fromWeb: TestFrame = { source: pod, destination: other, protocol: 6, sourcePort: 80, destinationPort: 40_000 };
const reversed = ({ source, destination, sourcePort, destinationPort }: TestFrame): Partial<TestFrame> => ({
	...{ source: destination, destination: source },
	...(sourcePort === undefined ? {} : { destinationPort: sourcePort }),
	...(destinationPort === undefined ? {} : { sourcePort: destinationPort }),
});
const udp = policy('udp', [rule('allow', { protocol: 17 })], [rule('allow', { protocol: 17 })]);
const echo = policy('echo', [rule('allow', { protocol: 1 }), rule('allow', { protocol: 58 })]);

kernelTest('replies pass without a rule, and only in answer to a connection', (t) => {
	const endpoint = endpointOf(t, [web]);
	const synAck = { ...fromWeb, tcpFlags: Tcp.syn | Tcp.ack };
	t.false(endpoint.passes('egress', synAck));
	t.true(endpoint.passes('ingress', toWeb));
	t.true(endpoint.passes('egress', synAck));
	t.false(endpoint.passes('egress', { ...synAck, destinationPort: 40_001 }));
	t.false(endpoint.passes('egress', { ...synAck, destination: '10.2.0.10' }));
	t.true(endpoint.passes('ingress', { ...toWeb, tcpFlags: Tcp.ack }));
	t.is(endpoint.connections, 1);
});

kernelTest('an endpoint has its own connections: one that another pod allowed does not count', (t) => {
	const endpoint = endpointOf(t, [web]);
	const closed = endpointOf(t, [policy('none', [])], { maps: endpoint.maps });
	t.true(endpoint.passes('ingress', toWeb));
	t.true(closed.passes('ingress', toWeb));
	const connections = endpoint.maps.get('connections');
	for (const key of [...(connections?.keys() ?? [])]) {
		const value = connections?.get(key);
		connections?.delete(key);
		// The same connection at another interface.
		new DataView(key.buffer).setUint32(0, 2, true);
		if (value !== undefined) connections?.set(key, value);
	}
	t.false(closed.passes('ingress', toWeb));
});

kernelTest('TCP packets that start no connection are invalid unless the setting permits them', (t) => {
	const all = policy('all', [rule('allow')]);
	const strict = endpointOf(t, [all]);
	const loose = endpointOf(t, [all], { settings: { dropInvalid: false } });
	for (const tcpFlags of [Tcp.syn | Tcp.ack, Tcp.reset, Tcp.fin | Tcp.ack, 0]) {
		t.false(strict.passes('ingress', { ...toWeb, tcpFlags }), String(tcpFlags));
		t.true(loose.passes('ingress', { ...toWeb, tcpFlags }), String(tcpFlags));
	}
	t.true(strict.passes('ingress', { ...toWeb, tcpFlags: Tcp.ack }));
});

kernelTest('a connection that ended is evaluated again at its next SYN', (t) => {
	for (const end of ['fin', 'reset'] as const) {
		const maps = openMaps();
		t.teardown(() => closeMaps(maps));
		const before = endpointOf(t, [web], { maps });
		const after = endpointOf(t, [policy('none', [])], { maps });
		t.true(before.passes('ingress', toWeb));
		t.true(before.passes('egress', { ...fromWeb, tcpFlags: Tcp.syn | Tcp.ack }));
		// Open connections survive a change of the policy.
		t.true(after.passes('ingress', { ...toWeb, tcpFlags: Tcp.ack }));
		t.true(after.passes('ingress', toWeb));
		if (end === 'reset') t.true(after.passes('egress', { ...fromWeb, tcpFlags: Tcp.reset }));
		else {
			t.true(after.passes('egress', { ...fromWeb, tcpFlags: Tcp.fin | Tcp.ack }));
			t.true(after.passes('ingress', toWeb));
			t.true(after.passes('ingress', { ...toWeb, tcpFlags: Tcp.fin | Tcp.ack }));
		}
		t.true(after.passes('egress', { ...fromWeb, tcpFlags: Tcp.ack }));
		t.false(after.passes('ingress', toWeb), end);
	}
});

kernelTest('packets that look like those of a known connection are read as any other', (t) => {
	const endpoint = endpointOf(t, [udp]);
	for (const [source, destination] of [
		[other, pod],
		[other6, pod6],
	] as const) {
		const question = { source, destination, protocol: 17, sourcePort: 40_000, destinationPort: 53 };
		t.true(endpoint.passes('ingress', question));
		t.true(endpoint.passes('egress', { ...question, ...reversed(question) }));
		t.true(endpoint.passes('ingress', { ...question, extensions: source === other ? [1] : [60] }));
		const frame = ethernetFrame(question);
		const transport = source === other ? 34 : 54;
		t.false(endpoint.passes('ingress', frame.subarray(0, transport + 3)), 'cut off inside of the ports');
		// The first bytes behind the header of IP are the ports of the connection, and are none here.
		const later = ethernetFrame({ ...question, fragment: { offset: 1, more: false, identification: 7 } });
		later.set(frame.subarray(transport, transport + 4), transport + (source === other ? 0 : 8));
		t.false(endpoint.passes('ingress', later), 'a later fragment without its first one');
		const version = frame.slice();
		version[14] = 0x55;
		t.false(endpoint.passes('ingress', version), 'version 5');
		const before = endpoint.connections;
		t.true(endpoint.passes('ingress', { ...question, protocol: 17, sourcePort: 53, destinationPort: 53 }));
		t.is(endpoint.connections, before + 1);
	}
	t.is(endpoint.connections, 4);
});

kernelTest('packets of a connection that was cut are dropped in both directions, a new SYN is judged', (t) => {
	const maps = openMaps();
	t.teardown(() => closeMaps(maps));
	const open = endpointOf(t, [web], { maps });
	const closed = endpointOf(t, [policy('none', [])], { maps });
	t.true(open.passes('ingress', toWeb));
	const connections = maps.get('connections');
	for (const key of [...(connections?.keys() ?? [])]) {
		const value = connections?.get(key);
		if (value === undefined) continue;
		new DataView(value.buffer).setUint32(Layout.connectionValue.flags, Flag.cut, true);
		connections?.set(key, value);
	}
	t.false(open.passes('ingress', { ...toWeb, tcpFlags: Tcp.ack }));
	t.false(open.passes('egress', { ...fromWeb, tcpFlags: Tcp.syn | Tcp.ack }));
	t.false(closed.passes('ingress', toWeb));
	t.true(open.passes('ingress', toWeb));
	t.true(open.passes('egress', { ...fromWeb, tcpFlags: Tcp.syn | Tcp.ack }));
});

kernelTest('a connection whose last packet is too old is evaluated again', (t) => {
	const maps = openMaps();
	t.teardown(() => closeMaps(maps));
	const before = endpointOf(t, [web, udp], { maps });
	const after = endpointOf(t, [policy('none', [])], { maps });
	const datagram: TestFrame = { ...toWeb, protocol: 17 };
	for (const frame of [toWeb, datagram]) {
		t.true(before.passes('ingress', frame));
		t.true(after.passes('ingress', frame));
		const connections = maps.get('connections');
		for (const key of [...(connections?.keys() ?? [])]) {
			const value = connections?.get(key);
			if (value === undefined) continue;
			const view = new DataView(value.buffer);
			// Unanswered: TCP 120 s, UDP 30 s.
			const seconds = frame.protocol === 6 ? 121n : 31n;
			view.setBigUint64(0, view.getBigUint64(0, true) - seconds * 1_000_000_000n, true);
			connections?.set(key, value);
		}
		t.false(after.passes('ingress', frame));
	}
});

/** The states of a connection, by the packets that lead to each behind the first, with the seconds that it may be silent. */
const answer = { ...fromWeb, tcpFlags: Tcp.syn | Tcp.ack };
const datagrams = { question: { ...toWeb, protocol: 17 }, answer: { ...fromWeb, protocol: 17 } };
for (const [state, first, more, next, seconds] of [
	['unanswered TCP', toWeb, [], { ...toWeb, tcpFlags: Tcp.ack }, 120],
	['answered TCP', toWeb, [answer], { ...toWeb, tcpFlags: Tcp.ack }, 86_400],
	[
		'TCP with both FIN',
		toWeb,
		[answer, { ...toWeb, tcpFlags: Tcp.fin | Tcp.ack }, { ...fromWeb, tcpFlags: Tcp.fin | Tcp.ack }],
		{ ...toWeb, tcpFlags: Tcp.ack },
		120,
	],
	[
		'TCP with one FIN',
		toWeb,
		[answer, { ...toWeb, tcpFlags: Tcp.fin | Tcp.ack }],
		{ ...toWeb, tcpFlags: Tcp.ack },
		86_400,
	],
	['TCP after RST', toWeb, [answer, { ...fromWeb, tcpFlags: Tcp.reset }], { ...toWeb, tcpFlags: Tcp.ack }, 10],
	['unanswered UDP', datagrams.question, [], datagrams.question, 30],
	['answered UDP', datagrams.question, [datagrams.answer], datagrams.question, 180],
] as const satisfies readonly (readonly [string, TestFrame, readonly TestFrame[], TestFrame, number])[])
	kernelTest(`${state} is known for ${seconds} seconds of silence`, (t) => {
		const maps = openMaps();
		t.teardown(() => closeMaps(maps));
		const before = endpointOf(t, [web, udp], { maps });
		const after = endpointOf(t, [policy('none', [])], { maps });
		const connections = maps.get('connections');
		for (const [silence, passes] of [
			[seconds - 5, true],
			[seconds + 5, false],
		] as const) {
			before.forgetConnections();
			t.true(before.passes('ingress', first));
			for (const frame of more) t.true(before.passes(frame.source === pod ? 'egress' : 'ingress', frame));
			for (const key of [...(connections?.keys() ?? [])]) {
				const value = connections?.get(key);
				if (value === undefined) continue;
				const view = new DataView(value.buffer);
				view.setBigUint64(0, view.getBigUint64(0, true) - BigInt(silence) * 1_000_000_000n, true);
				connections?.set(key, value);
			}
			t.is(after.passes('ingress', next), passes, `${silence} s`);
		}
	});

for (const [family, own, far, protocol, request, reply] of [
	['IPv4', pod, other, 1, 8, 0],
	['IPv6', pod6, other6, 58, 128, 129],
] as const)
	kernelTest(
		`an echo reply of ${family} answers a request of the same identifier, and a request never counts as one`,
		(t) => {
			const endpoint = endpointOf(t, [echo]);
			const message = (source: string, destination: string, type: number, identifier: number): TestFrame => ({
				source,
				destination,
				protocol,
				icmp: { type, code: 0, identifier },
			});
			t.false(endpoint.passes('egress', message(own, far, reply, 5)));
			t.true(endpoint.passes('ingress', message(far, own, request, 5)));
			t.true(endpoint.passes('egress', message(own, far, reply, 5)));
			t.false(endpoint.passes('egress', message(own, far, reply, 6)));
			t.false(endpoint.passes('egress', message(own, far, request, 5)));
		},
	);

for (const [family, own, far, protocol, type] of [
	['IPv4', pod, other, 1, 3],
	['IPv6', pod6, other6, 58, 2],
] as const)
	kernelTest(`an ICMP error of ${family} passes if it quotes a connection`, (t) => {
		const endpoint = endpointOf(t, [web, udp]);
		const router = family === 'IPv4' ? '10.9.0.1' : 'fd00:9::1';
		const datagram: TestFrame = { source: far, destination: own, protocol: 17, sourcePort: 53, destinationPort: 5353 };
		const error = (quoted: TestFrame, source: string, destination: string): TestFrame => ({
			source,
			destination,
			protocol,
			icmp: { type, code: 1 },
			payload: ipPacket(quoted),
		});
		t.false(endpoint.passes('egress', error(datagram, own, far)));
		t.true(endpoint.passes('ingress', datagram));
		t.true(endpoint.passes('egress', error(datagram, own, far)));
		// A router reports an error about a reply of the pod.
		const answer = { source: own, destination: far, protocol: 17, sourcePort: 5353, destinationPort: 53 };
		t.true(endpoint.passes('ingress', error(answer, router, own)));
		t.false(endpoint.passes('ingress', error({ ...answer, destinationPort: 54 }, router, own)));
	});

for (const [family, own, far] of [
	['IPv4', pod, other],
	['IPv6', pod6, other6],
] as const)
	kernelTest(`later fragments of ${family} pass after their first one`, (t) => {
		const endpoint = endpointOf(t, [udp]);
		const piece = (offset: number, more: boolean, identification: number, protocol = 17): TestFrame => ({
			source: far,
			destination: own,
			protocol,
			sourcePort: 1,
			destinationPort: 2,
			fragment: { offset, more, identification },
		});
		t.false(endpoint.passes('ingress', piece(1, false, 100)));
		t.true(endpoint.passes('ingress', piece(0, true, 100)));
		t.true(endpoint.passes('ingress', piece(1, true, 100)));
		t.true(endpoint.passes('ingress', piece(2, false, 100)));
		t.false(endpoint.passes('ingress', piece(1, false, 101)));
		t.false(
			endpoint.passes('ingress', { ...piece(1, false, 100), source: family === 'IPv4' ? '10.2.0.8' : 'fd00:2::8' }),
		);
		// A denied first fragment lets no later one pass.
		t.false(endpoint.passes('ingress', piece(0, true, 102, 6)));
		t.false(endpoint.passes('ingress', piece(1, false, 102, 6)));
	});

kernelTest('extension headers of IPv6 and options of IPv4 hide no port; too many are dropped', (t) => {
	const endpoint = endpointOf(t, [web]);
	const frame: TestFrame = { ...toWeb, source: other6, destination: pod6 };
	const extensions = [0, 60, 43, 60];
	t.true(endpoint.passes('ingress', { ...frame, extensions }));
	t.false(endpoint.passes('ingress', { ...frame, sourcePort: 1, destinationPort: 81, extensions }));
	t.true(endpoint.passes('ingress', { ...frame, extensions: [0, 60, 60, 60, 60, 60] }));
	t.false(endpoint.passes('ingress', { ...frame, extensions: [0, 60, 60, 60, 60, 60, 60] }));
	t.true(endpoint.passes('ingress', { ...toWeb, sourcePort: 2, extensions: [1, 1] }));
	t.false(endpoint.passes('ingress', { ...toWeb, sourcePort: 2, destinationPort: 81, extensions: [1, 1] }));
});

kernelTest('truncated packets and other ether types are dropped, ARP passes', (t) => {
	const endpoint = endpointOf(t, [policy('all', [rule('allow')])]);
	for (const frame of [toWeb, { ...toWeb, source: other6, destination: pod6 }]) {
		const whole = ethernetFrame(frame);
		const header = frame.source === other ? 34 : 54;
		for (const length of [header, header + 4, header + 13]) t.false(endpoint.passes('ingress', whole.slice(0, length)));
	}
	const withType = (type: number) => {
		const frame = new Uint8Array(64);
		new DataView(frame.buffer).setUint16(12, type);
		return frame;
	};
	t.true(endpoint.passes('ingress', withType(0x0806)));
	t.false(endpoint.passes('ingress', withType(0x8100)));
	t.false(endpoint.passes('ingress', withType(0x0800)));
});

kernelTest('a pod sends from its own addresses only, and no tunnels', (t) => {
	const all = policy('all', [], [rule('allow')]);
	const endpoint = endpointOf(t, [all]);
	const tunnelling = endpointOf(t, [all], {
		settings: { allowIpipFromWorkloads: true, allowVxlanFromWorkloads: true },
	});
	const frame: TestFrame = { source: pod, destination: other, protocol: 17, sourcePort: 9, destinationPort: 9 };
	t.true(endpoint.passes('egress', frame));
	t.false(endpoint.passes('egress', { ...frame, source: '10.1.0.3' }));
	t.true(endpoint.passes('egress', { ...frame, source: pod6, destination: other6 }));
	t.false(endpoint.passes('egress', { ...frame, source: 'fd00:1::3', destination: other6 }));
	for (const tunnel of [
		{ ...frame, protocol: 4 },
		{ ...frame, destinationPort: 4789 },
	]) {
		t.false(endpoint.passes('egress', tunnel));
		t.true(tunnelling.passes('egress', tunnel));
	}
});

kernelTest('neighbour discovery passes before policy, if no router forwarded it', (t) => {
	const endpoint = endpointOf(t, [policy('none', [])]);
	const message = (type: number, hopLimit: number): TestFrame => ({
		source: 'fe80::1',
		destination: 'ff02::1',
		protocol: 58,
		icmp: { type, code: 0 },
		hopLimit,
	});
	for (const type of [133, 135, 136]) {
		t.true(endpoint.passes('egress', message(type, 255)));
		t.false(endpoint.passes('egress', message(type, 254)));
	}
	t.false(endpoint.passes('egress', message(134, 255)));
	t.true(endpoint.passes('ingress', message(134, 255)));
	t.true(endpoint.passes('egress', message(131, 1)));
	t.false(endpoint.passes('egress', message(128, 255)));
});

kernelTest('packets of the node to its pod pass, and so do the replies', (t) => {
	const endpoint = endpointOf(t, [policy('none', [], [])]);
	t.false(endpoint.passes('ingress', toWeb));
	t.true(endpoint.passes('ingress', toWeb, true));
	t.true(endpoint.passes('egress', { ...fromWeb, tcpFlags: Tcp.syn | Tcp.ack }));
});

const lengths: readonly [member: string, inside: string, outside: string][] = [
	['10.2.0.9/32', '10.2.0.9', '10.2.0.8'],
	['10.2.0.8/31', '10.2.0.9', '10.2.0.10'],
	['128.0.0.0/1', '255.0.0.1', '127.255.255.255'],
	['fd00:2::9/128', 'fd00:2::9', 'fd00:2::8'],
	['fd00:2::8/127', 'fd00:2::9', 'fd00:2::a'],
	['fd00:2:0:0:8000::/65', 'fd00:2::8000:0:0:1', 'fd00:2::7fff:0:0:1'],
	['fd00:2::/64', 'fd00:2::1', 'fd00:2:0:1::1'],
	['8000::/1', 'fd00:2::1', '2001:db8::1'],
];
for (const [member, inside, outside] of lengths)
	for (const [kind, source] of [
		['set', { sets: ['smember'] }],
		['prefix in the rule', { nets: nets(member) }],
	] as const)
		kernelTest(`${member} as ${kind} has its last address and not the next`, (t) => {
			const peers = policy('peers', [rule('allow', { source })]);
			const book = nodePolicy([], [peers], [set('smember', [member])]);
			const endpoint = endpointOf(t, [peers], { book });
			const from = (address: string) =>
				endpoint.passes('ingress', { ...toWeb, source: address, destination: address.includes(':') ? pod6 : pod });
			t.true(from(inside));
			t.false(from(outside));
		});

kernelTest('a member of a set is added and removed without a new program', (t) => {
	const peers = policy('peers', [rule('allow', { source: { sets: ['speers'] } })]);
	const book = nodePolicy([], [peers], [set('speers', ['10.7.0.0/16'])]);
	const endpoint = endpointOf(t, [peers], { book });
	const fresh = (sourcePort: number) => endpoint.passes('ingress', { ...toWeb, sourcePort });
	t.false(fresh(1));
	addMembers(endpoint.maps, { id: 'speers', type: 'nets' }, [`${other}/32`]);
	t.true(fresh(2));
	removeMembers(endpoint.maps, { id: 'speers', type: 'nets' }, [`${other}/32`]);
	t.false(fresh(3));
});

kernelTest('denials and log rules create events with their decision', (t) => {
	const logged = policy('logged', [rule('log', { protocol: 6 }), rule('deny', { protocol: 6, origin: 'ingress[1]' })]);
	const endpoint = endpointOf(t, [logged]);
	const map = endpoint.maps.get('events');
	if (map === undefined) return t.fail('no map of events');
	const ring = new RingBuffer(map);
	t.teardown(() => ring.close());
	t.false(endpoint.passes('ingress', toWeb));
	t.false(endpoint.passes('ingress', { ...toWeb, protocol: 17 }));
	const events: unknown[] = [];
	ring.read(10, (bytes) => {
		const view = new DataView(bytes.buffer);
		const decision = endpoint.compiled.ingress.decisions[view.getUint32(Layout.event.decision, true)];
		events.push({
			decision: decision?.type === 'rule' ? decision.index : decision?.type,
			action: bytes[Layout.event.action],
			protocol: bytes[Layout.event.protocol],
			port: view.getUint16(Layout.event.destinationPort, true),
			source: bytes.slice(Layout.event.source, Layout.event.source + 4).join('.'),
		});
	});
	const common = { port: 80, source: other };
	t.deepEqual(events, [
		{ decision: 0, action: 1, protocol: 6, ...common },
		{ decision: 1, action: 0, protocol: 6, ...common },
		{ decision: 'tier-default', action: 0, protocol: 17, ...common },
	]);
	return undefined;
});

kernelTest('packets are counted by decision, and connections are reported while that is asked for', (t) => {
	const endpoint = endpointOf(t, [web]);
	const [events, switches, counters] = (['events', 'switches', 'counters'] as const).map((name) =>
		endpoint.maps.get(name),
	);
	if (events === undefined || switches === undefined || counters === undefined) return t.fail('a map is missing');
	const ring = new RingBuffer(events);
	t.teardown(() => ring.close());
	const set = (value: number) => switches.set(Uint8Array.of(Switch.flows, 0, 0, 0), Uint8Array.of(value, 0, 0, 0));
	t.true(endpoint.passes('ingress', { ...toWeb, sourcePort: 1 }));
	set(1);
	t.true(endpoint.passes('ingress', { ...toWeb, sourcePort: 2 }));
	// Of a connection that is kept: neither counted nor reported.
	t.true(endpoint.passes('ingress', { ...toWeb, sourcePort: 2, tcpFlags: 0x10 }));
	t.false(endpoint.passes('ingress', { ...toWeb, sourcePort: 3, destinationPort: 81 }));
	set(0);
	t.true(endpoint.passes('ingress', { ...toWeb, sourcePort: 4 }));
	const seen: unknown[] = [];
	ring.read(10, (record) => {
		const event = decodeEvent(record);
		if (event === undefined) return;
		const decision = endpoint.compiled.ingress.decisions[event.decision];
		seen.push([event.action, decision?.type, event.source, event.sourcePort, event.destinationPort]);
	});
	t.deepEqual(seen, [
		['allow', 'rule', other, 2, 80],
		['deny', 'tier-default', other, 3, 81],
	]);
	const packets = (action: 'allow' | 'deny') =>
		endpoint.compiled.ingress.decisions.flatMap((decision) => {
			const key = new Uint8Array(BigUint64Array.of(counterKey('ingress', action, decision)).buffer);
			const value = counters.get(key);
			return value === undefined ? [] : [`${decision.type} ${new DataView(value.buffer).getUint32(0, true)}`];
		});
	t.deepEqual(packets('allow'), ['rule 3']);
	t.deepEqual(packets('deny'), ['tier-default 1']);
	return undefined;
});

for (const count of [1000, 4000])
	kernelTest(`${count} rules of one policy load, and each of them decides`, (t) => {
		const address = (index: number) => `172.${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
		const many = policy('many', [
			...Array.from({ length: count - 1 }, (_, index) =>
				rule('deny', { protocol: 6, source: { nets: nets(`${address(index)}/32`) } }),
			),
			rule('allow', { protocol: 6 }),
		]);
		const endpoint = endpointOf(t, [many]);
		t.true(endpoint.passes('ingress', toWeb));
		for (let index = 0; index < count - 1; index += 97)
			t.false(endpoint.passes('ingress', { ...toWeb, source: address(index) }), String(index));
		t.false(endpoint.passes('ingress', { ...toWeb, source: address(count - 2) }));
		t.true(endpoint.passes('ingress', { ...toWeb, source: address(count - 1) }));
		const { ipv4, ipv6 } = endpoint.compiled.ingress.programs;
		t.log(
			`instructions: IPv4 ${ipv4.map(({ instructions }) => instructions.length).join()}; IPv6 ${ipv6.length} program`,
		);
	});

kernelTest('what a tier passes on skips the rest of the tier, over the ends of programs', (t) => {
	const filler = (index: number) =>
		rule('deny', { protocol: 17, source: { nets: nets(`172.16.${index >> 8}.${index & 255}/32`) } });
	const first = policy('first', [
		rule('pass', { protocol: 6, source: { nets: nets('10.2.0.9/32') } }),
		...Array.from({ length: 1200 }, (_, index) => filler(index)),
		rule('pass', { protocol: 6, source: { nets: nets('10.2.0.10/32') } }),
		rule('deny', { protocol: 6 }),
	]);
	const second = policy('second', [
		rule('deny', { protocol: 6, source: { nets: nets('10.2.0.10/32') } }),
		...Array.from({ length: 600 }, (_, index) => filler(index)),
		rule('allow', { protocol: 6 }),
	]);
	const stack = direction('ingress', []);
	const tier = (name: string, key: string) => ({ tier: name, defaultAction: 'deny' as const, policies: [key] });
	const endpoint = endpointOf(t, [first, second], {
		ingress: { ...stack, tiers: [tier('same', first.key), tier('same', second.key)], otherwise: 'deny' },
	});
	t.true(endpoint.compiled.ingress.programs.ipv4.length > 3);
	const from = (source: string) => endpoint.passes('ingress', { ...toWeb, source });
	t.true(from('10.2.0.9'), 'passed by the first rule of all, allowed by the last one');
	t.false(from('10.2.0.10'), 'passed by a late rule, denied by the next tier');
	t.false(from('10.2.0.11'), 'denied by the first tier');
});

kernelTest('one rule with thousands of ports matches these and no others', (t) => {
	const wanted = (port: number) => port % 5 === 1 || (port >= 30_000 && port < 30_100);
	const ranges = [
		{ first: 30_050, last: 30_099 },
		{ first: 30_000, last: 30_060 },
		...Array.from({ length: 4000 }, (_, index) => ({ first: 5 * index + 1, last: 5 * index + 1 })),
	];
	const ports = policy('ports', [rule('allow', { protocol: 6, destination: { ports: { ranges, sets: [] } } })]);
	const others = policy('others', [rule('allow', { protocol: 6, destination: { notPorts: { ranges, sets: [] } } })]);
	const maps = openMaps();
	t.teardown(() => closeMaps(maps));
	const [matching, inverse] = [endpointOf(t, [ports], { maps }), endpointOf(t, [others], { maps })];
	for (const port of [
		0, 1, 2, 5, 6, 80, 81, 9_996, 19_995, 19_996, 19_997, 29_999, 30_000, 30_055, 30_099, 30_100, 65_535,
	]) {
		const expected = port < 20_000 ? wanted(port) : port >= 30_000 && port < 30_100;
		matching.forgetConnections();
		t.is(matching.passes('ingress', { ...toWeb, destinationPort: port }), expected, String(port));
		matching.forgetConnections();
		t.is(inverse.passes('ingress', { ...toWeb, destinationPort: port }), !expected, `not ${port}`);
	}
});

test('rules beyond what programs hold are refused, and the policy with the most is named', (t) => {
	const huge = policy(
		'huge',
		Array.from({ length: 20_000 }, (_, index) => rule('allow', { protocol: 6, notProtocol: index & 255 })),
	);
	t.throws(() => compileOnly([web, huge]), {
		instanceOf: ProgramTooLargeError,
		message: /128000 are possible; the largest part is network-policy\/huge ingress with 20000 rules/,
	});
});

test('prefixes of one rule beyond a few become a set: the program does not grow with them', (t) => {
	const sizeOf = (count: number) => {
		const long = policy('long', [
			rule('allow', { source: { nets: Array.from({ length: count }, (_, index) => prefixKey(`10.3.${index}.0/24`)) } }),
		]);
		const { compiled } = compileOnly([long]);
		return {
			size: compiled.programs.ipv4.map(({ instructions }) => instructions.length),
			extra: [...compiled.extraSets.values()].map((set) => set.length),
		};
	};
	const [ten, hundred] = [sizeOf(10), sizeOf(100)];
	t.deepEqual(ten.size, hundred.size);
	t.deepEqual([ten.extra, hundred.extra], [[10], [100]]);
});

test('the listing of a rule names policy and rule', (t) => {
	const listing = compileOnly([web]).compiled.programs.ipv4.map(listProgram).join();
	const start = listing.indexOf('ipv4 network-policy/web');
	t.is(
		listing.slice(start, listing.indexOf('next-rule', listing.indexOf('goto allow', start))).replaceAll(/#\d+/g, ''),
		`ipv4 network-policy/web ingress rule 0 (rule):
; network-policy/web ingress rule 0 (rule)
	if r7 != 6 goto next-rule
	if r8 == 80 goto port
	goto next-rule
port:
	w [r10-356] = 10
	r1 = 12508923168107657079
	dw [r10-392] = r1
	goto allow
`,
	);
});

function compileOnly(policies: readonly Policy[]): { readonly compiled: RuleChain } {
	return {
		compiled: compileRuleChain({
			policy: direction('ingress', policies),
			book: nodePolicy([], policies, []),
			settings,
		}),
	};
}
