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
	encodeLinkRemove,
	type Link,
	type LinkAddress,
} from './link.ts';
import { decodeRoute, encodeRouteChange, encodeRouteDump, type RouteFilter, type RouteMessage, type RouteVerb, routeProtocolOf } from './route.ts';
import { type NetlinkError, NetlinkSocket } from './socket.ts';

/** Messages in one `send`: more is not faster, and the answers must fit the receive buffer. */
const mostPerBatch = 1000;

/** One change to a routing table. */
export interface RouteChangeRequest {
	readonly verb: RouteVerb;
	readonly route: RouteMessage;
}

/** Links, addresses and routes of the network namespace that this was made in: asked for and changed. */
export class Rtnetlink {
	readonly #socket = new NetlinkSocket();

	/** Marks in events what this object did. */
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

	async addresses(families: readonly Family[] = ['ipv4', 'ipv6']): Promise<LinkAddress[]> {
		const all: LinkAddress[] = [];
		for (const family of families) {
			let addresses: LinkAddress[] = [];
			await this.#socket.dump(
				(writer, sequence) => encodeAddressDump(writer, family, sequence),
				(message) => {
					const address = decodeAddress(message);
					// A kernel without IPv6 answers a question for IPv6 with everything.
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

	/** The routes of one family, table and (where given) protocol. */
	async routes(filter: RouteFilter): Promise<RouteMessage[]> {
		let routes: RouteMessage[] = [];
		await this.#socket.dump(
			(writer, sequence) => encodeRouteDump(writer, filter, sequence),
			(message) => {
				if (message.type !== MessageType.newRoute || routeProtocolOf(message) === filter.exceptProtocol) return;
				const route = decodeRoute(message);
				if (route?.family !== filter.family || route.table !== filter.table) return;
				if (filter.protocol === undefined || route.protocol === filter.protocol) routes.push(route);
			},
			() => {
				routes = [];
			},
		);
		return routes;
	}

	/** Carries out the changes in order; gives what was refused, by position. @throws SystemCallError when nothing is known */
	async changeRoutes(changes: readonly RouteChangeRequest[]): Promise<ReadonlyMap<number, NetlinkError>> {
		const refused = new Map<number, NetlinkError>();
		for (let start = 0; start < changes.length; start += mostPerBatch) {
			const slice = changes.slice(start, start + mostPerBatch);
			let first: number | undefined;
			const failures = await this.#socket.batch((writer, nextSequence) => {
				for (const { verb, route } of slice) {
					const sequence = nextSequence();
					first ??= sequence;
					encodeRouteChange(writer, verb, route, sequence);
				}
			});
			for (const [sequence, error] of failures) refused.set(start + sequence - (first ?? 0), error);
		}
		return refused;
	}

	/** Makes an interface; its module is loaded by the kernel where it can. @throws NetlinkError */
	addLink(link: { readonly name: string; readonly kind: string }): Promise<void> {
		return this.#socket.request((writer, sequence) => encodeLinkAdd(writer, link, sequence));
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
