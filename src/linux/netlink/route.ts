import type { Family } from '../../core/index.ts';
import {
	AddressFamily,
	MessageFlag,
	MessageType,
	RouteAttribute,
	RouteFlag,
	RouteScope,
	RouteTable,
	RouteType,
} from './constants.ts';
import { copyBytes, eachAttribute, type Message, NetlinkFormatError, readU32, requireBody } from './reader.ts';
import { littleEndian, type MessageWriter } from './writer.ts';

/** One next hop of a route. */
export interface NextHop {
	/** 4 or 16 bytes; `undefined`: the destination is on the link. */
	readonly gateway: Uint8Array | undefined;
	/** Interface index; `undefined`: the kernel derives it from the gateway. */
	readonly outInterface: number | undefined;
	readonly onlink: boolean;
	/**
	 * As the kernel reports it: it skips `dead`, and uses `link-down` although the link has no
	 * carrier. Absent: usable.
	 */
	readonly state?: 'dead' | 'link-down';
}

/** A route in rtnetlink's terms. */
export interface RouteMessage {
	readonly family: Family;
	/** 4 or 16 bytes, host bits zero. */
	readonly destination: Uint8Array;
	readonly length: number;
	readonly table: number;
	readonly protocol: number;
	/** One of `RouteType`. */
	readonly type: number;
	readonly priority: number;
	/** Empty for a blackhole; several for multipath. */
	readonly nextHops: readonly NextHop[];
	/** Preferred source of packets of this host, 4 or 16 bytes. */
	readonly source?: Uint8Array;
	/** A next hop object instead of `nextHops`. */
	readonly nextHopId?: number;
}

/**
 * The operation on a route. `add` is refused if one with prefix and priority exists; `replace`
 * replaces it and needs one.
 */
export type RouteVerb = 'add' | 'replace' | 'append' | 'remove';

export const verbFlags: Readonly<Record<RouteVerb, number>> = {
	add: MessageFlag.create | MessageFlag.exclusive,
	replace: MessageFlag.replace,
	append: MessageFlag.create | MessageFlag.append,
	remove: 0,
};

/** Length of `rtmsg`. */
const fixedLength = 12;

/**
 * Appends RTM_NEWROUTE or RTM_DELROUTE. The kernel removes only a route that matches all given
 * members.
 */
export function encodeRouteChange(writer: MessageWriter, verb: RouteVerb, route: RouteMessage, sequence: number): void {
	const { family, destination, length, table, protocol, type, priority, nextHops, source, nextHopId } = route;
	const [hop, ...others] = nextHops;
	const isMultipath = others.length > 0;
	writer.begin(
		verb === 'remove' ? MessageType.deleteRoute : MessageType.newRoute,
		MessageFlag.request | verbFlags[verb],
		sequence,
	);
	writer.u8(AddressFamily[family]);
	writer.u8(length);
	writer.u8(0);
	writer.u8(0);
	writer.u8(table < 256 ? table : RouteTable.compatibility);
	writer.u8(protocol);
	writer.u8(scopeOf(verb, type, hop));
	writer.u8(type);
	writer.u32(hop?.onlink && !isMultipath && nextHopId === undefined ? RouteFlag.onlink : 0);
	if (length > 0) writer.attribute(RouteAttribute.destination, destination);
	writer.attributeU32(RouteAttribute.priority, priority);
	if (source !== undefined) writer.attribute(RouteAttribute.preferredSource, source);
	if (nextHopId !== undefined) writer.attributeU32(RouteAttribute.nextHopId, nextHopId);
	else if (isMultipath) encodeMultipath(writer, family, nextHops);
	else {
		if (hop?.gateway !== undefined) encodeGateway(writer, family, hop.gateway);
		if (hop?.outInterface !== undefined) writer.attributeU32(RouteAttribute.outInterface, hop.outInterface);
	}
	if (table >= 256) writer.attributeU32(RouteAttribute.table, table);
	writer.end();
}

/** `rtnexthop` structures of equal weight, each with its gateway. */
function encodeMultipath(writer: MessageWriter, family: Family, nextHops: readonly NextHop[]): void {
	writer.nested(RouteAttribute.multipath, () => {
		for (const { gateway, outInterface, onlink } of nextHops) {
			const isPlain = gateway === undefined || gateway.length === (family === 'ipv4' ? 4 : 16);
			const attributeLength = gateway === undefined ? 0 : 4 + gateway.length + (isPlain ? 0 : 2);
			writer.u16(8 + ((attributeLength + 3) & ~3));
			writer.u8(onlink ? RouteFlag.onlink : 0);
			writer.u8(0);
			writer.u32(outInterface ?? 0);
			if (gateway !== undefined) encodeGateway(writer, family, gateway);
		}
	});
}

/** Removal matches any scope with `nowhere`, as the kernel itself sets the scope of a route. */
function scopeOf(verb: RouteVerb, type: number, hop: NextHop | undefined): number {
	if (verb === 'remove') return RouteScope.nowhere;
	return type === RouteType.unicast && hop?.gateway === undefined ? RouteScope.link : RouteScope.universe;
}

function encodeGateway(writer: MessageWriter, family: Family, gateway: Uint8Array): void {
	if (gateway.length === (family === 'ipv4' ? 4 : 16)) {
		writer.attribute(RouteAttribute.gateway, gateway);
		return;
	}
	// RFC 8950 in the kernel: an IPv4 route with an IPv6 gateway.
	const via = new Uint8Array(2 + gateway.length);
	new DataView(via.buffer).setUint16(0, AddressFamily.ipv6, littleEndian);
	via.set(gateway, 2);
	writer.attribute(RouteAttribute.via, via);
}

/** The filter of a dump; the kernel applies it. */
export interface RouteFilter {
	readonly family: Family;
	readonly table: number;
	/** `undefined`: of every protocol. */
	readonly protocol?: number;
	/** Not those of this protocol, which are not decoded. */
	readonly exceptProtocol?: number;
	/** Routes of `exceptProtocol` that are read nevertheless. */
	readonly unless?: (message: Message) => boolean;
}

/** Appends RTM_GETROUTE for a dump; needs `NETLINK_GET_STRICT_CHK`. */
export function encodeRouteDump(
	writer: MessageWriter,
	{ family, table, protocol = 0 }: RouteFilter,
	sequence: number,
): void {
	writer.begin(MessageType.getRoute, MessageFlag.request | MessageFlag.dump, sequence);
	writer.u8(AddressFamily[family]);
	for (let index = 1; index < 5; index++) writer.u8(index === 4 && table < 256 ? table : 0);
	writer.u8(protocol);
	writer.u8(0);
	writer.u8(0);
	writer.u32(0);
	writer.attributeU32(RouteAttribute.table, table);
	writer.end();
}

/**
 * Decodes RTM_NEWROUTE or RTM_DELROUTE; `undefined` for an unsupported family, and for cached
 * routes. @throws NetlinkFormatError
 */
export function decodeRoute(message: Message): RouteMessage | undefined {
	requireBody(message, fixedLength);
	const { view, bodyStart, bodyEnd } = message;
	const family = familyOf(view.getUint8(bodyStart));
	const flags = view.getUint32(bodyStart + 8, littleEndian);
	if (family === undefined || (flags & RouteFlag.cloned) !== 0) return undefined;
	let table = view.getUint8(bodyStart + 4);
	let destination: Uint8Array | undefined;
	let priority = 0;
	let gateway: Uint8Array | undefined;
	let outInterface: number | undefined;
	let nextHops: NextHop[] | undefined;
	let source: Uint8Array | undefined;
	let nextHopId: number | undefined;
	eachAttribute(view, bodyStart + fixedLength, bodyEnd, (type, start, end) => {
		if (type === RouteAttribute.destination) destination = copyBytes(view, start, end);
		else if (type === RouteAttribute.outInterface) outInterface = readU32(view, start, end);
		else if (type === RouteAttribute.gateway) gateway = copyBytes(view, start, end);
		else if (type === RouteAttribute.via) gateway = copyBytes(view, Math.min(start + 2, end), end);
		else if (type === RouteAttribute.priority) priority = readU32(view, start, end);
		else if (type === RouteAttribute.table) table = readU32(view, start, end);
		else if (type === RouteAttribute.preferredSource) source = copyBytes(view, start, end);
		else if (type === RouteAttribute.nextHopId) nextHopId = readU32(view, start, end);
		else if (type === RouteAttribute.multipath) nextHops = decodeMultipath(view, start, end);
	});
	destination ??= new Uint8Array(family === 'ipv4' ? 4 : 16);
	if (destination.length !== (family === 'ipv4' ? 4 : 16))
		throw new NetlinkFormatError(`a destination of ${destination.length} bytes`);
	if (nextHops === undefined)
		nextHops =
			gateway === undefined && outInterface === undefined
				? []
				: [{ gateway, outInterface, onlink: (flags & RouteFlag.onlink) !== 0, ...stateOf(flags) }];
	const length = view.getUint8(bodyStart + 1);
	return {
		family,
		destination,
		length,
		table,
		protocol: view.getUint8(bodyStart + 5),
		type: view.getUint8(bodyStart + 7),
		priority,
		nextHops,
		...(source === undefined ? {} : { source }),
		...(nextHopId === undefined ? {} : { nextHopId }),
	};
}

/** `rtnexthop` structures, each with attributes of its own. */
function decodeMultipath(view: DataView, start: number, end: number): NextHop[] {
	const nextHops: NextHop[] = [];
	let offset = start;
	while (offset + 8 <= end) {
		const length = view.getUint16(offset, littleEndian);
		if (length < 8 || offset + length > end)
			throw new NetlinkFormatError(`a next hop of ${length} bytes where ${end - offset} are left`);
		let gateway: Uint8Array | undefined;
		eachAttribute(view, offset + 8, offset + length, (type, from, to) => {
			if (type === RouteAttribute.gateway) gateway = copyBytes(view, from, to);
			else if (type === RouteAttribute.via) gateway = copyBytes(view, Math.min(from + 2, to), to);
		});
		const flags = view.getUint8(offset + 2);
		nextHops.push({
			gateway,
			outInterface: view.getUint32(offset + 4, littleEndian),
			onlink: (flags & RouteFlag.onlink) !== 0,
			...stateOf(flags),
		});
		offset += (length + 3) & ~3;
	}
	return nextHops;
}

/**
 * The state of a next hop: in the flags of the route if it is the only one, otherwise in its own
 * flags.
 */
function stateOf(flags: number): Pick<NextHop, 'state'> {
	return (flags & RouteFlag.dead) !== 0
		? { state: 'dead' }
		: (flags & RouteFlag.linkDown) !== 0
			? { state: 'link-down' }
			: {};
}

/**
 * The route protocol of RTM_NEWROUTE or RTM_DELROUTE, which is not decoded further. @throws
 * NetlinkFormatError
 */
export function routeProtocolOf(message: Message): number {
	requireBody(message, fixedLength);
	return message.view.getUint8(message.bodyStart + 5);
}

/** The type of such a route, one of `RouteType`. @throws NetlinkFormatError */
export function routeTypeOf(message: Message): number {
	requireBody(message, fixedLength);
	return message.view.getUint8(message.bodyStart + 7);
}

/** True if a route message has RTA_PRIORITY: the metric of a route of IPv4 without it is 0. */
export function hasRoutePriority({ view, bodyStart, bodyEnd }: Message): boolean {
	let found = false;
	eachAttribute(view, bodyStart + fixedLength, bodyEnd, (type) => {
		found ||= type === RouteAttribute.priority;
	});
	return found;
}

/** True if the gateway of a route with one next hop counts as reachable without an address. */
export const isOnlinkRoute = ({ view, bodyStart }: Message): boolean =>
	(view.getUint32(bodyStart + 8, littleEndian) & RouteFlag.onlink) !== 0;

/** The family of an `AF_` number, if supported. */
export function familyOf(number: number): Family | undefined {
	if (number === AddressFamily.ipv4) return 'ipv4';
	return number === AddressFamily.ipv6 ? 'ipv6' : undefined;
}
