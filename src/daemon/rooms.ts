import type { createRib, SpeakerApi } from '../bgp/index.ts';
import type { NextHopTracker } from '../fib/index.ts';
import type { AddressHandlers, Cluster } from '../node/index.ts';
import type { ClusterFollower } from './follower.ts';
import type { KernelSide } from './kernel-side.ts';
import type { NodeState } from './node-state.ts';
import type { PlaneRegistry } from './planes.ts';
import type { OpenedPolicy } from './policy/open.ts';
import type { OpenedServices } from './services/open.ts';

/** All running rooms, connected. */
export interface Rooms {
	readonly speaker: SpeakerApi;
	readonly rib: ReturnType<typeof createRib>;
	/** `undefined`: the kernel is not accessed. */
	readonly kernel: KernelSide | undefined;
	/** The kernel state of this node; none with `fib.enabled: false`. */
	readonly planes: PlaneRegistry<NodeState>;
	/** Resolves next hops, for the kernel's routes too; `undefined`: nothing resolves them. */
	readonly ways: NextHopTracker | undefined;
	/** The same for selection; `undefined`: every next hop counts as reachable. */
	readonly nextHops: NextHopTracker | undefined;
	/** Present with `datastore: kubernetes`. */
	readonly cluster: Cluster | undefined;
	/** Addresses and interfaces of pods; present with `cluster`. */
	readonly addresses: AddressHandlers | undefined;
	/** Applies a changed file, if a cluster is involved too. */
	readonly follower: ClusterFollower | undefined;
	/** Services of the cluster; present with `cluster`. */
	readonly services: OpenedServices | undefined;
	/** Network policy; `undefined`: neither enforced nor configured. */
	readonly policy: OpenedPolicy | undefined;
}
