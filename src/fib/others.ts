/**
 * Detects other programs that own the routes of this node. Two owners conflict: each treats the
 * other's routes as errors, or the kernel refuses one of them. Hence nothing is written while
 * another owner is detected.
 */
import { isDeepStrictEqual } from 'node:util';
import { type FibRefusal, type Logger, type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import type { ForeignRoute, RouteOwnership } from './kernel.ts';

/**
 * The routes that this node programs, and information on other owners from sources besides the
 * kernel.
 */
export interface Territory {
	/** The pools whose routes this node programs. */
	readonly pools: readonly PrefixKey[];
	/** Our tunnel device; `undefined`: no pool requires one. */
	readonly tunnelDevice: string | undefined;
	/** The cluster's resources assign the same routes to another program. */
	readonly resources?: FibRefusal | undefined;
	/** Which routes are ours. Absent: those with the protocol of the FIB's options. */
	readonly ownership?: RouteOwnership;
}

export const noTerritory: Territory = { pools: [], tunnelDevice: undefined };

const override = 'or set fib.besideOthers: true to write beside them';

/** Other programs that program cluster routes, by their route protocol number. */
const programmers: ReadonlyMap<number, { readonly name: string; readonly hint: string }> = new Map([
	[
		12,
		{
			name: 'BIRD',
			hint:
				"stop BIRD on this node (Calico's: CALICO_NETWORKING_BACKEND=none); routes that it left " +
				`behind go with ip route flush proto bird; ${override}`,
		},
	],
	[
		80,
		{
			name: 'Felix',
			hint:
				'set programClusterRoutes of FelixConfiguration to Disabled; routes that a Felix left behind ' +
				`go with ip route flush proto 80 metric 0; ${override}`,
		},
	],
]);

/** The protocol of routes that the kernel derives from addresses. */
const kernelProtocol = 2;

/** True for a route that may indicate another owner: it need not lie in a pool. */
export function isTelling(
	{ pools, tunnelDevice }: Territory,
	{ protocol, device }: { readonly protocol: number; readonly device: string | undefined },
): boolean {
	return (
		pools.length > 0 &&
		(programmers.has(protocol) || (device !== undefined && device === tunnelDevice && protocol !== kernelProtocol))
	);
}

/** The other owner of the routes of this territory, with a remedy; `undefined`: none. Pure. */
export function findOthers(territory: Territory, foreign: readonly ForeignRoute[]): FibRefusal | undefined {
	const pools = territory.pools.map((cidr) => parsePrefix(cidr));
	const telling = foreign.filter((route) => isTelling(territory, route));
	const inPool = telling.filter(({ protocol, prefix, via }) => {
		// A route without a gateway leads to a pod of this node: it is no cluster route.
		if (!programmers.has(protocol) || via === undefined) return false;
		const parsed = parsePrefix(prefix);
		return pools.some((pool) => prefixCovers(pool, parsed));
	});
	for (const [number, { name, hint }] of programmers) {
		const [example] = inPool.filter(({ protocol }) => protocol === number);
		if (example !== undefined)
			return {
				seen: 'kernel',
				reason:
					`${name} programs routes of the pools on this node: ${example.prefix} via ` +
					`${example.via ?? ''}, route protocol ${number}`,
				hint,
			};
	}
	const tunnelled = telling.find(({ device }) => device !== undefined && device === territory.tunnelDevice);
	if (tunnelled !== undefined)
		return {
			seen: 'kernel',
			reason:
				`${tunnelled.device ?? ''} is in use by another program: ${tunnelled.prefix}, route protocol ` +
				`${tunnelled.protocol}`,
			hint:
				`end the program that writes it, and remove it: ip route del ${tunnelled.prefix} proto ` +
				`${tunnelled.protocol} dev ${tunnelled.device ?? ''}; ${override}`,
		};
	return territory.resources;
}

/** Keeps the last detection, and logs changes once. */
export class Others {
	readonly #beside: boolean;
	readonly #log: Logger;
	readonly #onChange: ((refusal: FibRefusal | undefined) => void) | undefined;
	#territory = noTerritory;
	#foreign: readonly ForeignRoute[] = [];
	#found: FibRefusal | undefined;

	constructor(beside: boolean, log: Logger, onChange: ((refusal: FibRefusal | undefined) => void) | undefined) {
		this.#beside = beside;
		this.#log = log;
		this.#onChange = onChange;
	}

	/** The reason why nothing is written; `undefined`: no other owner, or the check is disabled. */
	get refusal(): FibRefusal | undefined {
		return this.#beside ? undefined : this.#found;
	}

	/** True if a change of this route requires a new read of the foreign routes. */
	concerns(route: { readonly protocol: number; readonly device: string | undefined }): boolean {
		return isTelling(this.#territory, route);
	}

	/** Sets the territory. `released`: writing is allowed from now on, or other routes are ours. */
	setTerritory(territory: Territory): { readonly changed: boolean; readonly released: boolean } {
		if (isDeepStrictEqual(territory, this.#territory)) return { changed: false, released: false };
		// Routes that become ours must be read as such.
		const adopts = !isDeepStrictEqual(territory.ownership, this.#territory.ownership);
		this.#territory = territory;
		return { changed: true, released: this.#judge() || adopts };
	}

	/** Evaluates the foreign routes. `true`: writing is allowed from now on. */
	look(foreign: readonly ForeignRoute[]): boolean {
		this.#foreign = foreign;
		return this.#judge();
	}

	#judge(): boolean {
		const before = this.#found;
		this.#found = findOthers(this.#territory, this.#foreign);
		const { reason, hint } = this.#found ?? {};
		if (before?.reason === reason) return false;
		if (this.#beside) {
			if (before === undefined)
				this.#log.warn('another program owns the same routes; writing beside it, as configured', { reason });
			return false;
		}
		// Only the begin and the end of a conflict are logged, not a different example route.
		if (before === undefined)
			this.#log.error('no route is written: another program owns the same ones', { reason, hint });
		else if (reason === undefined)
			this.#log.info('no other program owns our routes any more: they are written from now on');
		this.#onChange?.(this.#found);
		return reason === undefined;
	}
}
