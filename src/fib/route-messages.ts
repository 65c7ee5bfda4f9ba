import { addressBytes, formatAddress, formatPrefix, parseAddress, parsePrefix } from '../core/index.ts';
import {
	encodePlainRoute,
	encodeRouteChange,
	type ListedRoute,
	type MessageWriter,
	type NextHop,
	type PlainRoute,
	type RouteMessage,
	RouteType,
	type RouteVerb,
} from '../linux/index.ts';
import { hopOrder, type KernelRoute, type RouteHop } from './kernel.ts';
import type { Links } from './links.ts';

/**
 * Is a route of this type written by this project? `throw`, `prohibit`, `unreachable` and others
 * are never ours, with any protocol number. Pure.
 */
export const isWrittenType = (type: number): boolean => type === RouteType.unicast || type === RouteType.blackhole;

/** Our routes as messages of rtnetlink, in both directions. */
export class RouteMessages {
	readonly #table: number;
	#protocol: number;
	readonly #links: Links;
	/** Cache of addresses as bytes; there are few gateways. */
	readonly #addresses = new Map<string, Uint8Array>();
	/** Cache of addresses as text, by number. */
	readonly #gateways = new Map<number, string>();
	/** The message being written. One object for all: 100,000 of them would be 10 MB of garbage. */
	readonly #plain: { -readonly [Field in keyof PlainRoute]: PlainRoute[Field] } = {
		prefix: '',
		table: 0,
		protocol: 0,
		priority: 0,
		isBlackhole: false,
		gateway: undefined,
		outInterface: 0,
		onlink: false,
		nextHopId: 0,
		source: undefined,
	};
	/** The last one: messages are grouped by next hop. */
	#last: { readonly address: string; readonly bytes: Uint8Array } = { address: '', bytes: new Uint8Array() };

	constructor(table: number, protocol: number, links: Links) {
		this.#table = table;
		this.#protocol = protocol;
		this.#links = links;
	}

	/** Sets the route protocol number of all messages from now on. */
	setProtocol(protocol: number): void {
		this.#protocol = protocol;
	}

	/** The octets of an address, cached. */
	bytesOf(address: string): Uint8Array {
		if (address === this.#last.address) return this.#last.bytes;
		let bytes = this.#addresses.get(address);
		if (bytes === undefined) {
			bytes = parseAddress(address).bytes;
			this.#addresses.set(address, bytes);
		}
		this.#last = { address, bytes };
		return bytes;
	}

	/** Writes the message of a change. Its devices exist. `nextHopId`: 0 for none. */
	encode(writer: MessageWriter, verb: RouteVerb, route: KernelRoute, sequence: number, nextHopId: number): void {
		const { family, type, via, device, onlink, others, prefix, metric, source } = route;
		// An object stands for gateway and interface.
		const hasObject = nextHopId !== 0;
		const gateway = hasObject || via === undefined ? undefined : this.bytesOf(via);
		const outInterface = hasObject || device === undefined ? 0 : (this.#links.indexOf(device) ?? 0);
		const isPlain =
			family === 'ipv4' &&
			others === undefined &&
			this.#table < 256 &&
			(type === 'blackhole' || hasObject || gateway?.length === 4) &&
			(source === undefined || !source.includes(':'));
		if (!isPlain) {
			encodeRouteChange(writer, verb, this.#message(route, nextHopId), sequence);
			return;
		}
		const plain = this.#plain;
		plain.prefix = prefix;
		plain.table = this.#table;
		plain.protocol = route.protocol ?? this.#protocol;
		plain.priority = metric;
		plain.isBlackhole = type === 'blackhole';
		plain.gateway = gateway;
		plain.outInterface = outInterface;
		plain.onlink = onlink;
		plain.nextHopId = nextHopId;
		plain.source = source === undefined || verb === 'remove' ? undefined : this.bytesOf(source);
		encodePlainRoute(writer, verb, plain, sequence);
	}

	/** For a route of a type that we write (`isWrittenType`). */
	decode({ family, destination, length, type, priority, nextHops, source }: RouteMessage): KernelRoute {
		const prefix = formatPrefix(destination, length);
		const base = { prefix, family, metric: priority } as const;
		// The kernel reports lo for an IPv6 blackhole.
		if (type === RouteType.blackhole)
			return { ...base, type: 'blackhole', via: undefined, device: undefined, onlink: false };
		const [only] = nextHops;
		if (only !== undefined && nextHops.length === 1 && source === undefined) {
			// The usual case: one literal takes a quarter of the time of the general form.
			const { via, device } = this.hopOf(only);
			return { prefix, family, type: 'unicast', via, device, onlink: only.onlink, metric: priority };
		}
		const hops: RouteHop[] = nextHops.map((hop) => ({ ...this.hopOf(hop), onlink: hop.onlink })).sort(hopOrder);
		const [first, ...others] = hops;
		const ofSource = source === undefined ? {} : { source: formatAddress(source) };
		if (first === undefined)
			return { ...base, type: 'unicast', via: undefined, device: undefined, onlink: false, ...ofSource };
		return { ...base, type: 'unicast', ...first, ...(others.length === 0 ? {} : { others }), ...ofSource };
	}

	/** A listed route of the common form: as `decode` for its message. */
	decodeListed(listed: ListedRoute): KernelRoute {
		const { destination, length, priority: metric, isBlackhole, gateway, outInterface } = listed;
		const hasHop = !isBlackhole && (gateway !== 0 || outInterface !== 0);
		return {
			prefix: formatPrefix(destination, length),
			family: 'ipv4',
			type: isBlackhole ? 'blackhole' : 'unicast',
			via: hasHop && gateway !== 0 ? this.#gatewayText(gateway) : undefined,
			device: hasHop && outInterface !== 0 ? this.#links.nameOf(outInterface) : undefined,
			onlink: hasHop && listed.onlink,
			metric,
		};
	}

	#gatewayText(gateway: number): string {
		let text = this.#gateways.get(gateway);
		if (text === undefined) {
			text = formatAddress(Uint8Array.of(gateway >>> 24, gateway >>> 16, gateway >>> 8, gateway));
			this.#gateways.set(gateway, text);
		}
		return text;
	}

	/** Gateway and interface as text. */
	hopOf({ gateway, outInterface }: NextHop): { via: string | undefined; device: string | undefined } {
		return {
			via: gateway === undefined ? undefined : formatAddress(gateway),
			device: outInterface === undefined ? undefined : this.#links.nameOf(outInterface),
		};
	}

	#message(route: KernelRoute, nextHopId: number): RouteMessage {
		const { prefix, family, type, via, device, onlink, metric, others = [], source } = route;
		const { bytes: destination, length } = parsePrefix(prefix);
		const protocol = route.protocol ?? this.#protocol;
		const base = { family, destination, length, table: this.#table, protocol, priority: metric };
		if (type === 'blackhole') return { ...base, type: RouteType.blackhole, nextHops: [] };
		const hop = (each: RouteHop): NextHop => ({
			gateway: each.via === undefined ? undefined : this.bytesOf(each.via),
			outInterface: each.device === undefined ? undefined : this.#links.indexOf(each.device),
			onlink: each.onlink,
		});
		return {
			...base,
			destination: destination.subarray(0, addressBytes[family]),
			type: RouteType.unicast,
			nextHops: [hop({ via, device, onlink }), ...others.map(hop)],
			...(source === undefined ? {} : { source: this.bytesOf(source) }),
			...(nextHopId === 0 ? {} : { nextHopId }),
		};
	}
}
