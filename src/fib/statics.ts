import { familyOf, type PrefixKey, parsePrefix } from '../core/index.ts';
import { sameRoute } from './diff.ts';
import type { ForeignRoute, KernelRoute } from './kernel.ts';
import { type PrefixTable, routesOf } from './prefix-table.ts';

/** A route that does not depend on BGP neighbours, through a gateway on a connected link. */
export interface StaticRoute {
	readonly prefix: PrefixKey;
	/** The gateway, canonical text, of the prefix's family. */
	readonly via: string;
	/** The source of the route, as text. */
	readonly reason: string;
}

/** A static route for the kernel, which derives the interface from the gateway. */
export function staticKernelRoute({ prefix, via }: StaticRoute, metric: number): KernelRoute {
	return {
		prefix,
		family: familyOf(parsePrefix(prefix).bytes),
		type: 'unicast',
		via,
		device: undefined,
		onlink: false,
		metric,
	};
}

/**
 * A foreign route with the same prefix: the lower metric wins in the kernel. The kernel refuses a
 * second route with the same metric.
 */
export interface Contender {
	readonly prefix: PrefixKey;
	/** True if the kernel prefers the foreign route. */
	readonly before: boolean;
	readonly text: string;
}

/** The foreign routes with the prefixes of static routes. Pure. */
export function contenders(
	statics: ReadonlyMap<PrefixKey, StaticRoute>,
	foreign: readonly ForeignRoute[],
	metric: number,
): Contender[] {
	return foreign
		.filter((route) => statics.has(route.prefix) && route.metric !== metric)
		.map((route) => {
			const way = [
				route.via === undefined ? '' : ` via ${route.via}`,
				route.device === undefined ? '' : ` dev ${route.device}`,
			].join('');
			const theirs = `a route of another owner${way}, metric ${route.metric}, route protocol ${route.protocol}`;
			const before = route.metric < metric;
			return {
				prefix: route.prefix,
				before,
				text: before ? `not used: ${theirs}, goes before it` : `goes before ${theirs}`,
			};
		});
}

/** The desired static routes, their state in the kernel, and the logged conflicts. */
export class Statics {
	#wanted: ReadonlyMap<PrefixKey, StaticRoute> = new Map();
	#held: readonly ForeignRoute[] = [];
	#contenders: readonly Contender[] = [];

	get wanted(): ReadonlyMap<PrefixKey, StaticRoute> {
		return this.#wanted;
	}

	/** The installed ones in the form of foreign routes: next hops are resolved by them, too. */
	get held(): readonly ForeignRoute[] {
		return this.#held;
	}

	/** Sets the desired routes; returns the changed prefixes. */
	set(routes: Iterable<StaticRoute>): PrefixKey[] {
		const before = this.#wanted;
		this.#wanted = new Map([...routes].map((route) => [route.prefix, route]));
		const prefixes = new Set([...before.keys(), ...this.#wanted.keys()]);
		return [...prefixes].filter((prefix) => {
			const [was, is] = [before.get(prefix), this.#wanted.get(prefix)];
			return was?.via !== is?.via || was?.reason !== is?.reason;
		});
	}

	/** Evaluates our routes in the kernel. `true`: ways to next hops may have changed. */
	look(table: PrefixTable, metric: number, protocol: number): boolean {
		const before = this.#held;
		this.#held = [...this.#wanted.values()].flatMap((wanted): ForeignRoute[] => {
			const route = staticKernelRoute(wanted, metric);
			const state = table.get(wanted.prefix);
			const found = state && routesOf(state).find((candidate) => sameRoute(route, candidate));
			// Without the device: the kernel's choice is not read back at once, and the gateway is
			// sufficient.
			return found === undefined
				? []
				: [{ prefix: wanted.prefix, family: route.family, via: wanted.via, device: undefined, metric, protocol }];
		});
		return keyOf(before) !== keyOf(this.#held);
	}

	/** Evaluates the foreign routes; returns new conflicts. */
	meet(foreign: readonly ForeignRoute[], metric: number): readonly (Contender & { readonly reason: string })[] {
		const known = new Set(this.#contenders.map(({ prefix, text }) => `${prefix} ${text}`));
		this.#contenders = this.#wanted.size === 0 ? [] : contenders(this.#wanted, foreign, metric);
		return this.#contenders
			.filter(({ prefix, text }) => !known.has(`${prefix} ${text}`))
			.map((contender) => ({ ...contender, reason: this.#wanted.get(contender.prefix)?.reason ?? '' }));
	}

	/**
	 * The static routes without effect, as text; `failure` is the kernel's reason against a route.
	 */
	problems(failure: (prefix: PrefixKey) => string | undefined): string[] {
		return [...this.#wanted.values()].flatMap(({ prefix, via, reason }) => {
			const why =
				failure(prefix) ?? this.#contenders.find((contender) => contender.prefix === prefix && contender.before)?.text;
			return why === undefined ? [] : [`no route to ${prefix} via ${via} (${reason}): ${why}`];
		});
	}

	/**
	 * The remark for the operator on the static route of this prefix; `undefined`: no such route.
	 */
	note(prefix: PrefixKey): string | undefined {
		const wanted = this.#wanted.get(prefix);
		if (wanted === undefined) return undefined;
		const mine = this.#contenders.filter((contender) => contender.prefix === prefix);
		// A preferred foreign route is more important than one that our route overrides.
		const worst = mine.find(({ before }) => before) ?? mine[0];
		return worst === undefined ? wanted.reason : `${wanted.reason}; ${worst.text}`;
	}
}

const keyOf = (routes: readonly ForeignRoute[]): string => routes.map(({ prefix, via }) => `${prefix} ${via}`).join();
