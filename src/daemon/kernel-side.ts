import type { Config } from '../config/index.ts';
import { type FibView, type Logger, type PrefixKey, systemClock } from '../core/index.ts';
import { Fib, openNetlinkKernel } from '../fib/index.ts';
import { encapsulation, IpipMesh, loadByNft, openNetlinkLinks } from '../ipip/index.ts';
import { tunnelAddress } from './addresses.ts';

/** What this node does to its kernel: routes, tunnel, guard, masquerade. */
export interface KernelSide {
	readonly fib: Fib;
	/** There were routes of an earlier life when this one began: forwarding went on meanwhile. */
	readonly heldRoutes: boolean;
	/** BGP has told all that it knows. */
	setInSync(): void;
	/** Pools, tunnel address and own blocks as a new configuration has them. */
	reconfigure(config: Config): Promise<void>;
	/** Everything stays as it stands in the kernel. */
	stop(): Promise<void>;
}

/** What is shown while the kernel is none of our business. */
export const untouchedView: FibView = { enabled: false, inSync: true, waitingFor: [], routeProtocol: 0, routes: [] };

const source = 'bgp';
const tunnelDevice = 'tunl0';

/** Opens the kernel and brings the tunnel up; `undefined`, and nothing of the kernel is touched, with `fib.enabled: false`. */
export async function openKernelSide(config: Config, log: Logger, origins: Iterable<PrefixKey>): Promise<KernelSide | undefined> {
	const { enabled, routeProtocol, metric } = config.fib;
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
		{ routeProtocol, metric },
		{
			kernel: openNetlinkKernel({ routeProtocol }, fibLog),
			clock,
			random,
			log: fibLog,
			encapsulate: encapsulation({ interfaces: [], pools: config.pools, tunnelDevice }),
			onTunnelEnds: (addresses) => mesh.setTunnelEnds(addresses),
		},
	);
	const bringUp = async ({ pools, ...rest }: Config) => {
		const address = tunnelAddress({ pools, ...rest });
		await mesh.setTunnelAddresses(address === undefined ? [] : [address]);
		await mesh.setPools(pools);
	};
	fib.waitFor([source]);
	fib.setOrigins(origins);
	// The tunnel first: the FIB must not compute with the wrong encapsulation.
	await mesh.start();
	await bringUp(config);
	await fib.start();
	// Nobody has told a route yet: what leads to others is left over.
	const heldRoutes = fib.view().routes.some(({ type, state }) => type === 'unicast' && (state === 'installed' || state === 'extra'));
	return {
		fib,
		heldRoutes,
		setInSync: () => fib.setInSync(source),
		async reconfigure(next) {
			fib.setOrigins(next.bgp?.originate.map(({ prefix }) => prefix) ?? []);
			await bringUp(next);
		},
		async stop() {
			await fib.stop();
			await mesh.stop();
		},
	};
}
