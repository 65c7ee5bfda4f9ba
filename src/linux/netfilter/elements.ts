/** Codec of set and map elements of nf_tables. All numbers are in network byte order. */
import { MessageFlag } from '../netlink/constants.ts';
import {
	copyBytes,
	eachAttribute,
	type Message,
	NetlinkFormatError,
	readText,
	requireBody,
} from '../netlink/reader.ts';
import type { MessageWriter } from '../netlink/writer.ts';
import {
	CounterAttribute,
	DataAttribute,
	ElementAttribute,
	ElementFlag,
	ElementListAttribute,
	ExpressionAttribute,
	genericLength,
	listElement,
	messageType,
	NfTablesMessage,
	Subsystem,
	userDataComment,
	VerdictAttribute,
} from './constants.ts';

/** `nfproto` of a table. */
export const tableFamilies = { inet: 1, ip: 2, ip6: 10 } as const;
export type TableFamily = keyof typeof tableFamilies;

/** The result of a verdict map. */
export type Verdict =
	| { readonly type: 'accept' | 'drop' | 'return' | 'continue' }
	| { readonly type: 'jump' | 'goto'; readonly chain: string };

/** linux/netfilter.h and nf_tables.h. */
const verdictCodes = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 } as const;

/** One element of a set, or of a map when it has `data`. */
export interface SetElement {
	readonly key: Uint8Array;
	/** Last key of a range; for concatenated interval sets. */
	readonly keyEnd?: Uint8Array;
	/**
	 * The first key beyond a range; for interval sets of one field, where a range is two elements.
	 */
	readonly intervalEnd?: boolean;
	readonly data?: Uint8Array | Verdict;
	/** As listed by nft; at most 127 bytes. */
	readonly comment?: string;
	/** Lifetime; the default of the set if absent. */
	readonly timeoutMs?: number;
	/** Remaining lifetime; only read. */
	readonly expirationMs?: number;
	/** Packets that looked the element up, where the set counts them; only read. */
	readonly packets?: number;
}

/** Elements to add to one set, or to remove from it. */
export interface ElementChange {
	readonly verb: 'add' | 'remove';
	readonly family: TableFamily;
	readonly table: string;
	readonly set: string;
	readonly elements: readonly SetElement[];
}

/** Attributes have 16 bits of length; one element is far below the rest. */
const mostListBytes = 60_000;
const nestedFlag = 0x8000;

export function writeGenericHeader(writer: MessageWriter, family: number, resource = 0, version = 0): void {
	writer.u8(family);
	writer.u8(version);
	writer.u8(resource >> 8);
	writer.u8(resource & 0xff);
}

/** The content of NFTA_DATA: a verdict. */
export function writeVerdict(writer: MessageWriter, verdict: Verdict): void {
	writer.nested(nestedFlag | DataAttribute.verdict, () => {
		writer.attributeBe32(VerdictAttribute.code, verdictCodes[verdict.type] >>> 0);
		if ('chain' in verdict) writer.attributeText(VerdictAttribute.chain, verdict.chain);
	});
}

function writeElement(writer: MessageWriter, element: SetElement): void {
	const { key, keyEnd, intervalEnd, data, comment, timeoutMs } = element;
	const value = (type: number, bytes: Uint8Array) =>
		writer.nested(nestedFlag | type, () => writer.attribute(DataAttribute.value, bytes));
	writer.nested(nestedFlag | listElement, () => {
		if (intervalEnd === true) writer.attributeBe32(ElementAttribute.flags, ElementFlag.intervalEnd);
		value(ElementAttribute.key, key);
		if (keyEnd !== undefined) value(ElementAttribute.keyEnd, keyEnd);
		if (data instanceof Uint8Array) value(ElementAttribute.data, data);
		else if (data !== undefined) writer.nested(nestedFlag | ElementAttribute.data, () => writeVerdict(writer, data));
		if (comment !== undefined) {
			const text = Buffer.from(comment);
			writer.attribute(ElementAttribute.userData, Uint8Array.of(userDataComment, text.length + 1, ...text, 0));
		}
		if (timeoutMs !== undefined) writer.attributeBe64(ElementAttribute.timeout, BigInt(timeoutMs));
	});
}

/** Appends NFTA_SET_ELEM_LIST_ELEMENTS, for few elements. */
export const writeElements = (writer: MessageWriter, elements: readonly SetElement[]): void =>
	writer.nested(nestedFlag | ElementListAttribute.elements, () => {
		for (const element of elements) writeElement(writer, element);
	});

/**
 * Appends the messages of a change; a long one has several. Returns the index after the last
 * element of each message, by sequence number, so that a failure can be traced to an element.
 */
export function encodeElementChange(
	writer: MessageWriter,
	{ verb, family, table, set, elements }: ElementChange,
	nextSequence: () => number,
	onMessage: (sequence: number, offsets: readonly number[], first: number) => void,
): void {
	const message = verb === 'add' ? NfTablesMessage.newElement : NfTablesMessage.deleteElement;
	const flags = MessageFlag.request | (verb === 'add' ? MessageFlag.create : 0);
	let index = 0;
	while (index < elements.length) {
		const [sequence, start, first] = [nextSequence(), writer.length, index];
		const offsets: number[] = [];
		writer.begin(messageType(Subsystem.nfTables, message), flags, sequence);
		writeGenericHeader(writer, tableFamilies[family]);
		writer.attributeText(ElementListAttribute.table, table);
		writer.attributeText(ElementListAttribute.set, set);
		writer.nested(nestedFlag | ElementListAttribute.elements, () => {
			const listStart = writer.length;
			for (; index < elements.length && writer.length - listStart < mostListBytes; index++) {
				offsets.push(writer.length - start);
				writeElement(writer, elements[index] as SetElement);
			}
		});
		writer.end();
		onMessage(sequence, offsets, first);
	}
}

/** Appends a request for all elements of a set. */
export function encodeElementDump(
	writer: MessageWriter,
	{ family, table, set }: { readonly family: TableFamily; readonly table: string; readonly set: string },
	sequence: number,
): void {
	writer.begin(
		messageType(Subsystem.nfTables, NfTablesMessage.getElement),
		MessageFlag.request | MessageFlag.dump,
		sequence,
	);
	writeGenericHeader(writer, tableFamilies[family]);
	writer.attributeText(ElementListAttribute.table, table);
	writer.attributeText(ElementListAttribute.set, set);
	writer.end();
}

/** The elements of one NFT_MSG_NEWSETELEM. @throws NetlinkFormatError */
export function decodeElements(message: Message, onElement: (element: SetElement) => void): void {
	requireBody(message, genericLength);
	const { view, bodyStart, bodyEnd } = message;
	eachAttribute(view, bodyStart + genericLength, bodyEnd, (type, start, end) => {
		if (type !== ElementListAttribute.elements) return;
		eachAttribute(view, start, end, (_, from, to) => onElement(decodeElement(view, from, to)));
	});
}

function decodeElement(view: DataView, start: number, end: number): SetElement {
	const element: { -readonly [Key in keyof SetElement]: SetElement[Key] } = { key: new Uint8Array(0) };
	eachAttribute(view, start, end, (type, from, to) => {
		if (type === ElementAttribute.key) element.key = decodeValue(view, from, to);
		else if (type === ElementAttribute.keyEnd) element.keyEnd = decodeValue(view, from, to);
		else if (type === ElementAttribute.data) element.data = decodeData(view, from, to);
		else if (type === ElementAttribute.userData && view.getUint8(from) === userDataComment)
			element.comment = readText(view, from + 2, to);
		else if (type === ElementAttribute.timeout) element.timeoutMs = readBe64(view, from, to);
		else if (type === ElementAttribute.expiration) element.expirationMs = readBe64(view, from, to);
		else if (type === ElementAttribute.expression) {
			const packets = decodeCounter(view, from, to);
			if (packets !== undefined) element.packets = packets;
		} else if (type === ElementAttribute.flags && (readBe32(view, from, to) & ElementFlag.intervalEnd) !== 0)
			element.intervalEnd = true;
	});
	return element;
}

/** The packets of a counter; `undefined`: another expression. */
function decodeCounter(view: DataView, start: number, end: number): number | undefined {
	let name = '';
	let packets: number | undefined;
	eachAttribute(view, start, end, (type, from, to) => {
		if (type === ExpressionAttribute.name) name = readText(view, from, to);
		else if (type === ExpressionAttribute.data)
			eachAttribute(view, from, to, (part, partStart, partEnd) => {
				if (part === CounterAttribute.packets) packets = readBe64(view, partStart, partEnd);
			});
	});
	return name === 'counter' ? packets : undefined;
}

function decodeValue(view: DataView, start: number, end: number): Uint8Array {
	const data = decodeData(view, start, end);
	if (!(data instanceof Uint8Array)) throw new NetlinkFormatError('an element whose key is a verdict');
	return data;
}

function decodeData(view: DataView, start: number, end: number): Uint8Array | Verdict {
	let data: Uint8Array | Verdict | undefined;
	eachAttribute(view, start, end, (type, from, to) => {
		if (type === DataAttribute.value) data = copyBytes(view, from, to);
		else if (type === DataAttribute.verdict) data = decodeVerdict(view, from, to);
	});
	if (data === undefined) throw new NetlinkFormatError('element data without a value');
	return data;
}

function decodeVerdict(view: DataView, start: number, end: number): Verdict {
	let code: number | undefined;
	let chain = '';
	eachAttribute(view, start, end, (type, from, to) => {
		if (type === VerdictAttribute.code) code = readBe32(view, from, to) | 0;
		else if (type === VerdictAttribute.chain) chain = readText(view, from, to);
	});
	for (const type of ['accept', 'drop', 'return', 'continue'] as const)
		if (verdictCodes[type] === code) return { type };
	for (const type of ['jump', 'goto'] as const) if (verdictCodes[type] === code) return { type, chain };
	throw new NetlinkFormatError(`verdict ${code}`);
}

/** @throws NetlinkFormatError if it is shorter */
export function readBe32(view: DataView, start: number, end: number): number {
	if (end - start < 4) throw new NetlinkFormatError(`a number of ${end - start} bytes`);
	return view.getUint32(start, false);
}

/** Exact up to 2^53. @throws NetlinkFormatError if it is shorter */
export function readBe64(view: DataView, start: number, end: number): number {
	if (end - start < 8) throw new NetlinkFormatError(`a number of ${end - start} bytes`);
	return Number(view.getBigUint64(start, false));
}

/** Parts of a concatenated key or value, each padded to four bytes. */
export function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
	const key = new Uint8Array(parts.reduce((sum, part) => sum + ((part.length + 3) & ~3), 0));
	let at = 0;
	for (const part of parts) {
		key.set(part, at);
		at += (part.length + 3) & ~3;
	}
	return key;
}

/** A port as a key: 2 bytes. */
export const portKey = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff);

/** An interface's name as a key: 16 bytes. */
export function interfaceKey(name: string): Uint8Array {
	const bytes = new Uint8Array(16);
	bytes.set(Buffer.from(name).subarray(0, 15));
	return bytes;
}
