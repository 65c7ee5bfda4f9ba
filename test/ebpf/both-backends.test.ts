import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { ethernetFrame, ipPacket, readPacket } from '../../lab/frames/packets.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { type Enforcer, openNftables } from '../../lab/policy-table/frames-backend.ts';
import { NodeNetwork, openWireNamespace, type Port } from '../../lab/policy-table/frames-network.ts';
import { formatAddress, parseAddress } from '../../src/core/index.ts';
import {
	type Direction,
	type DirectionPolicy,
	evaluate,
	type NodePolicy,
	type Packet,
	portProtocols,
	type Rule,
	type SideMatch,
} from '../../src/policy/index.ts';
import { nodePolicy, policy, rule, settings, workload } from '../nftables/fixtures.ts';
import { noNamespaces } from '../support/namespace.ts';
import { peers, pods, type Scene, scene } from './scenes.ts';
import { noBpf } from './support.ts';

/** Random policies on two nodes, one with rules and one with programs, and the same frames through both. */

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: nftables beside eBPF by real frames: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const seedText = process.env['EBPF_SEED'];
const runs = Number(process.env['EBPF_RUNS'] ?? 12);

interface Node {
	readonly network: NodeNetwork;
	readonly enforcer: Enforcer;
}

/** A packet, and what identifies it where it leaves. */
interface Shot {
	readonly key: string;
	readonly family: 'ipv4' | 'ipv6';
	readonly packet: Packet;
	readonly bytes: Uint8Array;
}

/** UDP-Lite is left out, whose checksum conntrack checks; and addresses of IPv4 in IPv6, which no router forwards. */
function shotsOf({ packets }: Scene, direction: Direction): Shot[] {
	const shots = new Map<string, Shot>();
	for (const [index, { family, peer, protocol, ports, icmp }] of packets.entries()) {
		const far = peers[family][peer] ?? '';
		if (protocol === 136 || far.startsWith('::ffff:')) continue;
		const isIcmp = protocol === (family === 'ipv4' ? 1 : 58);
		if (!isIcmp && (protocol === 1 || protocol === 58)) continue;
		const [source, destination] = direction === 'ingress' ? [far, pods[family]] : [pods[family], far];
		const hasPorts = protocol === 6 || protocol === 17 || protocol === 132;
		// Port 0 is no port for conntrack.
		const [sourcePort, destinationPort] = hasPorts ? [ports[0] === 0 ? 1 : ports[0], ports[1]] : [0, 0];
		const ends = { source: parseAddress(source), destination: parseAddress(destination), protocol };
		const packet = { ...ends, sourcePort, destinationPort, ...(isIcmp ? { icmp } : {}) };
		const identifier = isIcmp ? 1000 + index : sourcePort;
		const bytes = ipPacket({ ...packet, sourcePort: identifier });
		const key = keyOf(bytes);
		if (key !== undefined) shots.set(key, { key, family, packet, bytes });
	}
	return [...shots.values()];
}

function keyOf(bytes: Uint8Array): string | undefined {
	const facts = readPacket(bytes);
	if (facts === undefined) return undefined;
	const { source, destination, protocol, sourcePort, destinationPort } = facts;
	return `${formatAddress(source)} ${formatAddress(destination)} ${protocol} ${sourcePort} ${destinationPort}`;
}

class Nodes {
	readonly #nodes: Readonly<Record<'nftables' | 'ebpf', Node>>;

	constructor(t: ExecutionContext) {
		const prefix = `bmx${process.pid}`;
		const wires = openWireNamespace(`${prefix}w`);
		t.teardown(() => wires.close());
		let index = 0;
		const open = (letter: string, enforce: (namespace: string) => Enforcer): Node => {
			const network = new NodeNetwork(`${prefix}${letter}`, `${prefix}w`, () => index++);
			t.teardown(() => network.close());
			network.setPods([
				{ interfaceName: 'cali4', address: pods.ipv4 },
				{ interfaceName: 'cali6', address: pods.ipv6 },
			]);
			const enforcer = enforce(network.namespace);
			t.teardown(() => enforcer.close());
			return { network, enforcer };
		};
		this.#nodes = { nftables: open('n', openNftables), ebpf: open('e', (namespace) => openEbpf(namespace)) };
	}

	of(name: 'nftables' | 'ebpf'): Node {
		return this.#nodes[name];
	}

	async apply(policy: NodePolicy): Promise<void> {
		for (const { enforcer } of Object.values(this.#nodes)) await enforcer.kernel.sync(policy);
	}

	/** Keys of the packets that arrive, for each node. */
	async send(
		shots: readonly Shot[],
		direction: Direction,
		expected: number,
	): Promise<Readonly<Record<'nftables' | 'ebpf', ReadonlySet<string>>>> {
		const arrived = { nftables: new Set<string>(), ebpf: new Set<string>() };
		for (const { enforcer, network } of Object.values(this.#nodes)) {
			await enforcer.forgetConnections();
			for (const { family, bytes } of shots) {
				const pod = network.podPort(pods[family]);
				if (pod === undefined) throw new Error(`no pod ${pods[family]}`);
				const { wire, from, to }: Port = direction === 'ingress' ? network.uplink : pod;
				wire.send(ethernetFrame(from, to, bytes));
			}
		}
		const drain = () => {
			for (const [name, { network }] of Object.entries(this.#nodes))
				for (const { wire } of [network.uplink, ...network.pods.values()])
					for (let frame = wire.receive(); frame !== undefined; frame = wire.receive()) {
						const key = keyOf(frame.subarray(14));
						if (key !== undefined) arrived[name as keyof typeof arrived].add(key);
					}
		};
		const arrivedOf = (set: ReadonlySet<string>) => shots.filter(({ key }) => set.has(key)).length;
		const isComplete = () => Object.values(arrived).every((set) => arrivedOf(set) >= expected);
		for (let tries = 0; tries < 40; tries++) {
			drain();
			if (isComplete()) break;
			await pause(1);
		}
		await pause(1);
		drain();
		return arrived;
	}
}

/** As the conversion of resources gives them: ports with a protocol that has some, services without a protocol. */
function proper(rule: Rule): Rule {
	const hasPorts = rule.protocol !== undefined && portProtocols.has(rule.protocol);
	const side = ({ ports, notPorts, addressPortSets, ...rest }: SideMatch): SideMatch => ({
		...rest,
		...(hasPorts && ports !== undefined ? { ports } : {}),
		...(hasPorts && notPorts !== undefined ? { notPorts } : {}),
		...(rule.protocol === undefined && addressPortSets !== undefined ? { addressPortSets } : {}),
	});
	return { ...rule, source: side(rule.source), destination: side(rule.destination) };
}

function policyOf({ policies, sets, ingress, egress }: Scene): NodePolicy {
	// Only stages of host endpoints go on without a verdict.
	const decided = (one: DirectionPolicy): DirectionPolicy => {
		const otherwise = one.otherwise === 'continue' ? 'allow' : one.otherwise;
		const tiers = one.tiers.map((tier, index) => ({ ...tier, tier: `${tier.tier}${index}` }));
		const rest = { direction: one.direction, tiers, profiles: one.profiles, otherwise } as const;
		return { ...rest, id: `d${createHash('sha256').update(JSON.stringify(rest)).digest('hex').slice(0, 20)}` };
	};
	const both = { ingress: decided(ingress), egress: decided(egress) };
	const pod = (name: string, address: string) => ({ ...workload(name, address, []), ...both });
	const nodes = { id: settings.nodes, type: 'nets' as const, meaning: 'nodes', members: new Set<string>() };
	return {
		node: 'here',
		workloads: new Map([pod('4', pods.ipv4), pod('6', pods.ipv6)].map((one) => [one.key, one])),
		hosts: new Map(),
		policies: new Map(
			policies.map((one) => [one.key, { ...one, ingress: one.ingress.map(proper), egress: one.egress.map(proper) }]),
		),
		sets: new Map([nodes, ...sets].map((one) => [one.id, one])),
		settings: { ...settings, dropInvalid: false, allowIpipFromWorkloads: true, allowVxlanFromWorkloads: true },
	};
}

interface Tally {
	allowed: number;
	denied: number;
}

/** The first packet that one node passes and the other does not; `undefined`: they agree. */
async function difference(nodes: Nodes, drawn: Scene, tally: Tally): Promise<string | undefined> {
	const policy = policyOf(drawn);
	const stack = policy.workloads.get('ns/4');
	if (stack === undefined) throw new Error('no pod');
	await nodes.apply(policy);
	for (const direction of ['ingress', 'egress'] as const) {
		const shots = shotsOf(drawn, direction);
		const verdicts = new Map(shots.map(({ key, packet }) => [key, evaluate(stack[direction], packet, policy)]));
		const expected = [...verdicts.values()].filter(({ action }) => action !== 'deny').length;
		const arrived = await nodes.send(shots, direction, expected);
		for (const { key } of shots) {
			const [rules, programs] = [arrived.nftables.has(key), arrived.ebpf.has(key)];
			if (programs) tally.allowed++;
			else tally.denied++;
			const verdict = verdicts.get(key);
			const wanted = verdict?.action !== 'deny';
			if (rules !== programs || rules !== wanted)
				return `${direction} ${key}: nftables ${rules ? 'passes' : 'drops'}, eBPF ${programs ? 'passes' : 'drops'}, evaluate: ${JSON.stringify(verdict)}`;
		}
	}
	return undefined;
}

kernelTest('rules and programs pass the same frames for random policies', async (t) => {
	t.timeout(runs * 2000 + 300_000);
	const seed = seedText === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seedText);
	t.log(`seed ${seed}; again with EBPF_SEED=${seed}, more with EBPF_RUNS`);
	const nodes = new Nodes(t);
	const tally: Tally = { allowed: 0, denied: 0 };
	let found: string | undefined;
	const property = fc.asyncProperty(scene, async (drawn) => {
		// A frame that a busy machine lost is no difference: it is sent again.
		found = (await difference(nodes, drawn, tally)) && (await difference(nodes, drawn, tally));
		return found === undefined;
	});
	const { failed, counterexample, errorInstance } = await fc.check(property, {
		numRuns: runs,
		seed,
		endOnFailure: true,
	});
	t.log(tally);
	t.false(
		failed,
		`${found ?? errorInstance} ${JSON.stringify(counterexample, (_, value) => (value instanceof Set ? [...value] : value))}`,
	);
	// A generator that allowed or denied everything would prove nothing.
	const packets = tally.allowed + tally.denied;
	t.true(tally.allowed > packets / 20 && tally.denied > packets / 20);
});

kernelTest('the frames notice a difference between rules and programs', async (t) => {
	t.timeout(300_000);
	const nodes = new Nodes(t);
	const [sample] = fc.sample(scene, { numRuns: 1, seed: 1 });
	if (sample === undefined) return t.fail('nothing was drawn');
	const open = { ...sample.ingress, tiers: [], profiles: [], otherwise: 'allow' as const };
	const drawn = { ...sample, ingress: open, egress: { ...open, direction: 'egress' as const } };
	t.is(await difference(nodes, drawn, { allowed: 0, denied: 0 }), undefined);
	// The programs have an earlier policy than the rules.
	const { enforcer } = nodes.of('ebpf');
	const { sync } = enforcer.kernel;
	Object.assign(enforcer.kernel, { sync: async () => ({ added: 0, removed: 0 }) });
	const closed = { ...open, otherwise: 'deny' as const };
	t.regex(
		(await difference(nodes, { ...drawn, ingress: closed }, { allowed: 0, denied: 0 })) ?? '',
		/nftables drops, eBPF passes/,
	);
	Object.assign(enforcer.kernel, { sync });
	return undefined;
});

/** Two pods of one node. */
const pair = { a: '10.2.0.1', b: '10.2.0.2' } as const;
type Name = keyof typeof pair;

/** A node with both pods, and whether a datagram from one reaches the other. */
function openPair(t: ExecutionContext, letter: string, enforce: (namespace: string) => Enforcer) {
	const prefix = `bmy${process.pid}${letter}`;
	const wires = openWireNamespace(`${prefix}w`);
	t.teardown(() => wires.close());
	let index = 0;
	const network = new NodeNetwork(`${prefix}n`, `${prefix}w`, () => index++);
	t.teardown(() => network.close());
	network.setPods([
		{ interfaceName: 'calia', address: pair.a },
		{ interfaceName: 'calib', address: pair.b },
	]);
	const enforcer = enforce(network.namespace);
	t.teardown(() => enforcer.close());
	const passes = async (from: Name, to: Name, sourcePort: number, destinationPort: number): Promise<boolean> => {
		const [enter, leave] = [network.podPort(pair[from]), network.podPort(pair[to])];
		if (enter === undefined || leave === undefined) throw new Error('no such pod');
		const ends = { source: parseAddress(pair[from]), destination: parseAddress(pair[to]), protocol: 17 };
		const bytes = ipPacket({ ...ends, sourcePort, destinationPort });
		enter.wire.send(ethernetFrame(enter.from, enter.to, bytes));
		for (let tries = 0; tries < 30; tries++) {
			for (let frame = leave.wire.receive(); frame !== undefined; frame = leave.wire.receive())
				if (keyOf(frame.subarray(14)) === keyOf(bytes)) return true;
			await pause(3);
		}
		return false;
	};
	return { enforcer, passes };
}

kernelTest(
	'a datagram back between the same ports of two pods is an answer; with programs, also to one that was denied there',
	async (t) => {
		const closed = policy('closed', [], []);
		const web = policy('web', [
			rule('allow', { protocol: 17, destination: { ports: { ranges: [{ first: 5000, last: 5000 }], sets: [] } } }),
		]);
		const seen: Record<string, readonly boolean[]> = {};
		for (const [name, enforce] of [
			['nftables', openNftables],
			['ebpf', (namespace: string) => openEbpf(namespace)],
		] as const) {
			const { enforcer, passes } = openPair(t, name[0] ?? '', enforce);
			// Pod b may be asked at port 5000, and may not ask.
			await enforcer.kernel.sync(
				nodePolicy([workload('a', pair.a, []), workload('b', pair.b, [web], [closed])], [web, closed], []),
			);
			const answers = [
				await passes('b', 'a', 5000, 5000),
				await passes('a', 'b', 5000, 5000),
				await passes('b', 'a', 5000, 5000),
				await passes('b', 'a', 5000, 5001),
			];
			t.deepEqual(answers, [false, true, true, false], name);
			// Neither may be asked: the first datagram ends at pod a.
			await enforcer.forgetConnections();
			await enforcer.kernel.sync(
				nodePolicy([workload('a', pair.a, [closed], []), workload('b', pair.b, [closed], [])], [closed], []),
			);
			seen[name] = [
				await passes('b', 'a', 5000, 5000),
				await passes('a', 'b', 5000, 5000),
				await passes('b', 'a', 5000, 5000),
			];
		}
		// Programs keep at each pod what that pod may send; conntrack forgets what another chain drops behind it.
		t.deepEqual(seen, { nftables: [false, false, false], ebpf: [false, true, true] });
	},
);
