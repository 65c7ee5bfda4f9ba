import type { Config } from '../config/index.ts';
import { type Logger, systemClock } from '../core/index.ts';
import { NextHopTracker, type NextHopTrackerDependencies, openNeighbouringKernel } from '../fib/index.ts';
import { mayAdministerNetwork } from '../linux/index.ts';

/**
 * Are next hops looked for in the kernel? A node that programs no routes (a pure reflector, or one without the right to) is not on the way:
 * its own view says nothing. Pure.
 */
export function tracksNextHops({ bgp, fib }: Pick<Config, 'bgp' | 'fib'>, mayProgram: boolean): boolean {
	const wish = bgp?.nextHopTracking ?? 'auto';
	return wish === 'on' || (wish === 'auto' && fib.enabled && mayProgram);
}

/** Opens the kernel to read it; `undefined`: next hops are not tracked. @throws SystemCallError */
export function openNextHops(
	config: Config,
	log: Logger,
	told: Pick<NextHopTrackerDependencies, 'onChange' | 'ownRouteTo' | 'staticRouteTo'>,
): NextHopTracker | undefined {
	if (!tracksNextHops(config, mayAdministerNetwork())) return undefined;
	const own = log.child({ room: 'next-hops' });
	const kernel = openNeighbouringKernel({ exceptProtocol: config.fib.routeProtocol }, own);
	return new NextHopTracker({ kernel, clock: systemClock, log: own, ...told });
}
