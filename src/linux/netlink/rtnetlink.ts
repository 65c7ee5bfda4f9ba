import type { Family } from '../../core/index.ts';
import { MessageType } from './constants.ts';
import {
	decodeAddress,
	decodeLink,
	encodeAddressChange,
	encodeAddressDump,
	encodeLinkAdd,
	encodeLinkChange,
	encodeLinkDump,
	encodeLinkQuery,
	encodeLinkRemove,
	type Link,
	type LinkAddress,
} from './link.ts';
import {
	decodeNeighbour,
	encodeNeighbourChange,
	encodeNeighbourDump,
	type Neighbour,
	type NeighbourTable,
} from './neighbour.ts';
import {
	type DecodedNextHop,
	decodeNextHop,
	encodeNextHopAdd,
	encodeNextHopDump,
	encodeNextHopRemove,
	type NextHopObject,
} from './next-hop.ts';
import { type ListedRoute, PlainRouteReader } from './plain-route.ts';
import type { Message } from './reader.ts';
import {
	decodeRoute,
	encodeRouteChange,
	encodeRouteDump,
	type RouteFilter,
	type RouteMessage,
	type RouteVerb,
	routeProtocolOf,
} from './route.ts';
import { NetlinkError, NetlinkSocket } from './socket.ts';
import { encodeAlias, encodeVethAdd, type VethPair } from './veth.ts';
import { encodeVxlanAdd, encodeVxlanChange, type NewVxlan, type VxlanChange } from './vxlan.ts';
import type { MessageWriter } from './writer.ts';

/**
 * Messages in one `send`: between two the kernel waits for a turn of this process; the responses
 * must fit the receive buffer.
 */
const mostPerBatch = 4000;

/** One change to a routing table. */
export interface RouteChangeRequest {
	readonly verb: RouteVerb;
	readonly route: RouteMessage;
}

/**
 * One change to a neighbour table or a forwarding database; `set` replaces an entry with the same
 * key.
 */
export interface NeighbourChangeRequest {
	readonly verb: 'set' | 'remove';
	readonly neighbour: Neighbour;
}

/**
 * Reads and changes links, addresses and routes of the network namespace in which this was created.
 */
export class Rtnetlink {
	readonly #socket = new NetlinkSocket();

	/** Identifies the events of this object's changes. */
	get portId(): number {
		return this.#socket.portId;
	}

	close(): void {
		this.#socket.close();
	}

	async links(): Promise<Link[]> {
		let links: Link[] = [];
		await this.#socket.dump(
			encodeLinkDump,
			(message) => links.push(decodeLink(message)),
			() => {
				links = [];
			},
		);
		return links;
	}

	/** The interface of this name or index; `undefined`: there is none. @throws NetlinkError */
	async link(which: { readonly name: string } | { readonly index: number }): Promise<Link | undefined> {
		let link: Link | undefined;
		const failures = await this.#socket.batch(
			(writer, nextSequence) => encodeLinkQuery(writer, which, nextSequence()),
			(message) => {
				link = decodeLink(message);
			},
		);
		for (const failure of failures.values()) if (failure.code !== 'ENODEV') throw failure;
		return link;
	}

	async addresses(families: readonly Family[] = ['ipv4', 'ipv6']): Promise<LinkAddress[]> {
		const all: LinkAddress[] = [];
		for (const family of families) {
			let addresses: LinkAddress[] = [];
			await this.#socket.dump(
				(writer, sequence) => encodeAddressDump(writer, family, sequence),
				(message) => {
					const address = decodeAddress(message);
					// A kernel without IPv6 responds to a request for IPv6 with entries of all
					// families.
					if (address?.family === family) addresses.push(address);
				},
				() => {
					addresses = [];
				},
			);
			all.push(...addresses);
		}
		return all;
	}

	/**
	 * The routes of one family, table and (if given) protocol. The kernel creates a table with its
	 * first route; one that does not exist has no routes.
	 */
	routes(filter: RouteFilter): Promise<RouteMessage[]> {
		return this.listRoutes(filter, { full: (route) => route, plain: undefined });
	}

	/**
	 * The same routes as `full` and `plain` make them, without those that they make `undefined`.
	 * `plain` gets the routes of the common form, each valid during the call: for long lists.
	 */
	async listRoutes<T>(
		filter: RouteFilter,
		{
			full,
			plain,
		}: {
			readonly full: (route: RouteMessage) => T | undefined;
			readonly plain: ((route: ListedRoute) => T | undefined) | undefined;
		},
	): Promise<T[]> {
		let routes: T[] = [];
		const reader = new PlainRouteReader();
		const matches = ({ table, protocol }: { readonly table: number; readonly protocol: number }) =>
			table === filter.table && (filter.protocol === undefined || protocol === filter.protocol);
		const made = (message: Message): T | undefined => {
			const listed = plain === undefined || filter.family !== 'ipv4' ? undefined : reader.read(message);
			if (plain !== undefined && listed !== undefined) return matches(listed) ? plain(listed) : undefined;
			const route = decodeRoute(message);
			return route?.family === filter.family && matches(route) ? full(route) : undefined;
		};
		const dumped = this.#socket.dump(
			(writer, sequence) => encodeRouteDump(writer, filter, sequence),
			(message) => {
				if (message.type !== MessageType.newRoute) return;
				if (routeProtocolOf(message) === filter.exceptProtocol && filter.unless?.(message) !== true) return;
				const route = made(message);
				if (route !== undefined) routes.push(route);
			},
			() => {
				routes = [];
			},
		);
		try {
			await dumped;
		} catch (error) {
			if (!(error instanceof NetlinkError && error.code === 'ENOENT')) throw error;
		}
		return routes;
	}

	/**
	 * Applies the changes in order; returns the refused ones, by position. @throws SystemCallError
	 * if the result is unknown
	 */
	changeRoutes(changes: readonly RouteChangeRequest[]): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.#inBatches(changes, (writer, { verb, route }, sequence) =>
			encodeRouteChange(writer, verb, route, sequence),
		);
	}

	/** Permanent entries with a MAC address of one table of one device. */
	async neighbours(table: NeighbourTable, interfaceIndex: number): Promise<Neighbour[]> {
		let entries: Neighbour[] = [];
		await this.#socket.dump(
			(writer, sequence) => encodeNeighbourDump(writer, { table, interfaceIndex }, sequence),
			(message) => {
				const entry = message.type === MessageType.newNeighbour ? decodeNeighbour(message) : undefined;
				if (entry?.table === table && entry.interfaceIndex === interfaceIndex) entries.push(entry);
			},
			() => {
				entries = [];
			},
		);
		return entries;
	}

	/**
	 * Applies the changes in order; returns the refused ones, by position. @throws SystemCallError
	 * if the result is unknown
	 */
	changeNeighbours(changes: readonly NeighbourChangeRequest[]): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.#inBatches(changes, (writer, { verb, neighbour }, sequence) =>
			encodeNeighbourChange(writer, verb, neighbour, sequence),
		);
	}

	#inBatches<T>(
		changes: readonly T[],
		encode: (writer: MessageWriter, change: T, sequence: number) => void,
	): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.streamMessages(changes.length, (writer, position, sequence) => {
			const change = changes[position];
			if (change !== undefined) encode(writer, change, sequence);
		});
	}

	/**
	 * Sends `count` messages, each written when its batch is due; returns the refused ones, by
	 * position. @throws SystemCallError if the result is unknown
	 */
	streamMessages(
		count: number,
		write: (writer: MessageWriter, position: number, sequence: number) => void,
	): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.#socket.stream(count, mostPerBatch, write);
	}

	/** Every next hop object of the namespace. A kernel without them has none. */
	async nextHopObjects(): Promise<DecodedNextHop[]> {
		let objects: DecodedNextHop[] = [];
		try {
			await this.#socket.dump(
				encodeNextHopDump,
				(message) => {
					if (message.type === MessageType.newNextHop) objects.push(decodeNextHop(message));
				},
				() => {
					objects = [];
				},
			);
		} catch (error) {
			if (error instanceof NetlinkError && error.code === 'EOPNOTSUPP') return [];
			throw error;
		}
		return objects;
	}

	/**
	 * Creates next hop objects; returns the refused ones, by position. @throws SystemCallError if
	 * the result is unknown
	 */
	addNextHopObjects(objects: readonly NextHopObject[]): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.#inBatches(objects, encodeNextHopAdd);
	}

	/**
	 * Removes next hop objects, and with them the routes that reference them. @throws
	 * SystemCallError if the result is unknown
	 */
	removeNextHopObjects(ids: readonly number[]): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.#inBatches(ids, encodeNextHopRemove);
	}

	/**
	 * Creates a VXLAN device. @throws NetlinkError: EEXIST if another device has its name, or its
	 * identifier and port
	 */
	addVxlan(vxlan: NewVxlan): Promise<void> {
		return this.#socket.request((writer, sequence) => encodeVxlanAdd(writer, vxlan, sequence));
	}

	/** Changes a VXLAN device in place. @throws NetlinkError if the kernel refuses that */
	changeVxlan(change: VxlanChange): Promise<void> {
		return this.#socket.request((writer, sequence) => encodeVxlanChange(writer, change, sequence));
	}

	/** Creates an interface; the kernel loads its module if it can. @throws NetlinkError */
	addLink(link: { readonly name: string; readonly kind: string }): Promise<void> {
		return this.#socket.request((writer, sequence) => encodeLinkAdd(writer, link, sequence));
	}

	/**
	 * Creates a veth pair with its alias, in one send: an exiting process does so before or after
	 * both. Returns the end of this namespace; its `link` is the index of the other end. @throws
	 * NetlinkError
	 */
	async addVeth(pair: VethPair): Promise<Link> {
		let link: Link | undefined;
		const failures = await this.#socket.batch(
			(writer, nextSequence) => {
				encodeVethAdd(writer, pair, nextSequence());
				encodeAlias(writer, pair.host.name, pair.alias, nextSequence());
				encodeLinkQuery(writer, { name: pair.host.name }, nextSequence());
			},
			(message) => {
				link = decodeLink(message);
			},
		);
		for (const failure of failures.values()) throw failure;
		if (link === undefined) throw new Error(`${pair.host.name}: the kernel did not return the new interface`);
		return link;
	}

	/**
	 * Sets an interface up, adds its addresses, then routes, and reads the interface, in one send.
	 * @throws NetlinkError: the first refusal
	 */
	async configureLink(
		index: number,
		addresses: readonly LinkAddress[],
		routes: readonly RouteMessage[],
	): Promise<Link> {
		let link: Link | undefined;
		const failures = await this.#socket.batch(
			(writer, nextSequence) => {
				encodeLinkChange(writer, { index, up: true }, nextSequence());
				for (const address of addresses) encodeAddressChange(writer, 'add', address, nextSequence());
				for (const route of routes) encodeRouteChange(writer, 'add', route, nextSequence());
				encodeLinkQuery(writer, { index }, nextSequence());
			},
			(message) => {
				link = decodeLink(message);
			},
		);
		for (const failure of failures.values()) throw failure;
		if (link === undefined) throw new Error(`interface ${index}: the kernel did not return it`);
		return link;
	}

	/** @throws NetlinkError */
	changeLink(change: { readonly index: number; readonly up?: boolean; readonly mtuBytes?: number }): Promise<void> {
		return this.#socket.request((writer, sequence) => encodeLinkChange(writer, change, sequence));
	}

	/** @throws NetlinkError */
	removeLink(index: number): Promise<void> {
		return this.#socket.request((writer, sequence) => encodeLinkRemove(writer, index, sequence));
	}

	/** @throws NetlinkError */
	changeAddress(verb: 'add' | 'remove', address: LinkAddress): Promise<void> {
		return this.#socket.request((writer, sequence) => encodeAddressChange(writer, verb, address, sequence));
	}
}
