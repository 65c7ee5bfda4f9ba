import { join } from 'node:path';
import type { Clock, Logger } from '../core/index.ts';
import { tunnelOverheadBytes } from '../encapsulation/index.ts';
import { type AddressHandlers, type Cluster, type PodEndpoint, podService, ReleaseQueue } from '../node/index.ts';
import { openPodKernel, PodInterfaces } from '../pods/index.ts';
import { type NodeState, poolsOf } from './node-state.ts';

/** Addresses and interfaces of this node's pods, and pending releases. */
export interface PodSide {
	readonly addresses: AddressHandlers;
	/**
	 * Starts with the state of an earlier process: interfaces are repaired, pending releases
	 * completed.
	 */
	start(): Promise<void>;
	stop(): void;
}

export interface PodSideDependencies {
	readonly cluster: Cluster;
	/** `undefined`: pending releases are not stored. */
	readonly stateDirectory: string | undefined;
	/** Bytes of overhead of the overlay per packet. */
	readonly overheadBytes: () => number;
	/** Resolves when the policy of a new endpoint is in the kernel. */
	readonly secured: (endpoint: PodEndpoint) => Promise<void>;
	readonly log: Logger;
	readonly clock: Clock;
}

/**
 * Constructs the handlers of CNI requests. The kernel is opened with the first pod, or at the start
 * if pods exist.
 */
export function podSide({ cluster, stateDirectory, overheadBytes, secured, log, clock }: PodSideDependencies): PodSide {
	const podLog = log.child({ component: 'pods' });
	let opened: PodInterfaces | undefined;
	const interfaces = () => {
		opened ??= new PodInterfaces({ kernel: openPodKernel(), overheadBytes, clock, log: podLog });
		return opened;
	};
	const queue =
		stateDirectory === undefined
			? undefined
			: new ReleaseQueue({
					folder: join(stateDirectory, 'releases'),
					release: async (attachment) => cluster.addresses.cniDelete({ request: attachment }),
					clock,
					log: podLog,
				});
	return {
		addresses: podService({
			addresses: cluster.addresses,
			interfaces,
			queue,
			secured,
			annotations: cluster.podAnnotations,
			log: podLog,
		}),
		async start() {
			queue?.start();
			await interfaces().repair();
		},
		stop: () => queue?.stop(),
	};
}

/** The bytes that the largest tunnel of any pool adds to a packet. Pure. */
export const overlayOverheadBytes = (state: NodeState): number =>
	Math.max(
		0,
		...poolsOf(state).map(({ cidr, ipipMode, vxlanMode = 'Never' }) => {
			if (vxlanMode !== 'Never') return cidr.includes(':') ? tunnelOverheadBytes.vxlanIpv6 : tunnelOverheadBytes.vxlan;
			return ipipMode === 'Never' ? 0 : tunnelOverheadBytes.ipip;
		}),
	);
