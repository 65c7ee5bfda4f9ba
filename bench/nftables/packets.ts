/** Processor time of a packet between two pods of a node, by number of policies at both. */
import { ethernetFrame, ipPacket } from '../../lab/frames/packets.ts';
import { inside } from '../../lab/frames/sockets.ts';
import { NodeNetwork, openWireNamespace, type Port } from '../../lab/policy-table/frames-network.ts';
import { parseAddress, prefixKey } from '../../src/core/index.ts';
import { Conntrack, loadRuleset } from '../../src/linux/index.ts';
import { NftablesPolicy } from '../../src/nftables/index.ts';
import {
	type DirectionPolicy,
	defaultNodeSettings,
	type NodePolicy,
	type Policy,
	type PolicyKernel,
} from '../../src/policy/index.ts';
import { round } from './measures.ts';
import { mixedPolicy, probedPort } from './mix.ts';

/**
 * A number: that many policies that differ by network. `mixed`: policies of all shapes, see
 * `mixedPolicy`. `none`: no table at all. `conntrack`: nothing but one rule that accepts established
 * connections, as any node has that tracks connections for Services or masquerading.
 */
export type Enforced = number | `mixed ${number}` | 'none' | 'conntrack';

export interface PacketsResult {
	readonly policies: Enforced;
	/**
	 * Minimum and median of the rounds, microseconds of processor time per packet, sending
	 * included.
	 */
	readonly established: { readonly leastUs: number; readonly medianUs: number };
	/** Each packet begins a connection: all rules are evaluated, the last one matches. */
	readonly first: { readonly leastUs: number; readonly medianUs: number };
}

const addresses = { from: '10.2.0.1', to: '10.2.0.2' } as const;

function nodePolicy(count: number): NodePolicy {
	const policies = Array.from(
		{ length: count },
		(_, index): Policy => ({
			key: `network-policy/ns/p${index}`,
			kind: 'network-policy',
			namespace: 'ns',
			name: `p${index}`,
			staged: false,
			ingress: [
				{
					action: 'allow',
					protocol: 17,
					source: {
						nets: [prefixKey(index === count - 1 ? '10.2.0.0/24' : `10.${100 + (index >> 8)}.${index & 255}.0/24`)],
					},
					destination: {},
					origin: 'ingress[0]',
				},
			],
			egress: [],
		}),
	);
	const direction = (toward: 'ingress' | 'egress'): DirectionPolicy => ({
		id: `d${toward}${count}`,
		direction: toward,
		tiers:
			toward === 'egress' || count === 0
				? []
				: [{ tier: 'default', defaultAction: 'deny', policies: policies.map(({ key }) => key) }],
		profiles: [],
		otherwise: 'allow',
	});
	const workload = (name: string, address: string) => ({
		type: 'workload' as const,
		key: `ns/${name}`,
		interfaceName: `cali${name}`,
		addresses: [address],
		ingress: direction('ingress'),
		egress: direction('egress'),
	});
	return {
		node: 'here',
		workloads: new Map([
			['ns/a', workload('a', addresses.from)],
			['ns/b', workload('b', addresses.to)],
		]),
		hosts: new Map(),
		policies: new Map(policies.map((policy) => [policy.key, policy])),
		sets: new Map([
			[
				defaultNodeSettings.nodes,
				{ id: defaultNodeSettings.nodes, type: 'nets', meaning: 'nodes', members: new Set<string>() },
			],
		]),
		settings: defaultNodeSettings,
	};
}

/** Sends packets and returns the processor time of one, in microseconds. */
function send({ wire, from, to }: Port, drain: Port, packets: readonly Uint8Array[], count: number): number {
	const frames = packets.map((packet) => ethernetFrame(from, to, packet));
	const before = process.cpuUsage();
	for (let index = 0; index < count; index++) wire.send(frames[index % frames.length] as Uint8Array);
	const { user, system } = process.cpuUsage(before);
	let arrived = 0;
	while (drain.wire.receive() !== undefined) arrived++;
	if (arrived === 0) throw new Error('no packet arrived');
	return (user + system) / count;
}

/** What enforces policy in a namespace. */
export interface BenchEnforcer {
	readonly kernel: PolicyKernel;
	close(): void;
}

/** Our rules alone. */
export const openNftables = (namespace: string): BenchEnforcer =>
	inside(namespace, () => {
		const kernel = new NftablesPolicy({}, { load: (text) => inside(namespace, () => loadRuleset(text)) });
		return { kernel, close: () => kernel.close() };
	});

/** The kernel tracks connections, and nothing else happens. */
export const trackingTable = `table inet bmtracking {
	chain forward {
		type filter hook forward priority 0; policy accept;
		ct state established accept
	}
}
`;

const policyOf = (enforced: Exclude<Enforced, 'none' | 'conntrack'>): NodePolicy =>
	typeof enforced === 'number' ? nodePolicy(enforced) : mixedPolicy(Number(enforced.slice('mixed '.length)), addresses);

const packet = (source: string, destination: string, sourcePort: number, destinationPort: number): Uint8Array =>
	ipPacket({
		source: parseAddress(source),
		destination: parseAddress(destination),
		protocol: 17,
		sourcePort,
		destinationPort,
	});

/** A node of its own with one policy. */
class Row {
	readonly #policies: Enforced;
	readonly #network: NodeNetwork;
	readonly #conntrack: Conntrack;
	#enforcer: BenchEnforcer | undefined;
	#ends: { readonly here: Port; readonly there: Port } | undefined;
	readonly #established: number[] = [];
	readonly #first: number[] = [];

	constructor(policies: Enforced, network: NodeNetwork) {
		this.#policies = policies;
		this.#network = network;
		this.#conntrack = inside(network.namespace, () => new Conntrack());
	}

	async prepare(open: (namespace: string) => BenchEnforcer): Promise<void> {
		const { namespace } = this.#network;
		const policy =
			typeof this.#policies === 'number' || this.#policies.startsWith('mixed') ? this.#policies : undefined;
		// Checked above.
		const state = policyOf((policy ?? 0) as Exclude<Enforced, 'none' | 'conntrack'>);
		this.#network.setPods(
			[...state.workloads.values()].map(({ interfaceName, addresses: [address = ''] }) => ({ interfaceName, address })),
		);
		const [here, there] = [this.#network.podPort(addresses.from), this.#network.podPort(addresses.to)];
		if (here === undefined || there === undefined) throw new Error('the pods have no links');
		this.#ends = { here, there };
		if (this.#policies === 'conntrack') await inside(namespace, () => loadRuleset(trackingTable));
		if (policy === undefined) return;
		this.#enforcer = open(namespace);
		await this.#enforcer.kernel.sync(state);
	}

	async measure(packets: number): Promise<void> {
		if (this.#ends === undefined) throw new Error('not prepared');
		const { here, there } = this.#ends;
		const connection = packet(addresses.from, addresses.to, 999, probedPort);
		send(here, there, [connection], 10);
		send(there, here, [packet(addresses.to, addresses.from, probedPort, 999)], 10);
		this.#established.push(send(here, there, [connection], packets));
		const fresh = Array.from({ length: packets / 10 }, (_, number) =>
			packet(addresses.from, addresses.to, 1024 + number, probedPort),
		);
		this.#first.push(send(here, there, fresh, fresh.length));
		// Connections of earlier rounds would make later ones slower.
		await this.#conntrack.flush('ipv4');
	}

	get result(): PacketsResult {
		const summary = (values: readonly number[]) => {
			const sorted = [...values].sort((a, b) => a - b);
			return { leastUs: round(sorted[0] ?? 0), medianUs: round(sorted[sorted.length >> 1] ?? 0) };
		};
		return { policies: this.#policies, established: summary(this.#established), first: summary(this.#first) };
	}

	close(): void {
		this.#enforcer?.close();
		this.#conntrack.close();
		this.#network.close();
	}
}

/** One row each, measured by turns. `open`: what enforces the policies of a row, by its place. */
export async function benchPackets(
	numbers: readonly Enforced[],
	{ packets, rounds }: { readonly packets: number; readonly rounds: number },
	open: (namespace: string, row: number) => BenchEnforcer = openNftables,
): Promise<PacketsResult[]> {
	const prefix = `bmb${process.pid}`;
	const wires = openWireNamespace(`${prefix}w`);
	let index = 0;
	const rows: Row[] = [];
	try {
		for (const policies of numbers) {
			const row = new Row(policies, new NodeNetwork(`${prefix}n${rows.length}`, `${prefix}w`, () => index++));
			rows.push(row);
			const place = rows.length - 1;
			await row.prepare((namespace) => open(namespace, place));
		}
		for (let round = 0; round < rounds; round++) for (const row of rows) await row.measure(packets);
		return rows.map(({ result }) => result);
	} finally {
		for (const row of rows) row.close();
		wires.close();
	}
}
