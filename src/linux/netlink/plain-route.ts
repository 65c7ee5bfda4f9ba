import {
	headerLength,
	MessageFlag,
	MessageType,
	RouteAttribute,
	RouteFlag,
	RouteScope,
	RouteType,
} from './constants.ts';
import type { Message } from './reader.ts';
import { type RouteVerb, verbFlags } from './route.ts';
import { littleEndian, type MessageWriter } from './writer.ts';

/** The common form of an IPv4 route: one next hop or a blackhole, a table below 256. */
export interface PlainRoute {
	/** `10.0.0.0/26`, canonical. */
	readonly prefix: string;
	readonly table: number;
	readonly protocol: number;
	readonly priority: number;
	readonly isBlackhole: boolean;
	/** 4 bytes; `undefined`: none. */
	readonly gateway: Uint8Array | undefined;
	/** 0: the kernel derives it from the gateway. */
	readonly outInterface: number;
	readonly onlink: boolean;
	/** Number of a next hop object, instead of gateway and interface; 0: none. */
	readonly nextHopId: number;
	readonly source: Uint8Array | undefined;
}

const routeHeaderLength = 12;
const attributeLength = 8;
/** The character 0. */
const zero = 0x30;
const ipv4 = 2;

/**
 * Appends the same bytes as `encodeRouteChange` for such a route, through typed arrays: for 100,000
 * routes the writing is most of this process' work.
 */
export function encodePlainRoute(writer: MessageWriter, verb: RouteVerb, route: PlainRoute, sequence: number): void {
	const { prefix, table, protocol, priority, isBlackhole, gateway, outInterface, onlink, nextHopId, source } = route;
	const hasObject = nextHopId !== 0;
	const hasGateway = !hasObject && gateway !== undefined;
	const hasInterface = !hasObject && outInterface !== 0;
	const last = prefix.length - 1;
	const units = prefix.charCodeAt(last) - zero;
	const isShort = prefix.charCodeAt(last - 1) === 0x2f;
	const slash = isShort ? last - 1 : last - 2;
	const length = isShort ? units : (prefix.charCodeAt(last - 1) - zero) * 10 + units;
	const attributes =
		1 +
		Number(length > 0) +
		Number(hasGateway) +
		Number(hasInterface) +
		Number(hasObject) +
		Number(source !== undefined);
	const bytes = headerLength + routeHeaderLength + attributes * attributeLength;
	const start = writer.claim(bytes);
	const { octets, halves, words } = writer;
	let word = start >> 2;
	words[word] = bytes;
	halves[(start >> 1) + 2] = verb === 'remove' ? MessageType.deleteRoute : MessageType.newRoute;
	halves[(start >> 1) + 3] = MessageFlag.request | verbFlags[verb];
	words[word + 2] = sequence;
	words[word + 3] = 0;
	const body = start + headerLength;
	octets[body] = ipv4;
	octets[body + 1] = length;
	octets[body + 2] = 0;
	octets[body + 3] = 0;
	octets[body + 4] = table;
	octets[body + 5] = protocol;
	octets[body + 6] = verb === 'remove' ? RouteScope.nowhere : RouteScope.universe;
	octets[body + 7] = isBlackhole ? RouteType.blackhole : RouteType.unicast;
	words[word + 6] = onlink && !hasObject ? RouteFlag.onlink : 0;
	word += 7;
	if (length > 0) {
		beginAttribute(halves, word, RouteAttribute.destination);
		writeDottedQuad(octets, (word << 2) + 4, prefix, slash);
		word += 2;
	}
	beginAttribute(halves, word, RouteAttribute.priority);
	words[word + 1] = priority;
	word += 2;
	if (source !== undefined) {
		beginAttribute(halves, word, RouteAttribute.preferredSource);
		writeFour(octets, (word << 2) + 4, source);
		word += 2;
	}
	if (hasObject) {
		beginAttribute(halves, word, RouteAttribute.nextHopId);
		words[word + 1] = nextHopId;
		word += 2;
	}
	if (hasGateway) {
		beginAttribute(halves, word, RouteAttribute.gateway);
		writeFour(octets, (word << 2) + 4, gateway);
		word += 2;
	}
	if (hasInterface) {
		beginAttribute(halves, word, RouteAttribute.outInterface);
		words[word + 1] = outInterface;
	}
}

/** Length and type of an attribute of four octets. */
function beginAttribute(halves: Uint16Array, word: number, type: number): void {
	halves[word << 1] = attributeLength;
	halves[(word << 1) + 1] = type;
}

/** `TypedArray.set` takes ten times as long for four octets. */
function writeFour(octets: Uint8Array, at: number, value: Uint8Array): void {
	octets[at] = value[0] ?? 0;
	octets[at + 1] = value[1] ?? 0;
	octets[at + 2] = value[2] ?? 0;
	octets[at + 3] = value[3] ?? 0;
}

/** The four numbers of a canonical dotted quad that ends before `end`. */
function writeDottedQuad(octets: Uint8Array, at: number, text: string, end: number): void {
	let offset = at;
	let value = 0;
	for (let index = 0; index < end; index++) {
		const code = text.charCodeAt(index);
		if (code === 0x2e) {
			octets[offset++] = value;
			value = 0;
		} else value = value * 10 + code - zero;
	}
	octets[offset] = value;
}

/** An IPv4 route with at most one next hop, as the kernel lists it. */
export interface ListedRoute {
	/** 4 bytes, host bits zero. */
	readonly destination: Uint8Array;
	readonly length: number;
	readonly table: number;
	readonly protocol: number;
	readonly priority: number;
	readonly isBlackhole: boolean;
	/** As a number, its first octet the highest; 0: none. */
	readonly gateway: number;
	/** 0: none. */
	readonly outInterface: number;
	readonly onlink: boolean;
	/** 0: none. */
	readonly nextHopId: number;
}

/**
 * Decodes the common form of IPv4 routes without new objects: for 100,000 routes these and their
 * collection take most of the time of a list.
 */
export class PlainRouteReader {
	readonly #route: { -readonly [Field in keyof ListedRoute]: ListedRoute[Field] } = {
		destination: new Uint8Array(4),
		length: 0,
		table: 0,
		protocol: 0,
		priority: 0,
		isBlackhole: false,
		gateway: 0,
		outInterface: 0,
		onlink: false,
		nextHopId: 0,
	};

	/**
	 * The route of RTM_NEWROUTE, valid until the next call; `undefined` for every other form, also a
	 * malformed one: `decodeRoute` decodes it or refuses it.
	 */
	read({ view, bodyStart, bodyEnd }: Message): ListedRoute | undefined {
		if (bodyEnd - bodyStart < routeHeaderLength || view.getUint8(bodyStart) !== ipv4) return undefined;
		const route = this.#route;
		const type = view.getUint8(bodyStart + 7);
		const flags = view.getUint32(bodyStart + 8, littleEndian);
		if ((type !== RouteType.unicast && type !== RouteType.blackhole) || (flags & RouteFlag.cloned) !== 0)
			return undefined;
		route.length = view.getUint8(bodyStart + 1);
		route.table = view.getUint8(bodyStart + 4);
		route.protocol = view.getUint8(bodyStart + 5);
		route.isBlackhole = type === RouteType.blackhole;
		route.onlink = (flags & RouteFlag.onlink) !== 0;
		route.priority = 0;
		route.gateway = 0;
		route.outInterface = 0;
		route.nextHopId = 0;
		let destination = 0;
		for (let offset = bodyStart + routeHeaderLength; offset < bodyEnd; offset += attributeLength) {
			if (offset + attributeLength > bodyEnd || view.getUint16(offset, littleEndian) !== attributeLength)
				return undefined;
			const value = offset + 4;
			switch (view.getUint16(offset + 2, littleEndian)) {
				case RouteAttribute.destination:
					destination = view.getUint32(value);
					break;
				case RouteAttribute.gateway:
					route.gateway = view.getUint32(value);
					break;
				case RouteAttribute.outInterface:
					route.outInterface = view.getUint32(value, littleEndian);
					break;
				case RouteAttribute.priority:
					route.priority = view.getUint32(value, littleEndian);
					break;
				case RouteAttribute.table:
					route.table = view.getUint32(value, littleEndian);
					break;
				case RouteAttribute.nextHopId:
					route.nextHopId = view.getUint32(value, littleEndian);
					break;
				default:
					return undefined;
			}
		}
		for (let index = 0; index < 4; index++) route.destination[index] = destination >>> (24 - 8 * index);
		return route;
	}
}
