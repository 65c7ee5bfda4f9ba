import { type Clock, formatPrefix, hostPrefix, type Logger, type PrefixKey } from '../core/index.ts';
import { encapsulation } from '../encapsulation/index.ts';
import { Fib, openNetlinkKernel, type StaticRoute, type Way } from '../fib/index.ts';
import { IpipMesh } from '../ipip/index.ts';
import type { PeerRoute } from '../kubernetes/index.ts';
import { loadRuleset, openEchoSocket, openNetlinkLinks, RouteTable, RouteType, Rtnetlink } from '../linux/index.ts';
import { RuleKeeper } from '../nftables/index.ts';
import { TunnelProbe } from '../tunnel-probe/index.ts';
import { isDirectDevice, openVxlanKernel, VxlanMesh } from '../vxlan/index.ts';
import { IpipPlane } from './ipip-plane.ts';
import { LeftRoutesWatch } from './left-routes.ts';
import {
	areasOf,
	datastoreRoutesOf,
	ipipAddressOf,
	ipipMtuBytesOf,
	type NodeState,
	nodeAddressesOf,
	normalPrioritiesOf,
	ownershipOf,
	poolsOf,
	preferredSourcesOf,
	programmedBlocksOf,
	territoryOf,
	tunnelsOf,
	vxlanRemotesOf,
	vxlanStateOf,
} from './node-state.ts';
import type { PlaneRegistry } from './planes.ts';
import { probeTargetsOf } from './probe-targets.ts';
import { datastoreSource, RoutesPlane } from './routes-plane.ts';
import { GuardPlane, type GuardState, NatPlane } from './rules-planes.ts';
import { directReturnOf } from './services/direct-state.ts';
import { VxlanPlane } from './vxlan-plane.ts';

/** The parts of the kernel side that the daemon uses besides the registry of planes. */
export interface KernelSide {
	readonly fib: Fib;
	/** The kernel had routes of an earlier process at the start: forwarding was preserved. */
	readonly heldRoutes: boolean;
	/** The search for links that drop packets of the tunnels' full size. */
	readonly tunnelProbe: TunnelProbe;
	/** The search for routes that are left to another program, and that it does not write. */
	readonly leftRoutes: LeftRoutesWatch;
	/** The tunnel devices that this node needs now. */
	readonly tunnelDevices: readonly string[];
	/**
	 * The routes to all neighbours that need one. Resolves when the routes are installed, or were
	 * refused.
	 */
	setPeerRoutes(routes: readonly PeerRoute[]): Promise<void>;
	/** Packets of VXLAN are taken for direct server return, from known nodes alone. */
	guardVxlan(isTaken: boolean): void;
}

/** The source of routes that must be complete before anything is swept. */
const bgpSource = 'bgp';
const tunnelDevice = 'tunl0';

export interface KernelSideDependencies {
	/** Receives the planes that are opened here. */
	readonly planes: PlaneRegistry<NodeState>;
	readonly peerRoutes: readonly PeerRoute[];
	/** The way to a next hop; `undefined`: the FIB resolves by the routes of its table. */
	readonly resolve: ((nextHop: string) => Way | undefined) | undefined;
	/**
	 * Called when our routes in the kernel have changed; `staticsMoved`: static ones among them.
	 */
	readonly onRoutes: (staticsMoved: boolean) => void;
	/** Called with the host routes of workloads that move to this node, and their metrics. */
	readonly onElevated: (metrics: ReadonlyMap<PrefixKey, number>) => void;
	/** Receives exceptions of kernel event handlers. */
	readonly onFault: (error: unknown) => void;
	readonly clock: Clock;
}

const staticRoute = ({ address, gateway, resource }: PeerRoute): StaticRoute => ({
	prefix: hostPrefix(address),
	via: gateway,
	reason: `reachableBy of BGPPeer ${resource}`,
});

/**
 * Opens the kernel, registers its planes and starts them; `undefined`, without any kernel access,
 * with `fib.enabled: false`.
 */
export async function openKernelSide(
	state: NodeState,
	log: Logger,
	{ planes, peerRoutes, resolve, onRoutes, onElevated, onFault, clock }: KernelSideDependencies,
): Promise<KernelSide | undefined> {
	const { enabled, metric, table, besideOthers } = state.config.fib;
	if (!enabled) return undefined;
	const { protocol: routeProtocol } = ownershipOf(state);
	const random = Math.random;
	const fibLog = log.child({ component: 'fib' });
	const rules = (name: string) =>
		new RuleKeeper(name, { load: loadRuleset, clock, random, log: log.child({ component: 'nftables' }) });
	const links = openNetlinkLinks();
	const ipip: IpipMesh = new IpipMesh(
		{ device: tunnelDevice },
		{
			links,
			clock,
			log: log.child({ component: 'ipip' }),
			onInterfaces: (interfaces) => routes.setInterfaces(interfaces),
		},
	);
	const vxlan = new VxlanMesh({}, { kernel: openVxlanKernel(), clock, log: log.child({ component: 'vxlan' }) });
	const guard = new GuardPlane(rules('guard'), state.config.ipip.guard && state.config.vxlan.guard, clock);
	const fib: Fib = new Fib(
		{
			...{ routeProtocol, metric, besideOthers, sources: preferredSourcesOf(state) },
			normalMetrics: normalPrioritiesOf(state),
		},
		{
			kernel: openNetlinkKernel({ routeProtocol, table, onFault }, fibLog),
			clock,
			random,
			log: fibLog,
			encapsulate: encapsulation({ interfaces: [], pools: areasOf(state), tunnelDevice }),
			resolve,
			onRoutes,
			onElevated,
			onTunnelEnds: (addresses) => guard.setTunnelEnds(addresses),
			onRefusal: (seen) => void ipip.setLeftAlone(seen !== undefined),
		},
	);
	const routes = new RoutesPlane({
		fib,
		tunnelDevice,
		tunnelsReady: async () => {
			await ipip.whenIdle();
			await vxlan.whenIdle();
		},
		clock,
	});
	fib.waitFor([bgpSource, datastoreSource]);
	void fib.setStatics(peerRoutes.map(staticRoute));
	// What an earlier process used for direct server return is used until more is known.
	guard.setVxlan((await links.links()).some(({ name }) => isDirectDevice(name)));
	// Interfaces first: without them the FIB would compute the wrong encapsulation.
	await ipip.start();
	vxlan.start();
	// Other route owners must be detected before the first write.
	await fib.setTerritory(territoryOf(state, tunnelDevice));
	planes.register(new NatPlane(rules('nat')), poolsOf);
	planes.register(guard, (node: NodeState) => ({
		nodes: nodeAddressesOf(node),
		...vxlanOf(node),
		pools: poolsOf(node).map(({ cidr }) => cidr),
	}));
	planes.register(new IpipPlane(ipip), (node: NodeState) => ({
		pools: poolsOf(node),
		address: ipipAddressOf(node),
		mtuBytes: ipipMtuBytesOf(node),
	}));
	planes.register(new VxlanPlane(vxlan), vxlanStateOf);
	planes.register(routes, (node: NodeState) => ({
		territory: territoryOf(node, tunnelDevice),
		origins: programmedBlocksOf(node),
		pools: areasOf(node),
		vxlanTunnels: tunnelsOf(vxlanRemotesOf(node)),
		datastore: datastoreRoutesOf(node),
		normalMetrics: normalPrioritiesOf(node),
	}));
	planes.apply(state);
	await planes.whenIdle();
	await fib.start();
	// No source has sent a route yet: existing routes to other nodes are from an earlier process.
	const made = new Set(peerRoutes.map(({ address }) => hostPrefix(address)));
	const heldRoutes = fib.view().routes.some(({ prefix, type, state: found }) => {
		const isThere = found === 'installed' || found === 'extra';
		return !made.has(prefix) && type === 'unicast' && isThere;
	});
	const tunnelProbe = new TunnelProbe({
		intervalSeconds: () => {
			const { enabled: isOn, intervalSeconds } = (planes.state ?? state).config.tunnelProbe;
			return isOn ? intervalSeconds : undefined;
		},
		targets: async () => {
			const now = planes.state ?? state;
			// Without a tunnel there is nothing to read.
			if (!ipip.needed && vxlan.devices.length === 0) return [];
			return probeTargetsOf(now, { interfaces: ipip.interfaces, links: await links.links(), tunnelDevice });
		},
		open: openEchoSocket,
		clock,
		log: log.child({ component: 'tunnel-probe' }),
	});
	tunnelProbe.start();
	const leftRoutes = new LeftRoutesWatch(() => {
		const now = planes.state ?? state;
		return { pools: poolsOf(now), nodes: new Set(nodeAddressesOf(now)), known: fib.eachRoute() };
	}, unicastPrefixes);
	return {
		fib,
		heldRoutes,
		tunnelProbe,
		leftRoutes,
		get tunnelDevices() {
			return [...(ipip.needed ? [ipip.deviceName] : []), ...vxlan.devices];
		},
		setPeerRoutes: (routes) => fib.setStatics(routes.map(staticRoute)),
		guardVxlan: (isTaken) => guard.setVxlan(isTaken),
	};
}

/** The prefixes of the unicast routes in the main table. @throws the system's error */
async function unicastPrefixes(): Promise<ReadonlySet<PrefixKey>> {
	const netlink = new Rtnetlink();
	try {
		const lists = await Promise.all(
			(['ipv4', 'ipv6'] as const).map((family) => netlink.routes({ family, table: RouteTable.main })),
		);
		return new Set(
			lists
				.flat()
				.filter(({ type }) => type === RouteType.unicast)
				.map(({ destination, length }) => formatPrefix(destination, length)),
		);
	} finally {
		netlink.close();
	}
}

/**
 * The port of VXLAN, needed by a pool of ours or by direct server return: packets of other nodes
 * come by it with the addresses of clients.
 */
function vxlanOf(state: NodeState): Pick<GuardState, 'vxlanPort' | 'takesVxlan'> {
	const { families, port } = vxlanStateOf(state);
	return { vxlanPort: port, takesVxlan: families.length > 0 || directReturnOf(state) !== undefined };
}
