import { AddressFamily, MessageFlag } from './constants.ts';
import { eachAttribute, type Message, readText, readU32, requireBody } from './reader.ts';
import type { MessageWriter } from './writer.ts';

/** linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h. */
const Type = { newQdisc: 36, deleteQdisc: 37, getQdisc: 38, newFilter: 44, deleteFilter: 45, getFilter: 46 } as const;
/** Length of `tcmsg`. */
const fixedLength = 20;
const Attribute = { kind: 1, options: 2 } as const;
const BpfAttribute = { fd: 6, name: 7, flags: 8 } as const;
const directAction = 1;
const clsactHandle = 0xffff0000;
const clsactParent = 0xfffffff1;
const parents = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
/** ETH_P_ALL in network order, as tcm_info has it. */
const allProtocols = 0x0300;

/** The hooks of the qdisc clsact; seen from the interface. */
export type TrafficHook = keyof typeof parents;

/** A classifier of this process, identified by priority and handle. */
export interface ProgramFilter {
	readonly interfaceIndex: number;
	readonly hook: TrafficHook;
	readonly priority: number;
}

function begin(
	writer: MessageWriter,
	type: number,
	flags: number,
	sequence: number,
	{ index, handle, parent, info }: { index: number; handle: number; parent: number; info: number },
): void {
	writer.begin(type, MessageFlag.request | MessageFlag.ack | flags, sequence);
	writer.u32(AddressFamily.unspecified);
	for (const word of [index, handle, parent, info]) writer.u32(word);
}

/** Appends RTM_NEWQDISC for clsact; EEXIST: it exists. */
export function encodeClsactAdd(writer: MessageWriter, interfaceIndex: number, sequence: number): void {
	const qdisc = { index: interfaceIndex, handle: clsactHandle, parent: clsactParent, info: 0 };
	begin(writer, Type.newQdisc, MessageFlag.create | MessageFlag.exclusive, sequence, qdisc);
	writer.attributeText(Attribute.kind, 'clsact');
	writer.end();
}

const filterMessage = ({ interfaceIndex, hook, priority }: ProgramFilter) => ({
	index: interfaceIndex,
	handle: 1,
	parent: parents[hook],
	info: (priority << 16) | allProtocols,
});

/** Appends RTM_NEWTFILTER: atomically replaces the program of the same priority. */
export function encodeProgramSet(
	writer: MessageWriter,
	filter: ProgramFilter,
	program: { readonly fd: number; readonly name: string },
	sequence: number,
): void {
	begin(writer, Type.newFilter, MessageFlag.create | MessageFlag.replace, sequence, filterMessage(filter));
	writer.attributeText(Attribute.kind, 'bpf');
	writer.nested(Attribute.options, () => {
		writer.attributeU32(BpfAttribute.fd, program.fd);
		writer.attributeText(BpfAttribute.name, program.name);
		writer.attributeU32(BpfAttribute.flags, directAction);
	});
	writer.end();
}

/** Appends RTM_DELTFILTER; ENOENT or EINVAL: it does not exist. */
export function encodeProgramRemove(writer: MessageWriter, filter: ProgramFilter, sequence: number): void {
	begin(writer, Type.deleteFilter, 0, sequence, filterMessage(filter));
	writer.attributeText(Attribute.kind, 'bpf');
	writer.end();
}

/** Appends RTM_GETQDISC for a dump of all interfaces. */
export function encodeQdiscDump(writer: MessageWriter, sequence: number): void {
	writer.begin(Type.getQdisc, MessageFlag.request | MessageFlag.dump, sequence);
	writer.u32(AddressFamily.unspecified);
	for (let word = 0; word < 4; word++) writer.u32(0);
	writer.end();
}

/** Appends RTM_GETTFILTER for a dump of one hook. */
export function encodeFilterDump(
	writer: MessageWriter,
	{ interfaceIndex, hook }: Pick<ProgramFilter, 'interfaceIndex' | 'hook'>,
	sequence: number,
): void {
	writer.begin(Type.getFilter, MessageFlag.request | MessageFlag.dump, sequence);
	writer.u32(AddressFamily.unspecified);
	for (const word of [interfaceIndex, 0, parents[hook], 0]) writer.u32(word);
	writer.end();
}

/** The interface of an RTM_NEWQDISC, and the kind of the qdisc. @throws NetlinkFormatError */
export function decodeQdisc(message: Message): { readonly interfaceIndex: number; readonly kind: string } {
	requireBody(message, fixedLength);
	const { view, bodyStart, bodyEnd } = message;
	let kind = '';
	eachAttribute(view, bodyStart + fixedLength, bodyEnd, (type, start, end) => {
		if (type === Attribute.kind) kind = readText(view, start, end);
	});
	return { interfaceIndex: readU32(view, bodyStart + 4, bodyEnd), kind };
}

/**
 * Priority and name of an RTM_NEWTFILTER of a program; `undefined`: another classifier. @throws
 * NetlinkFormatError
 */
export function decodeProgramFilter(
	message: Message,
): { readonly priority: number; readonly name: string } | undefined {
	requireBody(message, fixedLength);
	const { view, bodyStart, bodyEnd } = message;
	let name: string | undefined;
	eachAttribute(view, bodyStart + fixedLength, bodyEnd, (type, start, end) => {
		if (type !== Attribute.options) return;
		eachAttribute(view, start, end, (option, from, to) => {
			if (option === BpfAttribute.name) name = readText(view, from, to);
		});
	});
	return name === undefined ? undefined : { priority: readU32(view, bodyStart + 16, bodyEnd) >>> 16, name };
}

/** Appends RTM_DELQDISC for clsact; its classifiers go with it. */
export function encodeClsactRemove(writer: MessageWriter, interfaceIndex: number, sequence: number): void {
	const qdisc = { index: interfaceIndex, handle: clsactHandle, parent: clsactParent, info: 0 };
	begin(writer, Type.deleteQdisc, 0, sequence, qdisc);
	writer.attributeText(Attribute.kind, 'clsact');
	writer.end();
}
