import type { Config } from '../../config/index.ts';
import { ControlError, type ServicesView, type TakeoverView } from '../../control/index.ts';
import type { Clock, Logger, PrefixKey } from '../../core/index.ts';
import { natDirectMapNames, Pins } from '../../ebpf/index.ts';
import type { ServerAddress } from '../../kubernetes/index.ts';
import { servicesTable, TableWatch } from '../../nftables/index.ts';
import type { Cluster } from '../../node/index.ts';
import { findOtherProxy } from '../../services/index.ts';
import { directDeviceNames, openVxlanKernel, VxlanMesh } from '../../vxlan/index.ts';
import { nodeAddresses } from '../addresses.ts';
import type { ServiceFigures } from '../metrics/row.ts';
import type { NodeState } from '../node-state.ts';
import type { Rooms } from '../rooms.ts';
import { VxlanPlane } from '../vxlan-plane.ts';
import { DirectReturnKeeper } from './direct-return.ts';
import { directStateOf } from './direct-state.ts';
import { type OpenedServiceKernel, openServiceKernel, serviceKernel } from './kernel.ts';
import { openLoadBalancers } from './open-load-balancers.ts';
import { readProxySigns } from './other-proxy.ts';
import { ServiceSide } from './side.ts';
import type { ServicesWithSockets } from './sockets.ts';
import { serviceFacts } from './state.ts';
import { removeOtherProxy } from './takeover.ts';
import { type ServiceTraffic, servicesView } from './view.ts';

export interface ServiceRoomDependencies {
	readonly node: string;
	readonly config: Config;
	readonly cluster: Cluster;
	readonly rooms: Pick<Rooms, 'rib' | 'planes' | 'kernel'>;
	/**
	 * The real addresses of the API servers, if the credentials contain their Service's address.
	 */
	readonly onApiServers: (addresses: readonly ServerAddress[]) => void;
	/** The newest configuration: a reload changes it. */
	readonly current: () => Config;
	/** Prefixes that this node announces for other reasons. */
	readonly originated: (prefix: PrefixKey) => boolean;
	readonly log: Logger;
	readonly clock: Clock;
}

/** The Services of the cluster at this node, connected to BGP and to the registry of planes. */
export interface OpenedServices {
	readonly side: ServiceSide;
	/** Stops following, announcing and serving; kernel and routes stay unchanged. */
	stop(): Promise<void>;
	/** Applies a new state of the cluster. */
	follow(state: NodeState): void;
	/** All Services, or those that match a name or an address: these with what the kernel counts. */
	view(name?: string): Promise<ServicesView>;
	/** The reason why this node does not program Services although it is configured to. */
	readonly refusal: { readonly reason: string; readonly remedy: string } | undefined;
	/** The programmer of Services; `undefined`: another proxy programs them. */
	readonly kernel: ServicesWithSockets | undefined;
	/** For metrics; `undefined` if Services are not followed. */
	figures(): Promise<ServiceFigures | undefined>;
	/**
	 * Programs Services next to the rules of another proxy, then removes those. @throws
	 * ControlError
	 */
	takeover(options: { readonly dryRun: boolean; readonly force: boolean }): Promise<TakeoverView>;
}

/** Constructs and starts the side of Services. */
export async function openServices(dependencies: ServiceRoomDependencies): Promise<OpenedServices> {
	const { node, config, cluster, rooms, current, originated, clock } = dependencies;
	const log = dependencies.log.child({ component: 'services' });
	const isConfigured = config.services.proxy && rooms.kernel !== undefined;
	let opened: OpenedServiceKernel = isConfigured ? await openServiceKernel(config.services, log) : {};
	const side: ServiceSide = new ServiceSide({
		node,
		client: cluster.client,
		kernel: opened.kernel,
		conntrack: opened.conntrack,
		handover: opened.handover,
		isConfigured,
		onApiServers: dependencies.onApiServers,
		originate: (prefix, attributes) => rooms.rib.originate(prefix, attributes),
		withdraw: (prefix) => rooms.rib.withdrawOrigin(prefix),
		isTaken: originated,
		drainMs: () => current().services.drainSeconds * 1000,
		healthPort: config.services.healthPort,
		onServiceCidrs: () => follow({ node, config: current(), cluster: cluster.state() }),
		clock,
		random: Math.random,
		log,
	});
	await side.start();
	let mesh: VxlanMesh | undefined;
	const direct = new DirectReturnKeeper({
		...{ node, client: cluster.client, clock, log },
		hasEarlier: Pins.existing(config.ebpf.pinDirectory).some((pins) => pins.names().includes(natDirectMapNames[0])),
		mesh: () => mesh,
		onDevice: (isUsed) => rooms.kernel?.guardVxlan(isUsed),
		kernel: () => opened.kernel,
		onSettings: () => follow({ node, config: current(), cluster: cluster.state() }),
	});
	const startDirect = (kernel: ServicesWithSockets) => {
		mesh = new VxlanMesh(
			// No program uses it when it goes.
			{ names: directDeviceNames, lingerSeconds: 0 },
			{ kernel: openVxlanKernel(), clock, log: log.child({ component: 'direct-return' }) },
		);
		mesh.start();
		kernel.watchDirect(() => direct.update());
		rooms.planes.register(new VxlanPlane(mesh, 'direct-return'), () => undefined);
	};
	const follow = (state: NodeState): void => {
		direct.follow(directStateOf(state));
		const facts = serviceFacts(state, node, nodeAddresses().all, side.serviceCidrs, direct.settings);
		if (facts === undefined) return;
		side.plane.apply(facts.plane);
		side.setFacts(facts);
	};
	/** A failure to read is logged: views and metrics go on without. */
	const read = async <T>(what: () => Promise<T>): Promise<T | undefined> => {
		try {
			return await what();
		} catch (error) {
			log.warn('counters of Services not read', { error: error instanceof Error ? error.message : String(error) });
			return undefined;
		}
	};
	const readTraffic = (): Promise<ServiceTraffic | undefined> =>
		read(async () => {
			const { kernel, conntrack } = opened;
			if (kernel === undefined || conntrack === undefined || !side.plane.isSettled) return undefined;
			return { frontends: await kernel.counters.frontends(), connections: await conntrack.connections() };
		});
	let figures: Promise<ServiceFigures | undefined> | undefined;
	const readFigures = async (): Promise<ServiceFigures | undefined> => {
		const { kernel, handover } = opened;
		const { model, totals } = side.plane;
		if (model === undefined || side.informers.length === 0) return undefined;
		const announced = [...side.announced.values()];
		const connections = kernel && (await read(() => kernel.counters.outcomes()));
		const packets = handover && (await read(() => handover.packets()));
		return {
			services: [...(side.plane.state?.services ?? [])].length,
			frontends: model.frontends.size,
			backends: [...model.pools.values()].reduce((sum, { backends }) => sum + backends.length, 0),
			announced: {
				ready: announced.filter(({ state }) => state === 'ready').length,
				draining: announced.filter(({ state }) => state === 'draining').length,
			},
			...totals,
			...(connections === undefined ? {} : { connections }),
			...(handover === undefined || packets === undefined
				? {}
				: { handover: { ...packets, windows: handover.windows.length } }),
		};
	};
	const watch = new TableWatch(servicesTable, {
		isIntact: async () => (await opened.kernel?.isIntact()) ?? true,
		repair: () => side.plane.resync(),
		clock,
		log,
	});
	const loadBalancers = openLoadBalancers(node, config.services, cluster, dependencies);
	// States arrive through `follow`, with the facts that announcements also need; the registry
	// shows and stops the plane.
	rooms.planes.register(side.plane, () => undefined);
	if (opened.kernel !== undefined) startDirect(opened.kernel);
	return {
		side,
		async stop() {
			watch.stop();
			side.stop();
			await direct.stop();
			await loadBalancers?.stop();
		},
		follow,
		view: async (name) => {
			const traffic = name === undefined ? undefined : await readTraffic();
			return servicesView(
				{
					mode: side.isProxy ? 'proxy' : side.informers.length > 0 ? 'follow' : 'off',
					refusal: opened.refusal,
					inSync: side.plane.isComplete,
					state: side.plane.state,
					isProgrammed: (service) => side.plane.isProgrammed(service),
					announced: side.announced.values(),
					windows: opened.handover?.windows ?? [],
					...(traffic === undefined ? {} : { traffic }),
				},
				name,
			);
		},
		get kernel() {
			return opened.kernel;
		},
		get refusal() {
			const { refusal } = opened;
			return refusal && { reason: refusal.seen.join('; '), remedy: refusal.hint };
		},
		figures() {
			// All metrics of one request share one reading.
			figures ??= readFigures().finally(() => {
				figures = undefined;
			});
			return figures;
		},
		async takeover({ dryRun, force }) {
			if (!isConfigured)
				throw new ControlError(
					409,
					'not-configured',
					'this node does not program Services',
					'set services.proxy: true in its configuration and restart bgpmeshd',
				);
			const signs = await readProxySigns();
			const other = findOtherProxy(
				side.isProxy
					? { ...signs, listeningPorts: signs.listeningPorts.filter((port) => port !== config.services.healthPort) }
					: signs,
			);
			if (other?.isRunning === true && !force)
				throw new ControlError(
					409,
					'proxy-runs',
					`another service proxy runs on this node: ${other.seen.join('; ')}`,
					'stop it first: it would write its rules again',
				);
			if (dryRun) return { dryRun, programmed: side.isProxy, removed: await removeOtherProxy(signs, true) };
			if (!side.isProxy) {
				if (!side.plane.isComplete)
					throw new ControlError(
						503,
						'not-in-sync',
						'Services and EndpointSlices are not complete yet',
						'try again later',
					);
				const { kernel, conntrack, handover } = serviceKernel();
				await side.program(kernel, conntrack, handover);
				opened = { kernel, conntrack, handover };
				startDirect(kernel);
			}
			// Both rule sets are active: connections continue by conntrack, new ones match one of
			// the two at every moment.
			if (!side.plane.isSettled)
				throw new ControlError(
					500,
					'not-programmed',
					'the rules of this node do not stand, those of the other proxy are left',
				);
			const removed = await removeOtherProxy(signs, false);
			log.info('services taken over', { removed });
			return { dryRun, programmed: true, removed };
		},
	};
}
