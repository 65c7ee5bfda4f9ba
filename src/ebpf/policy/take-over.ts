import type { Flow, FlowTuple } from '../../linux/index.ts';
import { FlowStatus } from '../../linux/index.ts';
import { Flag } from './connection.ts';
import { hostConnections, Layout, type PolicyMaps } from './maps.ts';

/** A connection in the form of the map. */
export interface ConnectionEntry {
	readonly key: Uint8Array;
	readonly value: Uint8Array;
}

/**
 * The kernel's connections (conntrack) as entries of the endpoints that they belong to, so that
 * programs that are attached under traffic do not judge them anew. The sender's hook sees
 * destinations before translation; the receiver's hook sees packets after it. `endpoints`: index of
 * the interface by address. `nowNanoseconds`: since boot (CLOCK_MONOTONIC). Pure.
 */
export function connectionEntries(
	flows: Iterable<Flow>,
	endpoints: ReadonlyMap<string, number>,
	nowNanoseconds: bigint,
): ConnectionEntry[] {
	const entries: ConnectionEntry[] = [];
	const textOf = (address: Uint8Array) => Buffer.from(address).toString('hex');
	for (const flow of flows) {
		const { original, reply } = flow;
		const from = endpoints.get(textOf(original.source));
		const to = endpoints.get(textOf(reply.source));
		const value = connectionValue(nowNanoseconds, (flow.status & FlowStatus.seenReply) !== 0);
		if (from !== undefined) entries.push({ key: connectionKey(from, flow.family, original), value });
		if (to !== undefined)
			entries.push({ key: connectionKey(to, flow.family, { ...original, ...reversed(reply) }), value });
	}
	return entries;
}

/**
 * The same for interfaces of the host: as packets are before translation on the way in, and behind
 * it on the way out. Pure.
 */
export function hostConnectionEntries(flows: Iterable<Flow>, nowNanoseconds: bigint): ConnectionEntry[] {
	const entries: ConnectionEntry[] = [];
	for (const { family, original, reply, status } of flows) {
		const value = connectionValue(nowNanoseconds, (status & FlowStatus.seenReply) !== 0);
		const { ingress, egress } = hostConnections;
		entries.push({ key: connectionKey(ingress, family, original), value });
		entries.push({ key: connectionKey(egress, family, { ...original, ...reversed(reply) }), value });
	}
	return entries;
}

/** A connection as its first packet has it. */
export interface FamilyTuple {
	readonly family: Flow['family'];
	readonly tuple: FlowTuple;
}

/** The same for preDNAT policy: as packets come in. Pure. */
export const earlyConnectionEntries = (flows: Iterable<Flow>, nowNanoseconds: bigint): ConnectionEntry[] =>
	[...flows].map(({ family, original }) => earlyEntry({ family, tuple: original }, nowNanoseconds));

// Answers are not seen before translation.
const earlyEntry = ({ family, tuple }: FamilyTuple, now: bigint): ConnectionEntry => ({
	key: connectionKey(hostConnections.early, family, tuple),
	value: connectionValue(now, true),
});

/**
 * For preDNAT policy: the connections that host endpoints know, and those that programs translate.
 * @throws SystemCallError
 */
export function takeOverEarly(maps: PolicyMaps, translated: Iterable<FamilyTuple>): void {
	const connections = maps.get('connections');
	if (connections === undefined) return;
	const now = process.hrtime.bigint();
	const known = [...connections.slices()].flat().flatMap(([key]): ConnectionEntry[] => {
		if (new DataView(key.buffer, key.byteOffset).getUint32(0, true) !== hostConnections.ingress) return [];
		const early = key.slice();
		new DataView(early.buffer).setUint32(0, hostConnections.early, true);
		return [{ key: early, value: connectionValue(now, true) }];
	});
	for (const { key, value } of [...known, ...[...translated].map((one) => earlyEntry(one, now))])
		connections.add(key, value);
}

/**
 * Adds the connections that the kernel tracks; those that are in the map stay as they are. @throws
 * SystemCallError
 */
export async function takeOver(
	{ flows, maps }: { readonly flows?: () => Promise<readonly Flow[]>; readonly maps: PolicyMaps },
	entriesOf: (flows: readonly Flow[], nowNanoseconds: bigint) => readonly ConnectionEntry[],
): Promise<void> {
	const connections = maps.get('connections');
	if (flows === undefined || connections === undefined) return;
	for (const { key, value } of entriesOf(await flows(), process.hrtime.bigint())) connections.add(key, value);
}

/** Addresses in the form in which `connectionEntries` looks them up. */
export const endpointAddress = (address: Uint8Array): string => Buffer.from(address).toString('hex');

const reversed = ({ source, destination, sourcePort, destinationPort }: FlowTuple) => ({
	source: destination,
	destination: source,
	sourcePort: destinationPort,
	destinationPort: sourcePort,
});

/**
 * See `Layout.connection`; ports as in the packet, for ICMP the identifier and the type of the
 * query.
 */
export function connectionKey(endpoint: number, family: Flow['family'], tuple: FlowTuple): Uint8Array {
	const at = Layout.connection;
	const key = new Uint8Array(at.bytes);
	const view = new DataView(key.buffer);
	view.setUint32(0, endpoint, true);
	key[at.protocol] = tuple.protocol;
	key[at.family] = family === 'ipv4' ? 4 : 6;
	key.set(tuple.source, at.source);
	key.set(tuple.destination, at.destination);
	if (tuple.icmp === undefined) {
		view.setUint16(at.sourcePort, tuple.sourcePort, false);
		view.setUint16(at.destinationPort, tuple.destinationPort, false);
	} else {
		view.setUint16(at.sourcePort, tuple.icmp.id, false);
		// Written by the program as a number of the machine.
		view.setUint16(at.destinationPort, tuple.icmp.type, true);
	}
	return key;
}

function connectionValue(nowNanoseconds: bigint, answered: boolean): Uint8Array {
	const value = new Uint8Array(Layout.connectionValue.bytes);
	const view = new DataView(value.buffer);
	view.setBigUint64(0, nowNanoseconds, true);
	view.setUint32(Layout.connectionValue.flags, answered ? Flag.answered : 0, true);
	return value;
}
