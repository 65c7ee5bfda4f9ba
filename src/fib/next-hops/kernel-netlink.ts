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

/** The kernel of the network namespace we are in, without the routes of one protocol: ours. @throws SystemCallError */
export function openNeighbouringKernel({ exceptProtocol }: { readonly exceptProtocol: number }, log: Logger): NeighbouringKernel {
	return new NeighbouringNetlink(exceptProtocol, log);
}

class NeighbouringNetlink implements NeighbouringKernel {
	readonly #exceptProtocol: number;
	readonly #log: Logger;
	readonly #netlink = new Rtnetlink();
	/** By index. */
	readonly #links = new Map<number, Link>();
	#events: NetlinkEvents | undefined;

	constructor(exceptProtocol: number, log: Logger) {
		this.#exceptProtocol = exceptProtocol;
		this.#log = log;
	}

	async list(): Promise<readonly NeighbouringRoute[]> {
		const links = await this.#netlink.links();
		this.#links.clear();
		for (const link of links) this.#links.set(link.index, link);
		const routes: NeighbouringRoute[] = [];
		for (const table of [RouteTable.local, RouteTable.main]) {
			for (const family of families) {
				for (const slice of slices(await this.#netlink.routes({ family, table, exceptProtocol: this.#exceptProtocol }))) {
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
			// Our own writing alone would fill the buffer.
			ignoreRouteProtocol: this.#exceptProtocol,
			onMessage: (message) => this.#onMessage(message, onEvent),
			onLoss: (reason) => {
				this.#log.warn('kernel events were lost', { reason });
				onEvent({ type: 'unknown' });
			},
		});
	}

	close(): void {
		this.#events?.close();
		this.#netlink.close();
	}

	#onMessage(message: Message, onEvent: (event: NeighbouringEvent) => void): void {
		switch (message.type) {
			case MessageType.newLink:
			case MessageType.deleteLink:
				if (!isOfBridgePort(message)) this.#onLink(decodeLink(message), message.type === MessageType.deleteLink, onEvent);
				break;
			case MessageType.deleteAddress:
				// IPv4 routes with it as their source go without a word in older kernels; those of IPv6 are told.
				if (decodeAddress(message)?.family === 'ipv4') onEvent({ type: 'unknown' });
				break;
			case MessageType.newRoute:
			case MessageType.deleteRoute: {
				const decoded = decodeRoute(message);
				const change = message.type === MessageType.newRoute ? 'added' : 'removed';
				for (const route of decoded === undefined ? [] : this.#route(decoded)) onEvent({ type: 'route', change, route });
				break;
			}
		}
	}

	/** Of an interface only that matters: is it there, can it be used, what is its name? */
	#onLink(link: Link, gone: boolean, onEvent: (event: NeighbouringEvent) => void): void {
		const before = this.#links.get(link.index);
		if (gone) this.#links.delete(link.index);
		else this.#links.set(link.index, link);
		if (!gone && before?.up === link.up && before.running === link.running && before.name === link.name) return;
		const state = gone || !link.up ? 'dead' : link.running ? 'alive' : 'no-carrier';
		for (const device of new Set([before?.name ?? link.name, link.name])) onEvent({ type: 'device', device, state });
	}

	/** None for what says nothing about addresses of others: broadcast, multicast, other tables. */
	#route({ family, destination, length, table, type, priority, protocol, nextHops }: RouteMessage): NeighbouringRoute[] {
		// Every interface has its fe80::/64, and what is behind them is not found by routes.
		if (protocol === this.#exceptProtocol || isLinkLocal(destination)) return [];
		const base = { prefix: formatPrefix(destination, length), family, metric: priority, protocol } as const;
		// A route by a next hop object whose ways the kernel does not tell (net.ipv4.nexthop_compat_mode = 0) leads somewhere.
		const ways = nextHops.length === 0 ? [unknownWay] : nextHops.map((hop) => this.#way(hop));
		if (table === RouteTable.local) return type === RouteType.local ? [{ ...base, table: 'local', type: 'ways', ways }] : [];
		if (table !== RouteTable.main) return [];
		if (type === RouteType.unicast || type === RouteType.local) return [{ ...base, table: 'main', type: 'ways', ways }];
		const nowhere = type === RouteType.blackhole || type === RouteType.unreachable || type === RouteType.prohibit;
		return nowhere ? [{ ...base, table: 'main', type: 'nowhere', ways: [] }] : [];
	}

	#way({ gateway, outInterface, state }: NextHop): NeighbouringWay {
		return {
			via: gateway === undefined ? undefined : formatAddress(gateway),
			device: outInterface === undefined ? undefined : (this.#links.get(outInterface)?.name ?? `interface ${outInterface}`),
			state: state === 'dead' ? 'dead' : state === 'link-down' ? 'no-carrier' : 'alive',
		};
	}
}

const unknownWay: NeighbouringWay = { via: undefined, device: undefined, state: 'alive' };
