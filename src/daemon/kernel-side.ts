import type { Config } from '../config/index.ts';
import { type FibRefusal, type FibView, hostPrefix, type Logger, type PrefixKey, systemClock } from '../core/index.ts';
import { Fib, openNetlinkKernel, type StaticRoute } from '../fib/index.ts';
import { encapsulation, IpipMesh, loadByNft, openNetlinkLinks, type TunnelPool } from '../ipip/index.ts';
import type { PeerRoute } from '../kubernetes/index.ts';
import { tunnelAddress } from './addresses.ts';

/** What this node does to its kernel: routes, tunnel, guard, masquerade. */
export interface KernelSide {
	readonly fib: Fib;
	/** There were routes of an earlier life when this one began: forwarding went on meanwhile. */
	readonly heldRoutes: boolean;
	/** BGP has told all that it knows. */
	setInSync(): void;
	/** Pools, tunnel address and own blocks as a new configuration has them; `refusal`: the cluster's resources give our routes to somebody else. */
	reconfigure(config: Config, refusal: FibRefusal | undefined): Promise<void>;
	/** How neighbours are reached, all of them that need a route of their own. Resolves when the routes stand, or were refused. */
	setPeerRoutes(routes: readonly PeerRoute[]): Promise<void>;
	/** Everything stays as it stands in the kernel. */
	stop(): Promise<void>;
}

/** What is shown while the kernel is none of our business. */
export const untouchedView: FibView = { enabled: false, inSync: true, waitingFor: [], routeProtocol: 0, routes: [] };

const source = 'bgp';
const tunnelDevice = 'tunl0';

/** What the kernel side begins with. */
export interface KernelSideBeginning {
	readonly origins: Iterable<PrefixKey>;
	readonly refusal: FibRefusal | undefined;
	readonly peerRoutes: readonly PeerRoute[];
	/** Called when our routes in the kernel have changed; `staticsMoved`: static ones among them. */
	readonly onRoutes: (staticsMoved: boolean) => void;
}

const staticRoute = ({ address, gateway, resource }: PeerRoute): StaticRoute => ({
	prefix: hostPrefix(address),
	via: gateway,
	reason: `reachableBy of BGPPeer ${resource}`,
});

/** Opens the kernel and brings the tunnel up; `undefined`, and nothing of the kernel is touched, with `fib.enabled: false`. */
export async function openKernelSide(
	config: Config,
	log: Logger,
	{ origins, refusal, peerRoutes, onRoutes }: KernelSideBeginning,
): Promise<KernelSide | undefined> {
	const { enabled, routeProtocol, metric, besideOthers } = config.fib;
	if (!enabled) return undefined;
	const clock = systemClock;
	const random = Math.random;
	const fibLog = log.child({ room: 'fib' });
	const { mtuBytes, guard } = config.ipip;
	const mesh: IpipMesh = new IpipMesh(
		{ device: tunnelDevice, guard, ...(mtuBytes === undefined ? {} : { mtuBytes }) },
		{
			links: openNetlinkLinks(),
			loadRules: loadByNft,
			clock,
			random,
			log: log.child({ room: 'ipip' }),
			onEncapsulate: (encapsulate) => fib.setEncapsulate(encapsulate),
		},
	);
	const fib: Fib = new Fib(
		{ routeProtocol, metric, besideOthers },
		{
			kernel: openNetlinkKernel({ routeProtocol }, fibLog),
			clock,
			random,
			log: fibLog,
			encapsulate: encapsulation({ interfaces: [], pools: config.pools, tunnelDevice }),
			onRoutes,
			onTunnelEnds: (addresses) => mesh.setTunnelEnds(addresses),
			onRefusal: (seen) => void mesh.setLeftAlone(seen !== undefined),
		},
	);
	let current = config;
	const bringUp = async () => {
		const address = tunnelAddress(current);
		await mesh.setTunnelAddresses(address === undefined ? [] : [address]);
		await mesh.setPools(current.pools);
	};
	const claimTerritory = (resources: FibRefusal | undefined) => {
		const pools: readonly TunnelPool[] = current.pools;
		const ours = pools.filter(({ foreign }) => foreign === undefined);
		const tunnels = ours.some(({ ipipMode }) => ipipMode !== 'Never');
		return fib.setTerritory({ pools: ours.map(({ cidr }) => cidr), tunnelDevice: tunnels ? tunnelDevice : undefined, resources });
	};
	fib.waitFor([source]);
	fib.setOrigins(origins);
	void fib.setStatics(peerRoutes.map(staticRoute));
	// The tunnel first: the FIB must not compute with the wrong encapsulation.
	await mesh.start();
	// Whoever else is there must be seen before anything is touched.
	await claimTerritory(refusal);
	await bringUp();
	await fib.start();
	// Nobody has told a route yet: what leads to others, and was not made just now, is left over.
	const made = new Set(peerRoutes.map(({ address }) => hostPrefix(address)));
	const heldRoutes = fib
		.view()
		.routes.some(({ prefix, type, state }) => !made.has(prefix) && type === 'unicast' && (state === 'installed' || state === 'extra'));
	return {
		fib,
		heldRoutes,
		setInSync: () => fib.setInSync(source),
		async reconfigure(next, resources) {
			current = next;
			await claimTerritory(resources);
			fib.setOrigins(next.bgp?.originate.map(({ prefix }) => prefix) ?? []);
			await bringUp();
		},
		setPeerRoutes: (routes) => fib.setStatics(routes.map(staticRoute)),
		async stop() {
			await fib.stop();
			await mesh.stop();
		},
	};
}
