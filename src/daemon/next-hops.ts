import type { Config } from '../config/index.ts';
import type { Clock, Logger } from '../core/index.ts';
import { besideFelixProtocol, felixProtocol, NextHopTracker, openNeighbouringKernel } from '../fib/index.ts';
import { mayAdministerNetwork } from '../linux/index.ts';

/**
 * Are next hops resolved in the kernel? A node that programs no routes (a pure reflector, or one
 * without permission) is not on the path: its kernel cannot resolve them. Pure.
 */
export function tracksNextHops({ bgp, fib }: Pick<Config, 'bgp' | 'fib'>, mayProgram: boolean): boolean {
	const wish = bgp?.nextHopTracking ?? 'auto';
	return wish === 'on' || (wish === 'auto' && fib.enabled && mayProgram);
}

/**
 * Opens the kernel for reading; `undefined`: no part of this node resolves next hops. The kernel's
 * routes are resolved by the same tracker as selection. @throws SystemCallError
 */
export function openNextHops(
	config: Config,
	log: Logger,
	{
		clock,
		onFault,
	}: {
		readonly clock: Clock;
		/** Receives exceptions of kernel event handlers. */
		readonly onFault: (error: unknown) => void;
	},
): NextHopTracker | undefined {
	if (!config.fib.enabled && !tracksNextHops(config, mayAdministerNetwork())) return undefined;
	const own = log.child({ component: 'next-hops' });
	const { routeProtocol } = config.fib;
	const exceptProtocols =
		routeProtocol === undefined ? ([felixProtocol, besideFelixProtocol] as const) : ([routeProtocol] as const);
	const kernel = openNeighbouringKernel({ exceptProtocols, onFault }, own);
	return new NextHopTracker({ kernel, clock, log: own });
}
