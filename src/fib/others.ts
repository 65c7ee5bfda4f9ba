/**
 * Whether somebody else programs the routes that are this node's to program. Two who do so fight: each takes the other's
 * routes for its own errors, or the kernel refuses one of them. So while somebody else is seen, nothing is written.
 */
import { isDeepStrictEqual } from 'node:util';
import { type FibRefusal, type Logger, type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import type { ForeignRoute } from './kernel.ts';

/** Which routes are this node's to program, and what other sources than the kernel say about them. */
export interface Territory {
	/** The pools whose routes we program. */
	readonly pools: readonly PrefixKey[];
	/** The device of our tunnels; `undefined`: no pool needs one. */
	readonly tunnelDevice: string | undefined;
	/** The resources of the cluster give the same routes to somebody else. */
	readonly resources?: FibRefusal | undefined;
}

export const noTerritory: Territory = { pools: [], tunnelDevice: undefined };

const override = 'or set fib.besideOthers: true to write beside them';

/** Who programs cluster routes besides us, by the protocol number that marks their routes. */
const programmers: ReadonlyMap<number, { readonly name: string; readonly hint: string }> = new Map([
	[
		12,
		{
			name: 'BIRD',
			hint: `stop BIRD on this node (Calico's: CALICO_NETWORKING_BACKEND=none); routes that it left behind go with ip route flush proto bird; ${override}`,
		},
	],
	[80, { name: 'Felix', hint: `set programClusterRoutes of FelixConfiguration to Disabled; ${override}` }],
]);

/** The kernel's own: routes that follow from addresses. */
const kernelProtocol = 2;

/** A route by which somebody else may show: it need not lie in a pool. */
export function isTelling(
	{ pools, tunnelDevice }: Territory,
	{ protocol, device }: { readonly protocol: number; readonly device: string | undefined },
): boolean {
	return pools.length > 0 && (programmers.has(protocol) || (device !== undefined && device === tunnelDevice && protocol !== kernelProtocol));
}

/** Who else programs the routes of this territory, and what to do about it; `undefined`: nobody. Pure. */
export function findOthers(territory: Territory, foreign: readonly ForeignRoute[]): FibRefusal | undefined {
	const pools = territory.pools.map((cidr) => parsePrefix(cidr));
	const telling = foreign.filter((route) => isTelling(territory, route));
	const inPool = telling.filter(({ protocol, prefix, via }) => {
		// A route without a gateway leads to a pod of this node: that is nobody's cluster route.
		if (!programmers.has(protocol) || via === undefined) return false;
		const parsed = parsePrefix(prefix);
		return pools.some((pool) => prefixCovers(pool, parsed));
	});
	for (const [number, { name, hint }] of programmers) {
		const [example] = inPool.filter(({ protocol }) => protocol === number);
		if (example !== undefined)
			return {
				seen: 'kernel',
				reason: `${name} programs routes of the pools on this node: ${example.prefix} via ${example.via ?? ''}, route protocol ${number}`,
				hint,
			};
	}
	const tunnelled = telling.find(({ device }) => device !== undefined && device === territory.tunnelDevice);
	if (tunnelled !== undefined)
		return {
			seen: 'kernel',
			reason: `${tunnelled.device ?? ''} is in use by somebody else: ${tunnelled.prefix}, route protocol ${tunnelled.protocol}`,
			hint: `end whoever writes it, and remove it: ip route del ${tunnelled.prefix} proto ${tunnelled.protocol} dev ${tunnelled.device ?? ''}; ${override}`,
		};
	return territory.resources;
}

/** Remembers what was seen last, and says once what changes. */
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

	/** Why nothing is written; `undefined`: nobody is there, or it does not matter. */
	get refusal(): FibRefusal | undefined {
		return this.#beside ? undefined : this.#found;
	}

	/** Should the routes of others be read again because of this one? */
	concerns(route: { readonly protocol: number; readonly device: string | undefined }): boolean {
		return isTelling(this.#territory, route);
	}

	/** Takes over what is ours to program. `released`: what was refused may be written from now on. */
	setTerritory(territory: Territory): { readonly changed: boolean; readonly released: boolean } {
		if (isDeepStrictEqual(territory, this.#territory)) return { changed: false, released: false };
		this.#territory = territory;
		return { changed: true, released: this.#judge() };
	}

	/** Takes over the routes of others. `true`: what was refused may be written from now on. */
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
			if (before === undefined) this.#log.warn('somebody else programs the same routes; writing beside them, as configured', { reason });
			return false;
		}
		// One route of theirs or the next: it is news only when it begins and when it ends.
		if (before === undefined) this.#log.error('no route is written: somebody else programs the same ones', { reason, hint });
		else if (reason === undefined) this.#log.info('nobody else programs our routes any more: they are written from now on');
		this.#onChange?.(this.#found);
		return reason === undefined;
	}
}
