import { createRib, identifierNumber, type Rib, Speaker } from '../bgp/index.ts';
import { type Config, ConfigError } from '../config/index.ts';
import type { Boundary, Clock, Logger } from '../core/index.ts';
import { ownRouteTo, staticRouteTo } from '../fib/index.ts';
import { mayAdministerNetwork } from '../linux/index.ts';
import type { ClusterState } from '../node/index.ts';
import { type NodeAddresses, nodeAddresses } from './addresses.ts';
import type { clusterSessions } from './follower.ts';
import { identityOf } from './identity.ts';
import type { KernelSide, openKernelSide } from './kernel-side.ts';
import { MigrationRoutes } from './migration.ts';
import { openNextHops, tracksNextHops } from './next-hops.ts';
import { bgpOf, type NodeState, normalPriorityOf, poolsOf, type SpeakerConfig } from './node-state.ts';
import { originsOf } from './origins.ts';
import { type PasswordKeys, peerOptionsOf, rangeOptionsOf } from './peer-options.ts';
import { PlaneRegistry } from './planes.ts';
import { hasObsoletePolicy } from './policy/earlier.ts';
import type { Rooms } from './rooms.ts';

/** The part of a cluster in the rooms. */
export interface ClusterPart {
	readonly state: ClusterState;
	readonly sessions: ReturnType<typeof clusterSessions>;
	/** By the name of the node, for a host without IPv4. */
	readonly routerId: string;
}

/** What the rooms are made of. */
export interface ComposeDependencies {
	readonly config: Config;
	readonly configFile: string;
	readonly node: string;
	readonly keys: PasswordKeys;
	readonly log: Logger;
	/** Handler of unexpected exceptions of connections and events. */
	readonly boundary: Boundary;
	/** Its timers pass exceptions to the boundary. */
	readonly clock: Clock;
	/**
	 * An earlier process of this node stopped a moment ago: neighbours may still hold its routes
	 * (RFC 4724 §4.1).
	 */
	readonly restarting: boolean;
}

/**
 * The only place that constructs rooms and connects them: best routes of the RIB go to the FIB, own
 * blocks to both, sessions to the RIB. Starts everything. @throws the error of a failed start
 */
export async function compose(dependencies: ComposeDependencies): Promise<Rooms> {
	const { config, node, log, clock } = dependencies;
	if (config.datastore.type === 'kubernetes') {
		// A node without a cluster does not load this code: megabytes of memory.
		const { composeCluster } = await import('./compose-cluster.ts');
		return composeCluster(dependencies, composeRooms);
	}
	const rooms = await composeRooms(dependencies, undefined);
	const { enforce, resourceFiles } = config.networkPolicy;
	const removesObsolete = await hasObsoletePolicy(config);
	if (!enforce && resourceFiles.length === 0 && !removesObsolete) return rooms;
	const { openPolicy } = await import('./policy/open.ts');
	return {
		...rooms,
		policy: await openPolicy({ node, config, removesObsolete, cluster: undefined, planes: rooms.planes, log, clock }),
	};
}

/**
 * Constructs and starts the rooms; the sessions of `cluster` besides those of the configuration.
 */
async function composeRooms(
	{ config, configFile, node, keys, log, restarting, boundary, clock }: ComposeDependencies,
	cluster: ClusterPart | undefined,
): Promise<Rooms> {
	const state: NodeState = { node, config, cluster: cluster?.state };
	const bgp = speakerConfig(state, configFile);
	const ofCluster = cluster?.sessions ?? { peers: [], peerRoutes: [] };
	const peers = [...bgp.peers.map((peer) => peerOptionsOf(config, peer, keys)), ...ofCluster.peers];
	const addresses = nodeAddresses();
	const identity = identityOf(
		bgp,
		identifierNumber(bgp.routerId ?? defaultRouterId(addresses, cluster?.routerId, configFile)),
	);
	const random = Math.random;

	const onFault = (error: unknown) => boundary.report('kernel', error);
	const ways = openNextHops(config, log, { clock, onFault });
	// Of a node off the path every next hop counts as reachable.
	const nextHops = tracksNextHops(config, mayAdministerNetwork()) ? ways : undefined;
	const planes = new PlaneRegistry<NodeState>(log.child({ component: 'planes' }));
	const rib: Rib = createRib(
		{
			localAsNumber: identity.asNumber,
			routerId: identity.routerId,
			clusterId: identity.clusterId,
			clientToClientReflection: bgp.clientToClientReflection,
			maximumPaths: bgp.maximumPaths,
			normalPriority: (family) => normalPriorityOf(planes.state ?? state, family),
			localAddresses: addresses.all,
		},
		{
			clock,
			random,
			log: log.child({ component: 'rib' }),
			onFault: (error) => boundary.report('rib', error),
			...(nextHops && {
				interiorCost: (nextHop) => nextHops.cost(nextHop),
				interfaceOf: (nextHop) => nextHops.device(nextHop),
				nextHopGone: (nextHop) => nextHops.forget(nextHop),
			}),
		},
	);
	ways?.onChanges((changed) => rib.nextHopsChanged(changed));
	await ways?.start();

	const speaker = new Speaker(
		{
			...identity,
			listen: [bgp.listen],
			peers,
			ranges: bgp.peerRanges.map((range) => rangeOptionsOf(config, range, keys)),
			// A node that does not forward preserves forwarding.
			gracefulRestart: { restarting, forwardingPreserved: true },
		},
		{
			rib,
			clock,
			random,
			log: log.child({ component: 'bgp' }),
			onFault: (error) => boundary.report('bgp', error),
		},
	);
	// If the port is in use the kernel stays unchanged.
	await speaker.listen();

	const origins = originsOf(bgp);
	const migration = new MigrationRoutes(
		rib,
		() => poolsOf(planes.state ?? state).flatMap(({ cidr, foreign }) => (foreign === undefined ? [cidr] : [])),
		log.child({ component: 'migration' }),
	);
	const kernel = await openKernel(state, log, {
		planes,
		peerRoutes: ofCluster.peerRoutes,
		resolve: ways && ((nextHop) => ways.way(nextHop)),
		onRoutes: (staticsMoved) => ways?.ownRoutesChanged(staticsMoved),
		onElevated: (metrics) => migration.set(metrics),
		onFault,
		clock,
	});
	if (kernel !== undefined) {
		const { fib } = kernel;
		ways?.setOwnRoutes({
			ownRouteTo: (address) => ownRouteTo(address, fib.ownRoutes),
			staticRouteTo: (address) => staticRouteTo(address, fib.ownRoutes),
		});
		ways?.onChanges((changed) => fib.nextHopsChanged(changed));
		rib.onChanges((changes) => fib.apply(changes));
		rib.onInSync(() => whenSettled(rib, clock, () => planes.inSync('bgp')));
		// The kernel has kept the routes of the earlier process, or has not: after a reboot.
		speaker.setForwardingPreserved(kernel.heldRoutes);
	}
	ways?.onDevices((device, linkState) => {
		if (linkState !== 'alive') speaker.interfaceLost(device);
	});

	for (const [prefix, attributes] of origins) rib.originate(prefix, attributes);
	rib.expectPeers(
		peers.filter((peer) => peer.enabled).map(({ name }) => name),
		bgp.inSyncTimeoutSeconds,
		restarting,
	);
	await speaker.start();
	return {
		speaker,
		rib,
		kernel,
		planes,
		ways,
		nextHops,
		cluster: undefined,
		addresses: undefined,
		follower: undefined,
		services: undefined,
		policy: undefined,
	};
}

/** A node that does not access its kernel does not load the code of the data planes. */
async function openKernel(...inputs: Parameters<typeof openKernelSide>): Promise<KernelSide | undefined> {
	const [{ config }] = inputs;
	return config.fib.enabled ? (await import('./kernel-side.ts')).openKernelSide(...inputs) : undefined;
}

const settledCheckMs = 10;

/**
 * The last End-of-RIB has arrived, but its routes may still wait for selection: unselected routes
 * must not be swept.
 */
function whenSettled(rib: Rib, clock: Clock, callback: () => void): void {
	if (rib.statistics().dirty === 0) callback();
	else clock.after(settledCheckMs, () => whenSettled(rib, clock, callback));
}

function speakerConfig(state: NodeState, configFile: string): SpeakerConfig {
	const bgp = bgpOf(state);
	const { datastore } = state.config;
	if (bgp !== undefined) return bgp;
	throw new ConfigError(configFile, [
		{
			line: 0,
			column: 0,
			key: 'bgp',
			found: `nothing, with datastore ${datastore.type}`,
			expected: 'the BGP settings, at least { asNumber: 64512 }',
		},
	]);
}

/** `byName`: the identifier of a cluster's node without IPv4. */
function defaultRouterId({ ipv4 }: NodeAddresses, byName: string | undefined, configFile: string): string {
	if (ipv4 !== undefined) return ipv4;
	if (byName !== undefined) return byName;
	throw new ConfigError(configFile, [
		{
			line: 0,
			column: 0,
			key: 'bgp.routerId',
			found: 'nothing, and no IPv4 address on this node to take instead',
			expected: 'an identifier such as 10.0.1.2',
		},
	]);
}
