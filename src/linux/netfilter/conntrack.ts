import type { Family } from '../../core/index.ts';
import { AddressFamily, MessageFlag } from '../netlink/constants.ts';
import { copyBytes, eachAttribute, type Message, requireBody } from '../netlink/reader.ts';
import { NetlinkProtocol, NetlinkSocket } from '../netlink/socket.ts';
import type { MessageWriter } from '../netlink/writer.ts';
import {
	ConntrackAttribute,
	ConntrackMessage,
	genericLength,
	messageType,
	ProtocolInfo,
	Subsystem,
	TupleAddress,
	TupleAttribute,
	TupleProtocol,
} from './constants.ts';
import { readBe32, writeGenericHeader } from './elements.ts';

/** One direction of a connection. */
export interface FlowTuple {
	/** 4 or 16 bytes. */
	readonly source: Uint8Array;
	readonly destination: Uint8Array;
	/** IP protocol number. */
	readonly protocol: number;
	/** 0 if the protocol has none. */
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
}

/** An entry of the kernel's connection table. */
export interface Flow {
	readonly family: Family;
	readonly original: FlowTuple;
	/** Source and destination differ from the reversed original if the flow is translated. */
	readonly reply: FlowTuple;
	readonly timeoutSeconds: number;
	/** IPS_* bits. */
	readonly status: number;
	readonly mark: number;
	readonly id: number;
	readonly zone: number;
	/** TCP_CONNTRACK_*; absent for other protocols. */
	readonly tcpState?: number;
}

/** linux/netfilter/nf_conntrack_tcp.h: states of connections that have ended. */
export const TcpState = { established: 3, timeWait: 7, close: 8 } as const;
/** linux/netfilter/nf_conntrack_common.h */
export const FlowStatus = { seenReply: 2, assured: 4, confirmed: 8, sourceNat: 16, destinationNat: 32 } as const;

const mostPerBatch = 500;

/** The connection table of the network namespace in which this was created. */
export class Conntrack {
	readonly #socket = new NetlinkSocket({ protocol: NetlinkProtocol.netfilter });

	close(): void {
		this.#socket.close();
	}

	/**
	 * The entries that `keep` approves; the others are decoded and dropped one by one. @throws
	 * NetlinkError
	 */
	async list(family: Family, keep: (flow: Flow) => boolean = () => true): Promise<Flow[]> {
		let flows: Flow[] = [];
		await this.#socket.dump(
			(writer, sequence) => {
				begin(writer, ConntrackMessage.get, MessageFlag.dump, family, sequence);
				writer.end();
			},
			(message) => {
				const flow = decodeFlow(message);
				if (flow !== undefined && keep(flow)) flows.push(flow);
			},
			() => {
				flows = [];
			},
		);
		return flows;
	}

	/**
	 * Deletes entries; entries that ended meanwhile count as done. Returns the number of existing
	 * ones. @throws NetlinkError
	 */
	async remove(flows: readonly Flow[]): Promise<number> {
		return this.#each(flows, encodeFlowRemove);
	}

	/**
	 * Sets bits of the entries' marks; entries that ended meanwhile count as done. Returns the
	 * number of existing ones. @throws NetlinkError
	 */
	async mark(flows: readonly Flow[], bits: number): Promise<number> {
		return this.#each(flows, (writer, flow, sequence) => encodeFlowMark(writer, flow, bits, sequence));
	}

	/**
	 * Adds connections that were established elsewhere; sequence numbers of TCP are not checked.
	 * Those that exist stay as they are. Returns the number of new ones. @throws NetlinkError
	 */
	async add(flows: readonly NewFlow[]): Promise<number> {
		return this.#each(flows, encodeFlowAdd);
	}

	async #each<One>(
		flows: readonly One[],
		write: (writer: MessageWriter, flow: One, sequence: number) => void,
	): Promise<number> {
		let done = 0;
		for (let start = 0; start < flows.length; start += mostPerBatch) {
			const slice = flows.slice(start, start + mostPerBatch);
			const failures = await this.#socket.batch((writer, nextSequence) => {
				for (const flow of slice) write(writer, flow, nextSequence());
			});
			for (const failure of failures.values())
				if (failure.code !== 'ENOENT' && failure.code !== 'EEXIST') throw failure;
			done += slice.length - failures.size;
		}
		return done;
	}

	/** Empties the table of a family. @throws NetlinkError */
	flush(family: Family): Promise<void> {
		return this.#socket.request((writer, sequence) => {
			begin(writer, ConntrackMessage.delete, MessageFlag.ack, family, sequence);
			writer.end();
		});
	}
}

function begin(writer: MessageWriter, message: number, flags: number, family: Family, sequence: number): void {
	writer.begin(messageType(Subsystem.conntrack, message), MessageFlag.request | flags, sequence);
	// With version 0 a deletion without a tuple is for all families.
	writeGenericHeader(writer, AddressFamily[family], 0, message === ConntrackMessage.delete ? 1 : 0);
}

/** Appends IPCTNL_MSG_CT_DELETE of exactly this entry. */
export function encodeFlowRemove(writer: MessageWriter, { family, original, id, zone }: Flow, sequence: number): void {
	begin(writer, ConntrackMessage.delete, MessageFlag.ack, family, sequence);
	writeTuple(writer, ConntrackAttribute.original, family, original);
	writer.attributeBe32(ConntrackAttribute.id, id);
	if (zone !== 0) writer.attribute(ConntrackAttribute.zone, be16(zone));
	writer.end();
}

/** Appends IPCTNL_MSG_CT_NEW that sets bits of the mark of an existing entry. */
function encodeFlowMark(writer: MessageWriter, { family, original, zone }: Flow, bits: number, sequence: number): void {
	begin(writer, ConntrackMessage.add, MessageFlag.ack, family, sequence);
	writeTuple(writer, ConntrackAttribute.original, family, original);
	if (zone !== 0) writer.attribute(ConntrackAttribute.zone, be16(zone));
	writer.attributeBe32(ConntrackAttribute.mark, bits);
	writer.attributeBe32(ConntrackAttribute.markMask, bits);
	writer.end();
}

/** A connection that is to be tracked. `status`: FlowStatus.seenReply or 0. */
export type NewFlow = Pick<Flow, 'family' | 'original' | 'reply' | 'status'>;

/** Until the next packet, which sets the time of the kernel. */
const newFlowSeconds = { tcp: 86_400, other: 180 } as const;
/** IP_CT_TCP_FLAG_BE_LIBERAL, as value and as mask. */
const liberal = Uint8Array.of(8, 8);

/** Appends IPCTNL_MSG_CT_NEW that makes an entry. */
function encodeFlowAdd(writer: MessageWriter, { family, original, reply, status }: NewFlow, sequence: number): void {
	const tcp = 6;
	begin(writer, ConntrackMessage.add, MessageFlag.ack | MessageFlag.create | MessageFlag.exclusive, family, sequence);
	writeTuple(writer, ConntrackAttribute.original, family, original);
	writeTuple(writer, ConntrackAttribute.reply, family, reply);
	const isAnswered = (status & FlowStatus.seenReply) !== 0;
	writer.attributeBe32(
		ConntrackAttribute.status,
		FlowStatus.confirmed | (isAnswered ? FlowStatus.seenReply | FlowStatus.assured : 0),
	);
	writer.attributeBe32(
		ConntrackAttribute.timeout,
		original.protocol === tcp ? newFlowSeconds.tcp : newFlowSeconds.other,
	);
	if (original.protocol === tcp)
		writer.nested(nestedFlag | ConntrackAttribute.protocolInfo, () =>
			writer.nested(nestedFlag | ProtocolInfo.tcp, () => {
				writer.attribute(ProtocolInfo.tcpState, Uint8Array.of(TcpState.established));
				writer.attribute(ProtocolInfo.tcpFlagsOriginal, liberal);
				writer.attribute(ProtocolInfo.tcpFlagsReply, liberal);
			}),
		);
	writer.end();
}

const nestedFlag = 0x8000;
const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);

function writeTuple(writer: MessageWriter, type: number, family: Family, tuple: FlowTuple): void {
	const [source, destination] =
		family === 'ipv4'
			? [TupleAddress.ipv4Source, TupleAddress.ipv4Destination]
			: [TupleAddress.ipv6Source, TupleAddress.ipv6Destination];
	const icmp =
		family === 'ipv4'
			? [TupleProtocol.icmpId, TupleProtocol.icmpType, TupleProtocol.icmpCode]
			: [TupleProtocol.icmpv6Id, TupleProtocol.icmpv6Type, TupleProtocol.icmpv6Code];
	writer.nested(nestedFlag | type, () => {
		writer.nested(nestedFlag | TupleAttribute.address, () => {
			writer.attribute(source, tuple.source);
			writer.attribute(destination, tuple.destination);
		});
		writer.nested(nestedFlag | TupleAttribute.protocol, () => {
			writer.attribute(TupleProtocol.number, Uint8Array.of(tuple.protocol));
			if (tuple.icmp !== undefined) {
				writer.attribute(icmp[0] as number, be16(tuple.icmp.id));
				writer.attribute(icmp[1] as number, Uint8Array.of(tuple.icmp.type));
				writer.attribute(icmp[2] as number, Uint8Array.of(tuple.icmp.code));
			} else {
				writer.attribute(TupleProtocol.sourcePort, be16(tuple.sourcePort));
				writer.attribute(TupleProtocol.destinationPort, be16(tuple.destinationPort));
			}
		});
	});
}

/**
 * Decodes IPCTNL_MSG_CT_NEW; `undefined` for a family that is not IP. @throws NetlinkFormatError
 */
export function decodeFlow(message: Message): Flow | undefined {
	requireBody(message, genericLength);
	const { view, bodyStart, bodyEnd } = message;
	const familyNumber = view.getUint8(bodyStart);
	const family =
		familyNumber === AddressFamily.ipv4 ? 'ipv4' : familyNumber === AddressFamily.ipv6 ? 'ipv6' : undefined;
	let original: FlowTuple | undefined;
	let reply: FlowTuple | undefined;
	const numbers = { timeoutSeconds: 0, status: 0, mark: 0, id: 0, zone: 0 };
	let tcpState: number | undefined;
	eachAttribute(view, bodyStart + genericLength, bodyEnd, (type, start, end) => {
		if (type === ConntrackAttribute.original) original = decodeTuple(view, start, end);
		else if (type === ConntrackAttribute.reply) reply = decodeTuple(view, start, end);
		else if (type === ConntrackAttribute.timeout) numbers.timeoutSeconds = readBe32(view, start, end);
		else if (type === ConntrackAttribute.status) numbers.status = readBe32(view, start, end);
		else if (type === ConntrackAttribute.mark) numbers.mark = readBe32(view, start, end);
		else if (type === ConntrackAttribute.id) numbers.id = readBe32(view, start, end);
		else if (type === ConntrackAttribute.protocolInfo) tcpState = decodeTcpState(view, start, end);
		else if (type === ConntrackAttribute.zone) numbers.zone = view.getUint16(start, false);
	});
	if (family === undefined || original === undefined || reply === undefined) return undefined;
	return { family, original, reply, ...numbers, ...(tcpState === undefined ? {} : { tcpState }) };
}

function decodeTcpState(view: DataView, start: number, end: number): number | undefined {
	let state: number | undefined;
	eachAttribute(view, start, end, (protocol, from, to) => {
		if (protocol !== ProtocolInfo.tcp) return;
		eachAttribute(view, from, to, (type, at) => {
			if (type === ProtocolInfo.tcpState) state = view.getUint8(at);
		});
	});
	return state;
}

function decodeTuple(view: DataView, start: number, end: number): FlowTuple {
	const tuple: { -readonly [Key in Exclude<keyof FlowTuple, 'icmp'>]: FlowTuple[Key] } = {
		source: new Uint8Array(0),
		destination: new Uint8Array(0),
		protocol: 0,
		sourcePort: 0,
		destinationPort: 0,
	};
	let icmp: { id: number; type: number; code: number } | undefined;
	eachAttribute(view, start, end, (part, partStart, partEnd) => {
		eachAttribute(view, partStart, partEnd, (type, from, to) => {
			if (part === TupleAttribute.address) {
				if (type === TupleAddress.ipv4Source || type === TupleAddress.ipv6Source)
					tuple.source = copyBytes(view, from, to);
				else if (type === TupleAddress.ipv4Destination || type === TupleAddress.ipv6Destination)
					tuple.destination = copyBytes(view, from, to);
			} else if (part === TupleAttribute.protocol) {
				const value = to - from >= 2 ? view.getUint16(from, false) : view.getUint8(from);
				if (type === TupleProtocol.number) tuple.protocol = value;
				else if (type === TupleProtocol.sourcePort) tuple.sourcePort = value;
				else if (type === TupleProtocol.destinationPort) tuple.destinationPort = value;
				else if (type >= TupleProtocol.icmpId) {
					icmp ??= { id: 0, type: 0, code: 0 };
					if (type === TupleProtocol.icmpId || type === TupleProtocol.icmpv6Id) icmp.id = value;
					else if (type === TupleProtocol.icmpType || type === TupleProtocol.icmpv6Type) icmp.type = value;
					else icmp.code = value;
				}
			}
		});
	});
	return icmp === undefined ? tuple : { ...tuple, icmp };
}
