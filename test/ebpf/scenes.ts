import * as fc from 'fast-check';
import { parseAddress, prefixKey } from '../../src/core/index.ts';
import type { AssembledProgram } from '../../src/ebpf/index.ts';
import {
	type Direction,
	type DirectionPolicy,
	evaluate,
	type IpSet,
	type Packet,
	type Policy,
	type PolicyKey,
	type Rule,
	type RuleBook,
} from '../../src/policy/index.ts';
import { set } from '../nftables/fixtures.ts';
import { closeMaps, openMaps, TestEndpoint } from './bench.ts';
import type { TestFrame } from './frames.ts';

/** Random policies and packets of a small world, and the comparison of programs with `evaluate`. */

export const pods = { ipv4: '10.1.0.2', ipv6: 'fd00:1::2' } as const;
export const peers = {
	ipv4: ['10.1.0.3', '10.1.255.1', '10.2.0.9', '192.168.0.1', '203.0.113.200'],
	ipv6: ['fd00:1::3', 'fd00:1:0:1::1', 'fd00:2::9', '2001:db8::8000:1', '::ffff:10.1.0.3'],
} as const;
const prefixes = [
	'10.1.0.0/16',
	'10.1.0.3/32',
	'10.2.0.8/31',
	'192.0.0.0/2',
	'203.0.113.0/25',
	'0.0.0.0/0',
	'fd00:1::/64',
	'fd00:1::/48',
	'fd00:2::9/128',
	'2001:db8::8000:0/113',
	'::/0',
	'::ffff:0.0.0.0/96',
].map((text) => prefixKey(text));

const pick = <T>(items: readonly T[]) => fc.constantFrom(...items);
const some = <T>(items: readonly T[], most = 3) => fc.uniqueArray(pick(items), { minLength: 1, maxLength: most });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

/** A value once in five times; `fc.option` with `freq: 1` never has one. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
	fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const netSets = ['sone', 'shosts', 'sempty'];
/** As pods are members of sets: one address each. */
const hosts = [...peers.ipv4.map((one) => `${one}/32`), ...peers.ipv6.map((one) => `${one}/128`)];
const portSets = ['sports', 'snoports'];
export const sets: fc.Arbitrary<readonly IpSet[]> = fc
	.tuple(some(prefixes, 4), some(hosts, 6), some(addressPorts(), 6))
	.map(([one, alone, ports]) => [
		set('sone', one),
		set('shosts', alone),
		set('sempty', []),
		set('sports', ports, 'address-ports'),
		set('snoports', [], 'address-ports'),
	]);

function addressPorts(): readonly string[] {
	return [pods.ipv4, pods.ipv6, ...peers.ipv4, ...peers.ipv6].flatMap((address) =>
		['6,80', '17,53', '132,80', '6,40000'].map((port) => `${address},${port}`),
	);
}

const range = pick([
	{ first: 80, last: 80 },
	{ first: 1, last: 79 },
	{ first: 53, last: 100 },
	{ first: 40_000, last: 65_535 },
	{ first: 0, last: 65_535 },
]);
const portMatch = fc.record({
	ranges: fc.array(range, { maxLength: 2 }),
	sets: fc.array(pick(portSets), { maxLength: 1 }),
});
/** Without members that are `undefined`. */
const clean = <T extends object>(value: T): T =>
	Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;

const side = fc
	.record({
		nets: maybe(some(prefixes, 6)),
		notNets: maybe(some(prefixes, 6)),
		sets: maybe(some(netSets, 2)),
		notSets: maybe(some(netSets, 2)),
		ports: maybe(portMatch),
		notPorts: maybe(portMatch),
		addressPortSets: maybe(some(portSets, 2)),
	})
	// Most sides have few matches, otherwise hardly any rule would match.
	.chain((whole) => fc.subarray(Object.keys(whole), { maxLength: 2 }).map((kept) => clean(only(whole, kept))));
const only = (whole: object, kept: readonly string[]) =>
	Object.fromEntries(Object.entries(whole).filter(([name]) => kept.includes(name)));

const icmp = fc.record({ type: pick([8, 13, 128]), code: maybe(pick([0, 1])) }).map(clean);
const rule: fc.Arbitrary<Rule> = fc
	.record({
		action: pick(['allow', 'allow', 'deny', 'pass', 'log'] as const),
		ipVersion: rarely(pick([4, 6] as const)),
		protocol: maybe(pick([6, 17, 132, 136, 1, 58, 47])),
		notProtocol: rarely(pick([6, 17, 1])),
		icmp: maybe(icmp),
		notIcmp: maybe(icmp),
	})
	.chain((base) => {
		const isIcmp = base.protocol === 1 || base.protocol === 58;
		return fc.record({ source: side, destination: side }).map((sides) => ({
			...clean({ ...base, ...(isIcmp ? {} : { icmp: undefined, notIcmp: undefined }) }),
			...sides,
			origin: 'drawn',
		}));
	}) as fc.Arbitrary<Rule>;

const keys: readonly PolicyKey[] = ['a', 'b', 'c', 'profile-d', 'profile-e'];
export const policies = fc
	.array(
		fc.record({
			ingress: fc.array(rule, { maxLength: 4 }),
			egress: fc.array(rule, { maxLength: 4 }),
			staged: fc.integer({ min: 0, max: 5 }).map((draw) => draw === 0),
		}),
		{ minLength: keys.length, maxLength: keys.length },
	)
	.map((drawn) =>
		drawn.map((one, index): Policy => {
			const key = keys[index] ?? '';
			return {
				key,
				kind: 'global-network-policy',
				name: key,
				...one,
				staged: one.staged && !key.startsWith('profile'),
			};
		}),
	);
export const stack = (toward: 'ingress' | 'egress'): fc.Arbitrary<DirectionPolicy> =>
	fc
		.record({
			tiers: fc.array(
				fc.record({
					tier: pick(['first', 'second']),
					defaultAction: pick(['deny', 'pass'] as const),
					policies: some(keys.slice(0, 3), 2),
				}),
				{ maxLength: 2 },
			),
			profiles: fc.uniqueArray(pick(keys.slice(3)), { maxLength: 2 }),
			otherwise: pick(['deny', 'deny', 'allow', 'continue'] as const),
		})
		.map((drawn) => ({ id: 'd', direction: toward, ...drawn }));

const drawnPacket = fc.record({
	family: pick(['ipv4', 'ipv6'] as const),
	peer: fc.nat({ max: 4 }),
	protocol: pick([6, 6, 17, 132, 136, 1, 58, 47]),
	ports: fc.tuple(pick([80, 53, 40_000, 0]), pick([80, 53, 79, 8080, 65_535])),
	icmp: fc.record({ type: pick([8, 13, 128]), code: pick([0, 1]) }),
	extensions: pick([[], [], [60]]),
});

export interface Scene {
	readonly sets: readonly IpSet[];
	readonly policies: readonly Policy[];
	readonly ingress: DirectionPolicy;
	readonly egress: DirectionPolicy;
	readonly packets: readonly (typeof drawnPacket extends fc.Arbitrary<infer T> ? T : never)[];
}
export const scene: fc.Arbitrary<Scene> = fc.record({
	sets,
	policies,
	ingress: stack('ingress'),
	egress: stack('egress'),
	packets: fc.array(drawnPacket, { minLength: 20, maxLength: 20 }),
});

export interface Tally {
	allowed: number;
	denied: number;
	packets: number;
}

/**
 * The first packet whose verdict in the kernel is not that of `evaluate`; `undefined`: all agree.
 */
export function disagreement(
	drawn: Scene,
	tally: Tally,
	alter?: (program: AssembledProgram) => AssembledProgram,
	directions: readonly Direction[] = ['ingress', 'egress'],
): string | undefined {
	const book: RuleBook = {
		policies: new Map(drawn.policies.map((policy) => [policy.key, policy])),
		sets: new Map(drawn.sets.map((one) => [one.id, one])),
	};
	const maps = openMaps();
	const { ingress, egress } = drawn;
	// Without the check of conntrack and tunnels only policy remains.
	const settings = { dropInvalid: false, allowIpipFromWorkloads: true, allowVxlanFromWorkloads: true };
	const endpoint = new TestEndpoint({
		maps,
		ingress,
		egress,
		book,
		addresses: [pods.ipv4, pods.ipv6],
		settings,
		...(alter === undefined ? {} : { alter }),
	});
	try {
		for (const { family, peer, protocol, ports, icmp: message, extensions } of drawn.packets)
			for (const policy of directions.map((direction) => drawn[direction])) {
				const ends = [peers[family][peer] ?? '', pods[family]] as const;
				const [source, destination] = policy.direction === 'ingress' ? ends : [ends[1], ends[0]];
				const isIcmp = protocol === (family === 'ipv4' ? 1 : 58);
				const hasPorts = [6, 17, 132, 136].includes(protocol);
				const [sourcePort, destinationPort] = hasPorts ? ports : [0, 0];
				const packet: Packet = {
					source: parseAddress(source),
					destination: parseAddress(destination),
					protocol,
					sourcePort,
					destinationPort,
					...(isIcmp ? { icmp: message } : {}),
				};
				const frame: TestFrame = {
					source,
					destination,
					protocol,
					sourcePort,
					destinationPort,
					icmp: message,
					extensions: family === 'ipv6' ? extensions : [],
				};
				const expected = evaluate(policy, packet, book);
				endpoint.forgetConnections();
				const passes = endpoint.passes(policy.direction, frame);
				tally.packets++;
				if (passes) tally.allowed++;
				else tally.denied++;
				if (passes !== (expected.action !== 'deny'))
					return `${policy.direction} ${JSON.stringify(frame)}: evaluate gives ${JSON.stringify(expected)}, the program ${passes ? 'passes' : 'drops'}`;
			}
		return undefined;
	} finally {
		endpoint.close();
		closeMaps(maps);
	}
}
