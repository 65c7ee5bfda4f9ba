import { familyOf, type PrefixKey, parsePrefix } from '../core/index.ts';
import { sameRoute } from './diff.ts';
import type { ForeignRoute, KernelRoute } from './kernel.ts';

/** A route that is wanted whatever neighbours say, by way of a gateway on one of our links. */
export interface StaticRoute {
	readonly prefix: PrefixKey;
	/** The gateway, canonical text, of the prefix's family. */
	readonly via: string;
	/** What wants it, in words. */
	readonly reason: string;
}

/** A static route as it should stand in the kernel, which finds the interface by the gateway. */
export function staticKernelRoute({ prefix, via }: StaticRoute, metric: number): KernelRoute {
	return { prefix, family: familyOf(parsePrefix(prefix).bytes), type: 'unicast', via, device: undefined, onlink: false, metric };
}

/** Another's route of the same prefix: the lower metric wins in the kernel. One of the same metric is a refusal, and told as such. */
export interface Contender {
	readonly prefix: PrefixKey;
	/** Packets go its way, not ours. */
	readonly before: boolean;
	readonly text: string;
}

/** Who else has routes to where static routes lead. Pure. */
export function contenders(statics: ReadonlyMap<PrefixKey, StaticRoute>, foreign: readonly ForeignRoute[], metric: number): Contender[] {
	return foreign
		.filter((route) => statics.has(route.prefix) && route.metric !== metric)
		.map((route) => {
			const way = [route.via === undefined ? '' : ` via ${route.via}`, route.device === undefined ? '' : ` dev ${route.device}`].join('');
			const theirs = `a route of somebody else${way}, metric ${route.metric}, route protocol ${route.protocol}`;
			const before = route.metric < metric;
			return { prefix: route.prefix, before, text: before ? `not used: ${theirs}, goes before it` : `goes before ${theirs}` };
		});
}

/** The static routes that are wanted, which of them stand in the kernel, and what was told of them. */
export class Statics {
	#wanted: ReadonlyMap<PrefixKey, StaticRoute> = new Map();
	#held: readonly ForeignRoute[] = [];
	#contenders: readonly Contender[] = [];

	get wanted(): ReadonlyMap<PrefixKey, StaticRoute> {
		return this.#wanted;
	}

	/** Those in the kernel, as others would see them: next hops are found by them, too. */
	get held(): readonly ForeignRoute[] {
		return this.#held;
	}

	/** Takes over which are wanted; the prefixes where that is a difference. */
	set(routes: Iterable<StaticRoute>): PrefixKey[] {
		const before = this.#wanted;
		this.#wanted = new Map([...routes].map((route) => [route.prefix, route]));
		const prefixes = new Set([...before.keys(), ...this.#wanted.keys()]);
		return [...prefixes].filter((prefix) => {
			const [was, is] = [before.get(prefix), this.#wanted.get(prefix)];
			return was?.via !== is?.via || was?.reason !== is?.reason;
		});
	}

	/** Takes over what the kernel holds of ours. `true`: ways to next hops may be others now. */
	look(actual: ReadonlyMap<PrefixKey, readonly KernelRoute[]>, metric: number, protocol: number): boolean {
		const before = this.#held;
		this.#held = [...this.#wanted.values()].flatMap((wanted): ForeignRoute[] => {
			const route = staticKernelRoute(wanted, metric);
			const found = actual.get(wanted.prefix)?.find((candidate) => sameRoute(route, candidate));
			// Without the device: what the kernel found by the gateway is not read back at once, and the gateway says enough.
			return found === undefined ? [] : [{ prefix: wanted.prefix, family: route.family, via: wanted.via, device: undefined, metric, protocol }];
		});
		return keyOf(before) !== keyOf(this.#held);
	}

	/** Takes over the routes of others; those whose routes meet ours, and have not been told of. */
	meet(foreign: readonly ForeignRoute[], metric: number): readonly (Contender & { readonly reason: string })[] {
		const known = new Set(this.#contenders.map(({ prefix, text }) => `${prefix} ${text}`));
		this.#contenders = this.#wanted.size === 0 ? [] : contenders(this.#wanted, foreign, metric);
		return this.#contenders
			.filter(({ prefix, text }) => !known.has(`${prefix} ${text}`))
			.map((contender) => ({ ...contender, reason: this.#wanted.get(contender.prefix)?.reason ?? '' }));
	}

	/** Those that do not do what they are for, in words; `failure` is why the kernel refused a route, where it did. */
	problems(failure: (prefix: PrefixKey) => string | undefined): string[] {
		return [...this.#wanted.values()].flatMap(({ prefix, via, reason }) => {
			const why = failure(prefix) ?? this.#contenders.find((contender) => contender.prefix === prefix && contender.before)?.text;
			return why === undefined ? [] : [`no route to ${prefix} via ${via} (${reason}): ${why}`];
		});
	}

	/** What a person should know of the static route of this prefix; `undefined`: there is none. */
	note(prefix: PrefixKey): string | undefined {
		const wanted = this.#wanted.get(prefix);
		if (wanted === undefined) return undefined;
		const mine = this.#contenders.filter((contender) => contender.prefix === prefix);
		// What goes before it matters more than what it goes before.
		const worst = mine.find(({ before }) => before) ?? mine[0];
		return worst === undefined ? wanted.reason : `${wanted.reason}; ${worst.text}`;
	}
}

const keyOf = (routes: readonly ForeignRoute[]): string => routes.map(({ prefix, via }) => `${prefix} ${via}`).join();
