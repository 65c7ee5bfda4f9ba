import { type Family, formatAddress, formatPrefix, isLinkLocal, type Logger } from '../../core/index.ts';
import {
	decodeAddress,
	decodeLink,
	decodeRoute,
	Group,
	isOfBridgePort,
	type Link,
	type Message,
	MessageType,
	NetlinkEvents,
	type NextHop,
	type RouteMessage,
	RouteTable,
	RouteType,
	Rtnetlink,
} from '../../linux/index.ts';
import { othersFirst, slices } from '../slices.ts';
import type { NeighbouringEvent, NeighbouringKernel, NeighbouringRoute, NeighbouringWay } from './kernel.ts';

const families: readonly Family[] = ['ipv4', 'ipv6'];
const groups = [Group.link, Group.ipv4Address, Group.ipv4Route, Group.ipv6Route];

/**
 * Opens the kernel of the present network namespace; excludes the routes of some protocols: ours.
 * Events of the first one are not read at all.
 * @throws SystemCallError
 */
export function openNeighbouringKernel(
	{
		exceptProtocols,
		onFault,
	}: {
		readonly exceptProtocols: readonly [number, ...number[]];
		readonly onFault?: (error: unknown) => void;
	},
	log: Logger,
): NeighbouringKernel {
	return new NeighbouringNetlink(exceptProtocols, log, onFault);
}

class NeighbouringNetlink implements NeighbouringKernel {
	readonly #exceptProtocols: readonly [number, ...number[]];
	readonly #log: Logger;
	readonly #onFault: ((error: unknown) => void) | undefined;
	readonly #netlink = new Rtnetlink();
	/** By index. */
	readonly #links = new Map<number, Link>();
	/** By name. */
	readonly #indexes = new Map<string, number>();
	#events: NetlinkEvents | undefined;

	constructor(
		exceptProtocols: readonly [number, ...number[]],
		log: Logger,
		onFault: ((error: unknown) => void) | undefined,
	) {
		this.#onFault = onFault;
		this.#exceptProtocols = exceptProtocols;
		this.#log = log;
	}

	async list(): Promise<readonly NeighbouringRoute[]> {
		const links = await this.#netlink.links();
		this.#links.clear();
		this.#indexes.clear();
		for (const link of links) this.#keep(link);
		const routes: NeighbouringRoute[] = [];
		for (const table of [RouteTable.local, RouteTable.main]) {
			for (const family of families) {
				for (const slice of slices(
					await this.#netlink.routes({ family, table, exceptProtocol: this.#exceptProtocols[0] }),
				)) {
					for (const message of slice) routes.push(...this.#route(message));
					await othersFirst();
				}
			}
		}
		return routes;
	}

	watch(onEvent: (event: NeighbouringEvent) => void): void {
		this.#events = new NetlinkEvents({
			groups,
			ignorePortId: undefined,
			// Otherwise events of our own writes would fill the buffer.
			ignoreRouteProtocol: this.#exceptProtocols[0],
			onMessage: (message) => this.#onMessage(message, onEvent),
			onFault: this.#onFault,
			onLoss: (reason) => {
				this.#log.warn('kernel events were lost', { reason });
				onEvent({ type: 'unknown' });
			},
		});
	}

	deviceState(device: string): NeighbouringWay['state'] | undefined {
		const index = this.#indexes.get(device);
		const link = index === undefined ? undefined : this.#links.get(index);
		return link === undefined || link.name !== device ? undefined : stateOf(link);
	}

	close(): void {
		this.#events?.close();
		this.#netlink.close();
	}

	#onMessage(message: Message, onEvent: (event: NeighbouringEvent) => void): void {
		switch (message.type) {
			case MessageType.newLink:
			case MessageType.deleteLink:
				if (!isOfBridgePort(message))
					this.#onLink(decodeLink(message), message.type === MessageType.deleteLink, onEvent);
				break;
			case MessageType.deleteAddress:
				// Older kernels remove IPv4 routes with this source address without an event; for
				// IPv6 there is an event.
				if (decodeAddress(message)?.family === 'ipv4') onEvent({ type: 'unknown' });
				break;
			case MessageType.newRoute:
			case MessageType.deleteRoute: {
				const decoded = decodeRoute(message);
				const change = message.type === MessageType.newRoute ? 'added' : 'removed';
				for (const route of decoded === undefined ? [] : this.#route(decoded))
					onEvent({ type: 'route', change, route });
				break;
			}
		}
	}

	/** Reports an interface only if its existence, usability or name changed. */
	#onLink(link: Link, gone: boolean, onEvent: (event: NeighbouringEvent) => void): void {
		const before = this.#links.get(link.index);
		if (gone) this.#links.delete(link.index);
		else this.#keep(link);
		if (!gone && before?.up === link.up && before.running === link.running && before.name === link.name) return;
		const state = gone ? 'dead' : stateOf(link);
		for (const device of new Set([before?.name ?? link.name, link.name])) onEvent({ type: 'device', device, state });
	}

	#keep(link: Link): void {
		this.#links.set(link.index, link);
		this.#indexes.set(link.name, link.index);
	}

	/** No result for routes that lead to no other host: broadcast, multicast, other tables. */
	#route({
		family,
		destination,
		length,
		table,
		type,
		priority,
		protocol,
		nextHops,
	}: RouteMessage): NeighbouringRoute[] {
		// Every interface has its fe80::/64; link-local addresses are not resolved by routes.
		if (this.#exceptProtocols.includes(protocol) || isLinkLocal(destination)) return [];
		const base = { prefix: formatPrefix(destination, length), family, metric: priority, protocol } as const;
		// A route by a next hop object without visible next hops (net.ipv4.nexthop_compat_mode = 0)
		// counts as usable.
		const ways = nextHops.length === 0 ? [unknownWay] : nextHops.map((hop) => this.#way(hop));
		if (table === RouteTable.local)
			return type === RouteType.local ? [{ ...base, table: 'local', type: 'ways', ways }] : [];
		if (table !== RouteTable.main) return [];
		if (type === RouteType.unicast || type === RouteType.local) return [{ ...base, table: 'main', type: 'ways', ways }];
		const nowhere = type === RouteType.blackhole || type === RouteType.unreachable || type === RouteType.prohibit;
		return nowhere ? [{ ...base, table: 'main', type: 'nowhere', ways: [] }] : [];
	}

	#way({ gateway, outInterface, state }: NextHop): NeighbouringWay {
		return {
			via: gateway === undefined ? undefined : formatAddress(gateway),
			device:
				outInterface === undefined ? undefined : (this.#links.get(outInterface)?.name ?? `interface ${outInterface}`),
			state: state === 'dead' ? 'dead' : state === 'link-down' ? 'no-carrier' : 'alive',
		};
	}
}

const unknownWay: NeighbouringWay = { via: undefined, device: undefined, state: 'alive' };

function stateOf({ up, running }: Link): NeighbouringWay['state'] {
	if (!up) return 'dead';
	return running ? 'alive' : 'no-carrier';
}
