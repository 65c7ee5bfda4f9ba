import { addressBytes, type Family, formatAddress, formatPrefix, type Logger, type PrefixKey, parseAddress, parsePrefix } from '../core/index.ts';
import {
	decodeLink,
	decodeRoute,
	Group,
	type Message,
	MessageType,
	NetlinkEvents,
	type NextHop,
	type RouteChangeRequest,
	type RouteMessage,
	RouteTable,
	RouteType,
	Rtnetlink,
} from '../linux/index.ts';
import { type ForeignRoute, type KernelEvent, type KernelRoute, RouteError, type RouteFailure, type RouteKernel, type RouteOperation } from './kernel.ts';
import { othersFirst, slices } from './slices.ts';

export interface NetlinkKernelOptions {
	readonly routeProtocol: number;
	/** Default 254, the main table. */
	readonly table?: number;
}

const families: readonly Family[] = ['ipv4', 'ipv6'];
const groups = [Group.link, Group.ipv4Address, Group.ipv6Address, Group.ipv4Route, Group.ipv6Route];

/** Opens the kernel of the network namespace we are in. @throws SystemCallError */
export function openNetlinkKernel(options: NetlinkKernelOptions, log: Logger): RouteKernel {
	return new NetlinkKernel(options, log);
}

class NetlinkKernel implements RouteKernel {
	readonly enabled = true;
	readonly #protocol: number;
	readonly #table: number;
	readonly #log: Logger;
	readonly #netlink = new Rtnetlink();
	readonly #names = new Map<number, string>();
	readonly #indexes = new Map<string, number>();
	#linksKnown = false;
	/** Prefix and metric of routes of others, whatever they are: a replacement in the kernel's sense could hit one of them. */
	readonly #foreignKeys = new Set<string>();
	#events: NetlinkEvents | undefined;

	constructor({ routeProtocol, table = RouteTable.main }: NetlinkKernelOptions, log: Logger) {
		this.#protocol = routeProtocol;
		this.#table = table;
		this.#log = log;
	}

	async list(): Promise<readonly KernelRoute[]> {
		await this.#learnLinks(true);
		const routes: KernelRoute[] = [];
		for (const family of families) {
			for (const slice of slices(await this.#netlink.routes({ family, table: this.#table, protocol: this.#protocol }))) {
				for (const message of slice) routes.push(this.#ownRoute(message));
				await othersFirst();
			}
		}
		return routes;
	}

	async listForeign(): Promise<readonly ForeignRoute[]> {
		await this.#learnLinks(true);
		const routes: ForeignRoute[] = [];
		this.#foreignKeys.clear();
		for (const family of families) {
			for (const message of await this.#netlink.routes({ family, table: this.#table })) {
				const { destination, length, protocol, priority, type, nextHops } = message;
				const [hop] = nextHops;
				if (protocol === this.#protocol) continue;
				const prefix = formatPrefix(destination, length);
				this.#foreignKeys.add(keyOf(prefix, priority));
				if (type === RouteType.unicast && hop !== undefined) routes.push({ prefix, family, ...this.#hopText(hop), metric: priority, protocol });
			}
		}
		return routes;
	}

	async apply(operations: readonly RouteOperation[]): Promise<readonly RouteFailure[]> {
		await this.#learnLinks(false);
		const failures: RouteFailure[] = [];
		const requests: RouteChangeRequest[] = [];
		const sent: RouteOperation[] = [];
		for (const operation of operations) {
			const route = this.#message(operation.route);
			if (route === undefined) {
				failures.push({ operation, error: new RouteError('ENODEV', `there is no interface ${operation.route.device}`) });
				continue;
			}
			for (const request of this.#requests(operation, route)) {
				requests.push(request);
				sent.push(operation);
			}
		}
		for (const [index, { code, sentence }] of await this.#netlink.changeRoutes(requests)) {
			const operation = sent[index];
			// A route that is gone is as good as removed.
			if (operation === undefined || (requests[index]?.verb === 'remove' && code === 'ESRCH')) continue;
			const reason = code === 'EEXIST' ? 'a route of somebody else holds this prefix and metric' : sentence;
			failures.push({ operation, error: new RouteError(code, reason) });
		}
		return failures;
	}

	/**
	 * The kernel replaces the first route of that prefix and metric, whosever it is. Where somebody else has put one beside
	 * ours, the new route is appended and the old one removed, which heeds protocol and gateway.
	 */
	#requests(operation: RouteOperation, route: RouteMessage): RouteChangeRequest[] {
		if (operation.type !== 'replace' || !this.#foreignKeys.has(keyOf(operation.route.prefix, operation.route.metric))) return [{ verb: operation.type, route }];
		const old = this.#message(operation.old);
		return [{ verb: 'append', route }, ...(old === undefined ? [] : [{ verb: 'remove', route: old } as const])];
	}

	watch(onEvent: (event: KernelEvent) => void): void {
		this.#events = new NetlinkEvents({
			groups,
			ignorePortId: this.#netlink.portId,
			onMessage: (message) => this.#onMessage(message, onEvent),
			onLoss: (reason) => {
				this.#log.warn('kernel events were lost', { reason });
				this.#linksKnown = false;
				onEvent({ type: 'resync' });
			},
		});
	}

	close(): void {
		this.#events?.close();
		this.#netlink.close();
	}

	#onMessage(message: Message, onEvent: (event: KernelEvent) => void): void {
		switch (message.type) {
			case MessageType.newLink:
			case MessageType.deleteLink: {
				const { index, name } = decodeLink(message);
				if (message.type === MessageType.newLink) this.#learnLink(index, name);
				else this.#forgetLink(index);
				onEvent({ type: 'interface' });
				break;
			}
			case MessageType.newAddress:
			case MessageType.deleteAddress:
				onEvent({ type: 'interface' });
				break;
			case MessageType.newRoute:
			case MessageType.deleteRoute: {
				const decoded = decodeRoute(message);
				if (decoded?.table !== this.#table) break;
				if (decoded.protocol !== this.#protocol) {
					if (message.type === MessageType.newRoute) this.#foreignKeys.add(keyOf(formatPrefix(decoded.destination, decoded.length), decoded.priority));
					const [hop] = decoded.nextHops;
					onEvent({ type: 'foreign-route', protocol: decoded.protocol, device: hop && this.#hopText(hop).device });
				} else onEvent({ type: 'own-route', change: message.type === MessageType.newRoute ? 'added' : 'removed', route: this.#ownRoute(decoded) });
				break;
			}
		}
	}

	async #learnLinks(again: boolean): Promise<void> {
		// Without events names are only true at the moment they are asked for.
		if (this.#linksKnown && !again && this.#events !== undefined) return;
		const links = await this.#netlink.links();
		this.#names.clear();
		this.#indexes.clear();
		for (const { index, name } of links) this.#learnLink(index, name);
		this.#linksKnown = true;
	}

	#learnLink(index: number, name: string): void {
		this.#forgetLink(index);
		this.#names.set(index, name);
		this.#indexes.set(name, index);
	}

	#forgetLink(index: number): void {
		const name = this.#names.get(index);
		this.#names.delete(index);
		if (name !== undefined && this.#indexes.get(name) === index) this.#indexes.delete(name);
	}

	#hopText({ gateway, outInterface }: NextHop): { via: string | undefined; device: string | undefined } {
		return {
			via: gateway === undefined ? undefined : formatAddress(gateway),
			device: outInterface === undefined ? undefined : (this.#names.get(outInterface) ?? `interface ${outInterface}`),
		};
	}

	/** A type that we never write (unreachable, ...) is shown as a unicast route to nowhere, so that it differs and goes. */
	#ownRoute({ family, destination, length, type, priority, nextHops }: RouteMessage): KernelRoute {
		const prefix = formatPrefix(destination, length);
		const base = { prefix, family, metric: priority } as const;
		// The kernel names lo for an IPv6 blackhole.
		if (type === RouteType.blackhole) return { ...base, type: 'blackhole', via: undefined, device: undefined, onlink: false };
		const [hop] = nextHops;
		if (hop === undefined) return { ...base, type: 'unicast', via: undefined, device: undefined, onlink: false };
		return { ...base, type: 'unicast', ...this.#hopText(hop), onlink: hop.onlink };
	}

	/** `undefined`: the interface is not there. */
	#message({ prefix, family, type, via, device, onlink, metric }: KernelRoute): RouteMessage | undefined {
		const { bytes: destination, length } = parsePrefix(prefix);
		const base = { family, destination, length, table: this.#table, protocol: this.#protocol, priority: metric };
		if (type === 'blackhole') return { ...base, type: RouteType.blackhole, nextHops: [] };
		const outInterface = device === undefined ? undefined : this.#indexes.get(device);
		if (device !== undefined && outInterface === undefined) return undefined;
		const gateway = via === undefined ? undefined : parseAddress(via).bytes;
		return { ...base, destination: destination.subarray(0, addressBytes[family]), type: RouteType.unicast, nextHops: [{ gateway, outInterface, onlink }] };
	}
}

const keyOf = (prefix: PrefixKey, metric: number): string => `${prefix} ${metric}`;
