import { formatAddress } from '../../core/index.ts';
import type { Conntrack, Flow } from '../../linux/index.ts';
import { evaluate, type NodePolicy, type Packet, type WorkloadEndpoint } from '../../policy/index.ts';
import { cutConnection } from './chains.ts';

/** The host's own addresses, in canonical text. */
export type OwnAddresses = ReadonlySet<string>;

/** The pod of this node that has the address. */
export type WorkloadAt = (address: string) => WorkloadEndpoint | undefined;

/**
 * Looks up pods by address. The state may be live: a pod is given as it is at the call, with
 * policies that exist then; one that got its address later is not found.
 */
export function workloadsByAddress({ workloads }: Pick<NodePolicy, 'workloads'>): WorkloadAt {
	const keys = new Map<string, string>();
	for (const [key, { addresses }] of workloads) for (const address of addresses) keys.set(address, key);
	return (address) => {
		const workload = workloads.get(keys.get(address) ?? '');
		return workload?.addresses.includes(address) === true ? workload : undefined;
	};
}

/**
 * Does the policy deny the connection at one of its ends that is a pod of this node? The policy
 * stage sees the source before, and the destination after translation. What the host itself sends
 * to its pods is not judged.
 */
export function isDenied(
	{ family, original, reply }: Flow,
	policy: NodePolicy,
	workloadAt: WorkloadAt,
	own: OwnAddresses,
): boolean {
	const [source, destination] = [formatAddress(original.source), formatAddress(reply.source)];
	const [from, to] = [workloadAt(source), workloadAt(destination)];
	if (from === undefined && to === undefined) return false;
	const packet: Packet = {
		source: { family, bytes: original.source },
		destination: { family, bytes: reply.source },
		protocol: original.protocol,
		sourcePort: original.sourcePort,
		destinationPort: original.icmp === undefined ? reply.sourcePort : 0,
		...(original.icmp === undefined ? {} : { icmp: { type: original.icmp.type, code: original.icmp.code } }),
	};
	if (from !== undefined && evaluate(from.egress, packet, policy).action === 'deny') return true;
	if (to === undefined || own.has(source)) return false;
	return evaluate(to.ingress, packet, policy).action === 'deny';
}

/** Connections that changed their state. */
export interface CutCounts {
	readonly cut: number;
	readonly restored: number;
}

export interface ConnectionCutterDependencies {
	readonly conntrack: Conntrack;
	readonly ownAddresses: () => OwnAddresses;
	/** The same for connections that are not in the kernel's table. */
	readonly beside?: (policy: NodePolicy, own: OwnAddresses) => Promise<CutCounts>;
	/** After a pass that changed something. */
	readonly onCut?: (counts: CutCounts) => void;
	readonly onError?: (error: unknown) => void;
}

/** A pass reads the whole connection table: no more often than this. */
const leastIntervalMs = 1000;

/**
 * Ends established connections that the policy denies: their entries in the connection table get a
 * mark, whose packets the rules drop in both directions. An entry that was only deleted would come
 * back by the next packet of the other direction, as a connection of its own. Where a policy allows
 * it again, the entry is deleted, so that the next packet is judged anew.
 */
export class ConnectionCutter {
	readonly #dependencies: ConnectionCutterDependencies;
	#policy: NodePolicy | undefined;
	#running: Promise<void> | undefined;
	#closed = false;

	constructor(dependencies: ConnectionCutterDependencies) {
		this.#dependencies = dependencies;
	}

	/** The policy changed in the kernel. The state may be live: a pass looks at it as it is then. */
	changed(policy: NodePolicy): void {
		this.#policy = policy;
		if (this.#closed) return;
		this.#running ??= this.#run().finally(() => {
			this.#running = undefined;
			if (this.#policy !== undefined) this.changed(this.#policy);
		});
	}

	/** Resolves when no pass is due. */
	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	close(): void {
		this.#closed = true;
		this.#policy = undefined;
	}

	async #run(): Promise<void> {
		const policy = this.#policy;
		this.#policy = undefined;
		if (policy === undefined) return;
		try {
			await this.#pass(policy);
		} catch (error) {
			this.#dependencies.onError?.(error);
		}
		// A change that comes meanwhile waits; without one, nothing does.
		if (this.#policy !== undefined) await new Promise((resolve) => setTimeout(resolve, leastIntervalMs).unref());
	}

	async #pass(policy: NodePolicy): Promise<void> {
		const { conntrack, ownAddresses, beside, onCut } = this.#dependencies;
		const own = ownAddresses();
		const workloadAt = workloadsByAddress(policy);
		const [cut, restore]: [Flow[], Flow[]] = [[], []];
		for (const family of ['ipv4', 'ipv6'] as const)
			await conntrack.list(family, (flow) => {
				const denied = isDenied(flow, policy, workloadAt, own);
				const isCut = (flow.mark & cutConnection) !== 0;
				if (denied && !isCut) cut.push(flow);
				else if (!denied && isCut) restore.push(flow);
				return false;
			});
		const others = (await beside?.(policy, own)) ?? { cut: 0, restored: 0 };
		const counts = {
			cut: (await conntrack.mark(cut, cutConnection)) + others.cut,
			restored: (await conntrack.remove(restore)) + others.restored,
		};
		if (counts.cut + counts.restored > 0) onCut?.(counts);
	}
}
