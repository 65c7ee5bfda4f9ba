import type { createRib, SpeakerApi } from '../bgp/index.ts';
import type { NextHopTracker } from '../fib/index.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { ClusterFollower } from './cluster/follower.ts';
import type { KernelSide } from './kernel-side.ts';

/** Everything that runs, connected. */
export interface Rooms {
	readonly speaker: SpeakerApi;
	readonly rib: ReturnType<typeof createRib>;
	/** `undefined`: nothing of the kernel is touched. */
	readonly kernel: KernelSide | undefined;
	/** `undefined`: every next hop counts as reachable. */
	readonly nextHops: NextHopTracker | undefined;
	/** Present with `datastore: kubernetes`. */
	readonly cluster: Cluster | undefined;
	/** Brings the rooms to a file that has changed, where the cluster has a say too. */
	readonly follower: ClusterFollower | undefined;
}
