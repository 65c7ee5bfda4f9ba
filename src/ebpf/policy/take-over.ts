import { parseAddress, type Steps } from '../../core/index.ts';
import type { Flow, FlowTuple } from '../../linux/index.ts';
import { FlowStatus } from '../../linux/index.ts';
import type { NodePolicy, WorkloadEndpoint } from '../../policy/index.ts';
import { Flag } from './connection.ts';
import { isConnectionDenied } from './connections.ts';
import { hostConnections, Layout, type PolicyMaps } from './maps.ts';

/** A connection in the form of the map. */
export interface ConnectionEntry {
	readonly key: Uint8Array;
	readonly value: Uint8Array;
}

/** A pod whose interface exists. */
export interface PresentEndpoint {
	readonly workload: WorkloadEndpoint;
	readonly interfaceIndex: number;
}

/**
 * The kernel's connections (conntrack) as entries of the pods that they belong to, so that programs
 * that are attached under traffic do not take an answer for a first packet. Entries are only those
 * that the policy allows at the pod: conntrack also has what it does not allow. The programs drop
 * behind conntrack what is sent to a pod, so that a denied flow stays there without an answer, and
 * connections may be older than the policy. Whether there was an answer does not count: the first
 * one may be on its way. The sender's hook sees destinations before translation, the policy is
 * asked for the one behind it; the receiver's hook sees packets after it. `own`: addresses of the
 * host, canonical text. `nowNanoseconds`: since boot (CLOCK_MONOTONIC). Each step is a flow. Pure.
 */
export function* connectionEntries(
	flows: Iterable<Flow>,
	present: readonly PresentEndpoint[],
	{ policy, own }: { readonly policy: NodePolicy; readonly own: ReadonlySet<string> },
	nowNanoseconds: bigint,
): Steps<ConnectionEntry[]> {
	const endpoints = new Map(
		present.flatMap((endpoint) =>
			endpoint.workload.addresses.map((address) => [hexOf(parseAddress(address).bytes), endpoint] as const),
		),
	);
	const entries: ConnectionEntry[] = [];
	for (const { family, original, reply, status } of flows) {
		yield;
		const answer = isAnswered(status) ? Flag.answered : 0;
		const behind = { ...original, ...reversed(reply) };
		const { destination, destinationPort } = behind;
		const isTranslated =
			hexOf(original.destination) !== hexOf(destination) || original.destinationPort !== destinationPort;
		const flags = answer | (isTranslated ? Flag.translated : 0);
		for (const { address, tuple, judged, value } of [
			{
				...{ address: original.source, tuple: original, judged: { ...original, destination, destinationPort } },
				value: connectionValue(nowNanoseconds, flags),
			},
			{ address: destination, tuple: behind, judged: behind, value: connectionValue(nowNanoseconds, answer) },
		]) {
			const endpoint = endpoints.get(hexOf(address));
			if (endpoint === undefined || isConnectionDenied({ family, tuple: judged }, endpoint.workload, policy, own))
				continue;
			entries.push({ key: connectionKey(endpoint.interfaceIndex, family, tuple), value });
		}
	}
	return entries;
}

/**
 * The same for interfaces of the host: as packets are before translation on the way in, and behind
 * it on the way out. Only answered ones: programs drop what is sent behind conntrack, so that a
 * denied flow stays there, but without an answer. Pure.
 */
export function hostConnectionEntries(flows: Iterable<Flow>, nowNanoseconds: bigint): ConnectionEntry[] {
	const value = connectionValue(nowNanoseconds, Flag.answered);
	const { ingress, egress } = hostConnections;
	return answered(flows).flatMap(({ family, original, reply }) => [
		{ key: connectionKey(ingress, family, original), value },
		{ key: connectionKey(egress, family, { ...original, ...reversed(reply) }), value },
	]);
}

const isAnswered = (status: number): boolean => (status & FlowStatus.seenReply) !== 0;
const answered = (flows: Iterable<Flow>): Flow[] => [...flows].filter(({ status }) => isAnswered(status));

/** A connection as its first packet has it. */
export interface FamilyTuple {
	readonly family: Flow['family'];
	readonly tuple: FlowTuple;
}

/** The same for preDNAT policy: as packets come in; answered ones. Pure. */
export const earlyConnectionEntries = (flows: Iterable<Flow>, nowNanoseconds: bigint): ConnectionEntry[] =>
	answered(flows).map(({ family, original }) => earlyEntry({ family, tuple: original }, nowNanoseconds));

// Answers are not seen before translation.
const earlyEntry = ({ family, tuple }: FamilyTuple, now: bigint): ConnectionEntry => ({
	key: connectionKey(hostConnections.early, family, tuple),
	value: connectionValue(now, Flag.answered),
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
		return [{ key: early, value: connectionValue(now, Flag.answered) }];
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
	entriesOf: (
		flows: readonly Flow[],
		nowNanoseconds: bigint,
	) => readonly ConnectionEntry[] | Promise<ConnectionEntry[]>,
): Promise<void> {
	const connections = maps.get('connections');
	if (flows === undefined || connections === undefined) return;
	for (const { key, value } of await entriesOf(await flows(), process.hrtime.bigint())) connections.add(key, value);
}

const hexOf = (address: Uint8Array): string => Buffer.from(address).toString('hex');

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

function connectionValue(nowNanoseconds: bigint, flags: number): Uint8Array {
	const value = new Uint8Array(Layout.connectionValue.bytes);
	const view = new DataView(value.buffer);
	view.setBigUint64(0, nowNanoseconds, true);
	view.setUint32(Layout.connectionValue.flags, flags, true);
	return value;
}
