import type { Config } from '../config/index.ts';
import { type Logger, systemClock } from '../core/index.ts';
import { NextHopTracker, openNeighbouringKernel } from '../fib/index.ts';

/** Are next hops looked for in the kernel? A node that programs no routes (a pure reflector) is not on the way: its own view says nothing. Pure. */
export function tracksNextHops({ bgp, fib }: Pick<Config, 'bgp' | 'fib'>): boolean {
	const wish = bgp?.nextHopTracking ?? 'auto';
	return wish === 'on' || (wish === 'auto' && fib.enabled);
}

/** Opens the kernel to read it; `undefined`: next hops are not tracked. @throws SystemCallError */
export function openNextHops(config: Config, log: Logger, onChange: (nextHops: ReadonlySet<string>) => void): NextHopTracker | undefined {
	if (!tracksNextHops(config)) return undefined;
	const own = log.child({ room: 'next-hops' });
	const kernel = openNeighbouringKernel({ exceptProtocol: config.fib.routeProtocol }, own);
	return new NextHopTracker({ kernel, clock: systemClock, log: own, onChange });
}
