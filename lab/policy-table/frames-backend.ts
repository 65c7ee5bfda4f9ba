import { Conntrack, loadRuleset } from '../../src/linux/index.ts';
import { NftablesPolicy, type NftablesPolicyOptions } from '../../src/nftables/index.ts';
import type { NodePolicy, PolicyKernel } from '../../src/policy/index.ts';
import { ethernetFrame, ipPacket, readPacket, readTransport, type TransportFacts } from '../frames/packets.ts';
import { inside } from '../frames/sockets.ts';
import type { CellRequest, Outcome, PolicyBackend } from './backend.ts';
import type { PreparedStep } from './cluster.ts';
import { packetOf } from './evaluate-backend.ts';
import { NodeNetwork, openWireNamespace, type Port } from './frames-network.ts';

/**
 * Identifiers of probes, as source ports and ICMP identifiers: different from all destination ports
 * of probes.
 */
const identifiers = { first: 20_000, last: 60_000 } as const;
/** Concurrent probes: a queue of the kernel holds 1,000 frames. */
const probesPerRound = 200;
/** Time without a packet after which no more are expected. */
const quietMs = 8;
/** A packet that did not arrive is sent again, so that a lost one does not count as denied. */
const attempts = 2;

/** One packet at one node: its entry, and its expected exit. */
interface Shot {
	readonly cell: number;
	readonly side: 'sender' | 'receiver' | 'both';
	readonly node: string;
	readonly enter: { readonly type: 'port'; readonly port: Port } | { readonly type: 'host' };
	readonly leave: { readonly type: 'port'; readonly port: Port } | { readonly type: 'host' };
	readonly request: CellRequest;
}

/** The enforcement of policy of a node. */
export interface Enforcer {
	readonly kernel: PolicyKernel;
	/** Removes all established connections. */
	forgetConnections(): Promise<void>;
	close(): void;
}

/** Opens the enforcement in a network namespace. */
export type OpenEnforcer = (namespace: string) => Enforcer;

/** nftables and conntrack. */
export const openNftables = (namespace: string, options: NftablesPolicyOptions = {}): Enforcer =>
	inside(namespace, () => {
		const kernel = new NftablesPolicy(options, { load: (rules) => inside(namespace, () => loadRuleset(rules)) });
		const conntrack = new Conntrack();
		return {
			kernel,
			forgetConnections: async () => {
				for (const family of ['ipv4', 'ipv6'] as const) await conntrack.flush(family);
			},
			close: () => {
				kernel.close();
				conntrack.close();
			},
		};
	});

/** A node with its enforcement. */
interface EnforcingNode {
	readonly network: NodeNetwork;
	readonly enforcer: Enforcer;
	policy: NodePolicy | undefined;
	inSync: boolean;
}

/**
 * ICMP types that report errors: without the connection that they quote, conntrack classifies them
 * as invalid.
 */
const icmpErrors: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);

/**
 * Frames between network namespaces, one for each node, with our nftables rules or eBPF programs in
 * the kernel. A connection between two nodes is probed at each of them: the frame that leaves the
 * sender's node, and the frame that comes to the receiver's node.
 */
export class FramesBackend implements PolicyBackend {
	readonly #prefix: string;
	readonly #wires: { close(): void };
	readonly #nodes = new Map<string, EnforcingNode>();
	#index = 0;
	#identifier: number = identifiers.first;
	#toleratesInvalid = false;

	readonly #openEnforcer: OpenEnforcer;

	constructor(prefix = `bmf${process.pid}`, openEnforcer: OpenEnforcer = (namespace) => openNftables(namespace)) {
		this.#prefix = prefix;
		this.#openEnforcer = openEnforcer;
		this.#wires = openWireNamespace(`${prefix}w`);
	}

	async begin(): Promise<void> {
		for (const node of this.#nodes.values()) node.inSync = false;
	}

	async apply({ nodes, parties }: PreparedStep): Promise<void> {
		this.#toleratesInvalid = false;
		for (const [name, { policy, change }] of nodes) {
			const node = this.#node(name);
			const all = [...parties.values()];
			node.network.setAddress(all.find(({ place }) => place.type === 'node' && place.node === name)?.address);
			node.network.setPods(
				[...policy.workloads.values()].flatMap(({ interfaceName, addresses }) =>
					addresses.map((address) => ({ interfaceName, address })),
				),
			);
			node.policy = policy;
			// The first state of a case is complete, and replaces that of the previous case; each
			// later one is a difference.
			if (!node.inSync) await node.enforcer.kernel.sync(policy);
			else if (change !== undefined) await node.enforcer.kernel.apply(change, policy);
			node.inSync = true;
			await node.enforcer.forgetConnections();
		}
	}

	async probe(cells: readonly CellRequest[]): Promise<readonly Outcome[]> {
		const special = (cell: CellRequest) => cell.probe.sport !== undefined;
		const isError = ({ probe }: CellRequest) => probe.type !== undefined && icmpErrors.has(probe.type);
		if (cells.some(isError)) await this.#tolerateInvalid();
		const denied = { sender: new Set<number>(), receiver: new Set<number>(), both: new Set<number>() };
		const shots = cells.flatMap((request, cell) => this.#shots(request, cell));
		const rounds: Shot[][] = [];
		const free = shots.filter(({ request }) => !special(request));
		for (let start = 0; start < free.length; start += probesPerRound)
			rounds.push(free.slice(start, start + probesPerRound));
		// A given source port is not an identifier: one at a time.
		rounds.push(...shots.filter(({ request }) => special(request)).map((shot) => [shot]));
		let missing: Shot[] = [];
		for (const round of rounds) missing.push(...(await this.#fire(round)));
		for (let attempt = 1; attempt < attempts && missing.length > 0; attempt++) {
			const again: Shot[] = [];
			for (let start = 0; start < missing.length; start += probesPerRound) {
				const slice = missing.slice(start, start + probesPerRound);
				for (const round of slice.some(({ request }) => special(request)) ? slice.map((shot) => [shot]) : [slice])
					again.push(...(await this.#fire(round)));
			}
			missing = again;
		}
		for (const { cell, side } of missing) denied[side].add(cell);
		return cells.map(({ from }, cell): Outcome => {
			if (denied.both.has(cell)) return 'denied';
			const [sender, receiver] = [denied.sender.has(cell), denied.receiver.has(cell)];
			// preDNAT policy drops before any other evaluation; the tables then name only the
			// sender.
			if (sender && receiver) return this.#hasPreDnat(from.place) ? 'denied' : 'x';
			return sender ? 'e' : receiver ? 'i' : '.';
		});
	}

	async close(): Promise<void> {
		for (const { network, enforcer } of this.#nodes.values()) {
			enforcer.close();
			network.close();
		}
		this.#wires.close();
	}

	#node(name: string): EnforcingNode {
		const existing = this.#nodes.get(name);
		if (existing !== undefined) return existing;
		const namespace = `${this.#prefix}n${this.#nodes.size}`;
		const network = new NodeNetwork(namespace, `${this.#prefix}w`, () => this.#index++);
		const made = { network, enforcer: this.#openEnforcer(namespace), policy: undefined, inSync: false };
		this.#nodes.set(name, made);
		return made;
	}

	async #tolerateInvalid(): Promise<void> {
		if (this.#toleratesInvalid) return;
		this.#toleratesInvalid = true;
		for (const node of this.#nodes.values()) {
			if (node.policy === undefined) continue;
			await node.enforcer.kernel.sync({ ...node.policy, settings: { ...node.policy.settings, dropInvalid: false } });
			node.inSync = false;
		}
	}

	#hasPreDnat(place: CellRequest['from']['place']): boolean {
		if (place.type === 'outside') return false;
		const hosts = [...(this.#nodes.get(place.node)?.policy?.hosts.values() ?? [])];
		return hosts.some(({ preDnat }) => preDnat.ingress.tiers.length > 0);
	}

	/** The packets of a cell: one at the node of both ends, or one at each node. */
	#shots(request: CellRequest, cell: number): Shot[] {
		const { from, to } = request;
		const [here, there] = [nodeOf(from.place), nodeOf(to.place)];
		const at = (node: string, side: Shot['side'], enter: Shot['enter'], leave: Shot['leave']): Shot => ({
			cell,
			side,
			node,
			enter,
			leave,
			request,
		});
		const end = (node: string, { place, address }: CellRequest['from']): Shot['enter'] => {
			if (place.type === 'node') return { type: 'host' };
			const port = this.#nodes.get(node)?.network.podPort(address);
			if (port === undefined) throw new Error(`${node} has no pod with the address ${address}`);
			return { type: 'port', port };
		};
		const outside = (node: string): Shot['enter'] => ({ type: 'port', port: this.#node(node).network.uplink });
		if (here !== undefined && here === there) return [at(here, 'both', end(here, from), end(here, to))];
		return [
			...(here === undefined ? [] : [at(here, 'sender', end(here, from), outside(here))]),
			...(there === undefined ? [] : [at(there, 'receiver', outside(there), end(there, to))]),
		];
	}

	/** Sends the packets of a round; returns those that did not arrive at their exit. */
	async #fire(round: readonly Shot[]): Promise<Shot[]> {
		const waiting = new Map<string, Shot>();
		this.#drain(() => {});
		for (const shot of round) {
			const { request, node: name, enter, leave } = shot;
			const node = this.#nodes.get(name);
			if (node === undefined) continue;
			const spec = { ...packetOf(request) };
			const sourcePort = request.probe.sport ?? this.#nextIdentifier();
			const packet = ipPacket({ ...spec, sourcePort });
			const place = leave.type === 'port' ? leave.port.farName : `host ${name}`;
			const target = spec.icmp?.type ?? spec.destinationPort;
			waiting.set(`${place} ${spec.protocol} ${sourcePort} ${target}`, shot);
			if (enter.type === 'port') enter.port.wire.send(ethernetFrame(enter.port.from, enter.port.to, packet));
			else node.network.senders[spec.source.family].send(packet, spec.destination);
		}
		const arrived = (place: string, { protocol, sourcePort, destinationPort }: TransportFacts) =>
			waiting.delete(`${place} ${protocol} ${sourcePort} ${destinationPort}`);
		for (let quiet = 0; quiet < 2 && waiting.size > 0; quiet++) {
			if (this.#drain(arrived) > 0) quiet = -1;
			if (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, quietMs / 2));
		}
		return [...waiting.values()];
	}

	/** Reads all packets that arrived anywhere; returns their number. */
	#drain(visit: (place: string, facts: TransportFacts) => void): number {
		let count = 0;
		for (const [name, { network }] of this.#nodes) {
			for (const { wire, farName } of [network.uplink, ...network.pods.values()]) {
				for (let frame = wire.receive(); frame !== undefined; frame = wire.receive()) {
					const facts = readPacket(frame.subarray(14));
					if (facts === undefined) continue;
					count++;
					visit(farName, facts);
				}
			}
			for (const receiver of network.receivers) {
				for (let bytes = receiver.receive(); bytes !== undefined; bytes = receiver.receive()) {
					const facts = receiver.family === 'ipv4' ? readPacket(bytes) : readTransport(receiver.protocol, bytes);
					if (facts === undefined) continue;
					count++;
					visit(`host ${name}`, facts);
				}
			}
		}
		return count;
	}

	#nextIdentifier(): number {
		this.#identifier = this.#identifier >= identifiers.last ? identifiers.first : this.#identifier + 1;
		return this.#identifier;
	}
}

const nodeOf = (place: CellRequest['from']['place']): string | undefined =>
	place.type === 'outside' ? undefined : place.node;
