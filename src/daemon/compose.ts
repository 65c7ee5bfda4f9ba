import { join } from 'node:path';
import { createRib, type Rib, Speaker, type SpeakerOptions } from '../bgp/index.ts';
import { type BgpConfig, type Config, ConfigError } from '../config/index.ts';
import { type Logger, systemClock } from '../core/index.ts';
import { ownRouteTo, staticRouteTo } from '../fib/index.ts';
import { identifierNumber, type NodeAddresses, nodeAddresses } from './addresses.ts';
import { Cluster } from './cluster/cluster.ts';
import { ClusterFollower, clusterSessions, withCluster } from './cluster/follower.ts';
import type { ClusterState } from './cluster/state.ts';
import { identityOf } from './identity.ts';
import { type KernelSide, openKernelSide } from './kernel-side.ts';
import { openNextHops } from './next-hops.ts';
import { originsOf } from './origins.ts';
import { type PasswordKeys, peerOptionsOf, rangeOptionsOf } from './peer-options.ts';
import type { Rooms } from './rooms.ts';

/** What the rooms are made from. */
export interface Ingredients {
	readonly config: Config;
	readonly configFile: string;
	readonly node: string;
	readonly keys: PasswordKeys;
	readonly log: Logger;
	/** An earlier process of this node died a moment ago: neighbours may still hold its routes (RFC 4724 §4.1). */
	readonly restarting: boolean;
}

/**
 * The one place that constructs rooms and connects them: best routes of the RIB go to the FIB, own blocks to both, sessions
 * to the RIB. Starts everything; what can't start is thrown.
 */
export async function compose(ingredients: Ingredients): Promise<Rooms> {
	const { config, node, log } = ingredients;
	if (config.datastore.type !== 'kubernetes') return composeRooms(ingredients, undefined);
	// systemd names the folder that it made.
	const stateDirectory = config.datastore.stateDirectory ?? process.env['STATE_DIRECTORY']?.split(':')[0];
	const cluster = await Cluster.open({
		node,
		kubeconfig: config.datastore.kubeconfig,
		stateDirectory,
		addressMode: config.ipam.mode,
		addressDirectory: config.ipam.directory ?? (stateDirectory === undefined ? undefined : join(stateDirectory, 'addresses')),
		garbageCollection: { mode: config.ipam.garbageCollection, graceMs: config.ipam.leakGraceMinutes * 60_000 },
		log: log.child({ room: 'kubernetes' }),
		clock: systemClock,
		random: Math.random,
	});
	try {
		let follow: (state: ClusterState) => void = () => {};
		const first = await cluster.start((state) => follow(state));
		const rooms = await composeRooms({ ...ingredients, config: withCluster(config, first) }, first);
		const follower = new ClusterFollower(config, first, { rooms, clock: systemClock, log, announced: (prefixes) => cluster.setAnnounced(prefixes) });
		// Whatever happens to one state, the next one is taken: the whole is told each time.
		follow = (state) =>
			void follower
				.apply(state)
				.catch((error: unknown) => log.error('could not follow the cluster', { error: error instanceof Error ? error.message : String(error) }));
		follow(cluster.state());
		return { ...rooms, cluster, follower };
	} catch (error) {
		await cluster.stop(false);
		throw error;
	}
}

/** Constructs and starts the rooms; the sessions of `cluster` besides those of the configuration. */
async function composeRooms({ config, configFile, keys, log, restarting }: Ingredients, cluster: ClusterState | undefined): Promise<Rooms> {
	const bgp = speakerConfig(config, configFile);
	const ofCluster = clusterSessions(config, cluster?.topology);
	const peers = [...bgp.peers.map((peer) => peerOptionsOf(config, peer, keys)), ...ofCluster.peers];
	const addresses = nodeAddresses();
	const identity = identityOf(bgp, identifierNumber(bgp.routerId ?? defaultRouterId(addresses, configFile)));
	const random = Math.random;
	const clock = systemClock;

	let kernel: KernelSide | undefined;
	const nextHops = openNextHops(config, log, {
		onChange: (changed) => rib.nextHopsChanged(changed),
		ownRouteTo: (address) => kernel && ownRouteTo(address, kernel.fib.ownRoutes),
		staticRouteTo: (address) => kernel && staticRouteTo(address, kernel.fib.ownRoutes),
	});
	const rib: Rib = createRib(
		{
			localAsNumber: identity.asNumber,
			routerId: identity.routerId,
			clusterId: identity.clusterId,
			clientToClientReflection: bgp.clientToClientReflection,
			localAddresses: addresses.all,
		},
		{
			clock,
			random,
			log: log.child({ room: 'rib' }),
			...(nextHops && {
				interiorCost: (nextHop) => nextHops.cost(nextHop),
				interfaceOf: (nextHop) => nextHops.device(nextHop),
				nextHopGone: (nextHop) => nextHops.forget(nextHop),
			}),
		},
	);
	await nextHops?.start();

	const origins = originsOf(bgp);
	const opened = await openKernelSide(config, log, {
		origins: origins.keys(),
		refusal: cluster?.refusal,
		peerRoutes: ofCluster.peerRoutes,
		onRoutes: (staticsMoved) => nextHops?.ownRoutesChanged(staticsMoved),
	});
	if (opened !== undefined) {
		kernel = opened;
		rib.onChanges((changes) => opened.fib.apply(changes));
		rib.onInSync(() => whenSettled(rib, () => opened.setInSync()));
	}

	const options: SpeakerOptions = {
		...identity,
		listen: [bgp.listen],
		peers,
		ranges: bgp.peerRanges.map((range) => rangeOptionsOf(config, range, keys)),
		// Either the kernel has kept the routes (it has not after a reboot), or this node forwards nothing.
		gracefulRestart: { restarting, forwardingPreserved: kernel?.heldRoutes ?? true },
	};
	const speaker = new Speaker(options, { rib, clock, random, log: log.child({ room: 'bgp' }) });
	for (const [prefix, attributes] of origins) rib.originate(prefix, attributes);
	rib.expectPeers(
		peers.filter((peer) => peer.enabled).map(({ name }) => name),
		bgp.inSyncTimeoutSeconds,
		restarting,
	);
	await speaker.start();
	return { speaker, rib, kernel, nextHops, cluster: undefined, follower: undefined };
}

const settledCheckMs = 10;

/** The last End-of-RIB is in, but its routes may still wait for selection: what is not selected yet must not be swept. */
function whenSettled(rib: Rib, callback: () => void): void {
	if (rib.statistics().dirty === 0) callback();
	else setTimeout(() => whenSettled(rib, callback), settledCheckMs).unref();
}

function speakerConfig({ bgp, datastore }: Config, configFile: string): BgpConfig {
	if (bgp !== undefined) return bgp;
	throw new ConfigError(configFile, [
		{ line: 0, column: 0, key: 'bgp', found: `nothing, with datastore ${datastore.type}`, expected: 'the BGP settings, at least { asNumber: 64512 }' },
	]);
}

function defaultRouterId({ ipv4 }: NodeAddresses, configFile: string): string {
	if (ipv4 !== undefined) return ipv4;
	throw new ConfigError(configFile, [
		{ line: 0, column: 0, key: 'bgp.routerId', found: 'nothing, and no IPv4 address on this node to take instead', expected: 'an identifier such as 10.0.1.2' },
	]);
}
