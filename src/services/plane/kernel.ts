import type { ConntrackFlow } from '../decide/conntrack.ts';
import type { ServicesDifference } from '../difference.ts';
import type { Backend, FrontendKey, PoolKey, ServiceProtocol, ServicesModel } from '../model.ts';

/**
 * The kernel side of services: nftables or eBPF. Each call is one transaction: it takes effect as a
 * whole, or throws and nothing has changed. New objects stand before those that point to them;
 * connections that are established go on.
 */
export interface ServiceKernel {
	/** `nftables`, `ebpf`. */
	readonly name: string;
	/**
	 * The backend numbers that the kernel holds, of an earlier process; empty where there are none.
	 * Called once, before the first `sync`, so that a restart changes no element that is still right.
	 */
	numbers(): Promise<ReadonlyMap<PoolKey, readonly Backend[]>>;
	/**
	 * Reads back what the kernel holds and writes the difference to `model`: at the start, and after
	 * a failure.
	 */
	sync(model: ServicesModel): Promise<SyncReport>;
	/** Writes a difference; the kernel holds the model before it. `model` is the model after it. */
	apply(difference: ServicesDifference, model: ServicesModel): Promise<void>;
	/**
	 * Removes everything of services that is ours; established connections go on as far as conntrack
	 * carries them.
	 */
	remove(): Promise<void>;
}

/**
 * Outcomes of new connections that rules count: translated to an endpoint, rejected (no endpoint),
 * dropped (endpoints, but none for the policy on this node), from a source outside of
 * `loadBalancerSourceRanges`, to an address of a service range that no Service has.
 */
export const serviceOutcomes = ['translated', 'rejected', 'dropped', 'source-refused', 'unused-address'] as const;
export type ServiceOutcome = (typeof serviceOutcomes)[number];

/** Counters in the kernel, from the first write of the rules on. */
export interface ServiceCounters {
	/** New connections by outcome; only grow. */
	outcomes(): Promise<Readonly<Record<ServiceOutcome, number>>>;
	/** New connections by frontend, as long as the frontend exists. */
	frontends(): Promise<ReadonlyMap<FrontendKey, number>>;
}

/** What a read-back found and changed: elements, rules and chains. */
export interface SyncReport {
	readonly added: number;
	readonly removed: number;
}

/** The kernel's table of connections. */
export interface ConntrackKernel {
	/** All UDP flows, translated or not. A flow that is given back to `remove` is the same object. */
	udpFlows(): Promise<readonly ConntrackFlow[]>;
	/** Deletes flows; one that is gone already is no error. Gives the number deleted. */
	remove(flows: readonly ConntrackFlow[]): Promise<number>;
}

/**
 * Connections from one address and port of a Service to one backend. Addresses in canonical text.
 */
export interface ServiceConnections {
	readonly protocol: ServiceProtocol;
	readonly destination: string;
	readonly destinationPort: number;
	readonly backend: string;
	readonly backendPort: number;
	readonly count: number;
}

/** The connections of Services that exist. */
export interface ConnectionsKernel {
	/**
	 * The translated ones, those of TCP that have ended excepted, by original destination and
	 * backend. Reads the whole table.
	 */
	connections(): Promise<readonly ServiceConnections[]>;
}
