import { join } from 'node:path';
import { routerIdByHash, ServerAddresses } from '../kubernetes/index.ts';
import { Cluster, type ClusterState } from '../node/index.ts';
import type { ClusterPart, ComposeDependencies } from './compose.ts';
import { ClusterFollower, clusterSessions } from './follower.ts';
import { felixRunsOnHost } from './host-felix.ts';
import { overlayOverheadBytes, podSide } from './pods.ts';
import { hasObsoletePolicy } from './policy/earlier.ts';
import { openPolicy } from './policy/open.ts';
import type { Rooms } from './rooms.ts';
import { readApiServers, writeApiServers } from './services/api-servers.ts';
import { openServices } from './services/open.ts';

/**
 * Connects the rooms with a cluster: `composeRooms` constructs those that every node has. @throws
 * the error of a failed start
 */
export async function composeCluster(
	dependencies: ComposeDependencies,
	composeRooms: (dependencies: ComposeDependencies, cluster: ClusterPart) => Promise<Rooms>,
): Promise<Rooms> {
	const { config, node, log, clock } = dependencies;
	const { datastore } = config;
	if (datastore.type !== 'kubernetes') throw new TypeError('the datastore is no cluster');
	// systemd passes the folder that it created.
	const stateDirectory = datastore.stateDirectory ?? process.env['STATE_DIRECTORY']?.split(':')[0];
	// The program of the API server's Service must not depend on that Service.
	const serverAddresses = config.services.proxy ? new ServerAddresses() : undefined;
	serverAddresses?.set(await readApiServers(stateDirectory));
	const cluster = await Cluster.open(
		{
			node,
			kubeconfig: datastore.kubeconfig,
			...(serverAddresses === undefined ? {} : { serverAddresses }),
			stateDirectory,
			addressMode: config.ipam.mode,
			addressDirectory:
				config.ipam.directory ?? (stateDirectory === undefined ? undefined : join(stateDirectory, 'addresses')),
			addressDetection: config.nodeAddress,
			garbageCollection: { mode: config.ipam.garbageCollection, graceMs: config.ipam.leakGraceMinutes * 60_000 },
			awaitsNetwork: true,
		},
		{ log: log.child({ component: 'kubernetes' }), clock, random: Math.random, felixRunsOnHost },
	);
	try {
		const first = await cluster.start();
		const rooms = await composeRooms(dependencies, {
			state: first,
			sessions: clusterSessions(config, first.topology),
			routerId: routerIdByHash(node),
		});
		const follower = new ClusterFollower(config, first, {
			node,
			rooms,
			clock,
			log,
			announced: (prefixes) => cluster.setAnnounced(prefixes),
		});
		const services = await openServices({
			...{ node, config, cluster, rooms, log, clock },
			onApiServers: (addresses) => {
				serverAddresses?.set(addresses);
				void writeApiServers(stateDirectory, addresses, log);
			},
			current: () => follower.config,
			originated: (prefix) => follower.originates(prefix),
		});
		const follow = dependencies.boundary.guard('cluster', (state: ClusterState) => {
			void follower.apply(state);
			services.follow({ node, config: follower.config, cluster: state });
		});
		cluster.onChanges(follow);
		// States between the first one and now.
		follow(cluster.state());
		const policy = await openPolicy({
			...{ node, config, cluster, planes: rooms.planes, log, clock },
			removesObsolete: await hasObsoletePolicy(config),
			services: () => services.kernel,
		});
		const pods = podSide({
			...{ cluster, stateDirectory, log, clock },
			overheadBytes: () => overlayOverheadBytes({ node, config, cluster: cluster.state() }),
			secured: async (endpoint) => policy?.side.secured(endpoint),
		});
		if (rooms.kernel !== undefined) await pods.start();
		return { ...rooms, cluster, addresses: pods.addresses, follower, services, policy };
	} catch (error) {
		await cluster.stop(false);
		throw error;
	}
}
