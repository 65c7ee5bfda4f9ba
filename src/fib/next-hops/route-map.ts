import { type Address, type Family, formatPrefix, type PrefixKey, parsePrefix, type Steps } from '../../core/index.ts';
import type { NeighbouringRoute, NeighbouringWay } from './kernel.ts';

/** The way to an address. */
export interface Reach {
	/**
	 * 0 for a connected or own address; behind a gateway the kernel's metric of the route plus one.
	 */
	readonly cost: number;
	readonly device: string | undefined;
	readonly via: string | undefined;
	/** The gateway counts as on the link of `device`, as in tunnels. */
	readonly onlink?: boolean;
}

/** Maximum cost: this value plus one fits a column of 32 bits. */
export const mostCost = 0x7fff_fffd;

/** Longest prefix match as in the kernel: this node's own addresses first, then the main table. */
export class RouteMap {
	readonly #routes = new Map<string, NeighbouringRoute[]>();
	/** Number of prefixes per length, by table and family; looked up from the longest. */
	readonly #lengths = new Map<string, Map<number, number>>();

	/** Starts with these routes. */
	constructor(routes: Iterable<NeighbouringRoute> = []) {
		for (const route of routes) this.#insert(route);
	}

	/** Adds routes, as long work with pauses. */
	*insertSteps(routes: Iterable<NeighbouringRoute>): Steps<void> {
		let seen = 0;
		for (const route of routes) {
			this.#insert(route);
			if (++seen % 64 === 0) yield;
		}
	}

	/**
	 * Applies one change; `false`: the effect is ambiguous (another route has that prefix and
	 * metric), and the kernel must be read.
	 */
	change(change: 'added' | 'removed', route: NeighbouringRoute): boolean {
		const twins = this.#at(route).filter(({ metric }) => metric === route.metric);
		if (change === 'added') {
			if (twins.length === 0) this.#insert(route);
			return twins.length === 0 || (twins.length === 1 && twins[0] !== undefined && isSame(twins[0], route));
		}
		if (twins.length !== 1) return twins.length === 0;
		this.#remove(twins[0] ?? route);
		return true;
	}

	/**
	 * Sets the state of the next hops through a device. Those of a device that went down stay dead
	 * until the kernel is read. `false`: there are none.
	 */
	mark(device: string, state: NeighbouringWay['state']): boolean {
		let found = false;
		for (const [key, routes] of this.#routes) {
			if (!routes.some(({ ways }) => ways.some((way) => way.device === device))) continue;
			found = true;
			const ways = (route: NeighbouringRoute) =>
				route.ways.map((way) => (way.device === device && way.state !== 'dead' ? { ...way, state } : way));
			this.#routes.set(
				key,
				routes.map((route) => ({ ...route, ways: ways(route) })),
			);
		}
		return found;
	}

	/** The way to an address; `undefined`: unreachable. */
	find(address: Address): Reach | undefined {
		return this.lookUp(address).reach;
	}

	/**
	 * The way to an address, and the length of the matching or rejecting prefix; -1 if no route
	 * matches.
	 */
	lookUp(address: Address): { readonly reach: Reach | undefined; readonly length: number } {
		for (const table of ['local', 'main'] as const) {
			for (const length of this.#lengthsOf(table, address.family)) {
				const routes = this.#routes.get(keyOf(table, networkOf(address, length)));
				const found = routes && firstUsable(routes);
				if (found !== undefined) return { reach: found.type === 'nowhere' ? undefined : reachBy(found), length };
			}
		}
		return { reach: undefined, length: -1 };
	}

	#at({ table, prefix }: NeighbouringRoute): readonly NeighbouringRoute[] {
		return this.#routes.get(keyOf(table, prefix)) ?? [];
	}

	#insert(route: NeighbouringRoute): void {
		const key = keyOf(route.table, route.prefix);
		const routes = this.#routes.get(key);
		if (routes === undefined) {
			this.#routes.set(key, [route]);
			this.#count(route, 1);
			return;
		}
		const behind = routes.findIndex(({ metric }) => metric > route.metric);
		routes.splice(behind < 0 ? routes.length : behind, 0, route);
	}

	#remove(route: NeighbouringRoute): void {
		const key = keyOf(route.table, route.prefix);
		const left = this.#at(route).filter((other) => other !== route);
		if (left.length > 0) this.#routes.set(key, left);
		else if (this.#routes.delete(key)) this.#count(route, -1);
	}

	#count({ table, family, prefix }: NeighbouringRoute, by: number): void {
		const key = `${table} ${family}`;
		const lengths = this.#lengths.get(key) ?? new Map<number, number>();
		const { length } = parsePrefix(prefix);
		const count = (lengths.get(length) ?? 0) + by;
		if (count === 0) lengths.delete(length);
		else lengths.set(length, count);
		this.#lengths.set(key, lengths);
	}

	#lengthsOf(table: NeighbouringRoute['table'], family: Family): number[] {
		return [...(this.#lengths.get(`${table} ${family}`)?.keys() ?? [])].sort((left, right) => right - left);
	}
}

const keyOf = (table: NeighbouringRoute['table'], prefix: PrefixKey): string => `${table} ${prefix}`;

/** The prefix of this length that contains an address. */
export function networkOf({ bytes }: Address, length: number): PrefixKey {
	const network = bytes.map((byte, index) => byte & (0xff00 >> Math.max(0, Math.min(8, length - index * 8))) & 0xff);
	return formatPrefix(network, length);
}

/**
 * The kernel skips routes whose next hops are all dead, and continues with the next route, also of
 * a shorter prefix.
 */
function firstUsable(routes: readonly NeighbouringRoute[]): NeighbouringRoute | undefined {
	return routes.find(({ type, ways }) => type === 'nowhere' || ways.some(({ state }) => state !== 'dead'));
}

/** `undefined`: the kernel's choice is a link without carrier, where packets are lost. */
function reachBy({ ways, table, metric }: NeighbouringRoute): Reach | undefined {
	const way = ways.find(({ state }) => state === 'alive');
	if (way === undefined) return undefined;
	const near = table === 'local' || way.via === undefined;
	return { cost: near ? 0 : Math.min(mostCost, metric + 1), device: way.device, via: way.via };
}

function isSame(left: NeighbouringRoute, right: NeighbouringRoute): boolean {
	const text = ({ via, device, state }: NeighbouringWay) => `${via} ${device} ${state}`;
	return (
		left.type === right.type &&
		left.protocol === right.protocol &&
		left.ways.map(text).join() === right.ways.map(text).join()
	);
}
