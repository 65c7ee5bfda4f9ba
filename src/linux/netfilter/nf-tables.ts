import { MessageFlag } from '../netlink/constants.ts';
import { eachAttribute, type Message, readText, requireBody } from '../netlink/reader.ts';
import { NetlinkError, NetlinkProtocol, NetlinkSocket } from '../netlink/socket.ts';
import type { MessageWriter } from '../netlink/writer.ts';
import {
	BatchAttribute,
	BatchMessage,
	ChainAttribute,
	CounterAttribute,
	GenerationAttribute,
	genericLength,
	messageType,
	NfTablesMessage,
	ObjectAttribute,
	objectTypeCounter,
	RuleAttribute,
	SetAttribute,
	SetFlag,
	Subsystem,
	TableAttribute,
} from './constants.ts';
import {
	decodeElements,
	type ElementChange,
	encodeElementChange,
	encodeElementDump,
	readBe32,
	readBe64,
	type SetElement,
	type TableFamily,
	tableFamilies,
	writeGenericHeader,
} from './elements.ts';
import { encodeStructureChange, type StructureChange } from './structure.ts';

/** ERESTART, which has no name in Node. */
const restart = 85;

/** A transaction that the kernel refused as a whole; names the element if the kernel does. */
export class NfTablesError extends Error {
	override readonly name = 'NfTablesError';
	/** `ENOENT` and similar. */
	readonly code: string;
	/** The ruleset changed since `generation`: read it again. */
	readonly stale: boolean;
	readonly change: ElementChange | undefined;
	readonly element: SetElement | undefined;

	constructor(cause: NetlinkError, change: ElementChange | undefined, element: SetElement | undefined) {
		super(`${describe(change, element)}: ${cause.message}`, { cause });
		this.code = cause.code;
		this.stale = cause.errno === restart;
		this.change = change;
		this.element = element;
	}
}

function describe(change: ElementChange | undefined, element: SetElement | undefined): string {
	if (change === undefined) return 'nf_tables transaction';
	const which = element === undefined ? '' : ` element ${Buffer.from(element.key).toString('hex')}`;
	return (
		`${change.verb}${which} ${change.verb === 'add' ? 'to' : 'from'} ${change.family} ` +
		`${change.table} ${change.set}`
	);
}

/** A set or map. */
export interface SetInfo {
	readonly name: string;
	readonly map: boolean;
	readonly interval: boolean;
	/** Filled by rules, not by this process. */
	readonly dynamic: boolean;
	readonly keyLengthBytes: number;
}

/** A named counter. */
export interface CounterInfo {
	readonly name: string;
	readonly packets: number;
	readonly bytes: number;
}

/** Changes of the structure of one table, in their order. */
export interface StructureChanges {
	readonly family: TableFamily;
	readonly table: string;
	readonly changes: readonly StructureChange[];
}

/** A whole transaction is one send: 250,000 elements of 100 bytes. */
const sendBufferBytes = 64 << 20;

/** One listing request: the kernel filters by table only for some kinds. */
interface Listing {
	readonly request: number;
	readonly answer: number;
	readonly tableAttribute: number;
}
const listings = {
	tables: { request: NfTablesMessage.getTable, answer: NfTablesMessage.newTable, tableAttribute: TableAttribute.name },
	chains: { request: NfTablesMessage.getChain, answer: NfTablesMessage.newChain, tableAttribute: ChainAttribute.table },
	rules: { request: NfTablesMessage.getRule, answer: NfTablesMessage.newRule, tableAttribute: RuleAttribute.table },
	sets: { request: NfTablesMessage.getSet, answer: NfTablesMessage.newSet, tableAttribute: SetAttribute.table },
	objects: {
		request: NfTablesMessage.getObject,
		answer: NfTablesMessage.newObject,
		tableAttribute: ObjectAttribute.table,
	},
} as const satisfies Record<string, Listing>;

/** Texts and spans of a message's attributes. */
type Attributes = ReadonlyMap<number, readonly [start: number, end: number]>;

/**
 * nf_tables of the network namespace in which this was created: elements are changed, all objects
 * are read.
 */
export class NfTables {
	readonly #socket = new NetlinkSocket({ protocol: NetlinkProtocol.netfilter, sendBufferBytes });

	close(): void {
		this.#socket.close();
	}

	/**
	 * Number of the present ruleset; each transaction of any process increments it. @throws
	 * NetlinkError
	 */
	async generation(): Promise<number> {
		let id = 0;
		// A dump reads until its response; NFT_MSG_GETGEN is not a dump, so the acknowledgement
		// ends it.
		await this.#socket.dump(
			(writer, sequence) => {
				writer.begin(
					messageType(Subsystem.nfTables, NfTablesMessage.getGeneration),
					MessageFlag.request | MessageFlag.ack,
					sequence,
				);
				writeGenericHeader(writer, 0);
				writer.end();
			},
			(message) => {
				const span = attributesOf(message).get(GenerationAttribute.id);
				if (span !== undefined) id = readBe32(message.view, ...span);
			},
			() => {},
		);
		return id;
	}

	/**
	 * Applies all changes or none; those of the structure come before elements. With `generation`,
	 * only if the ruleset is still that one. @throws NfTablesError if refused, SystemCallError if the
	 * response was lost
	 */
	async transaction(
		changes: readonly ElementChange[],
		{ generation, structure }: { readonly generation?: number; readonly structure?: StructureChanges } = {},
	): Promise<void> {
		const messages = new Map<number, { change: ElementChange; offsets: readonly number[]; first: number }>();
		const failures = await this.#socket.batch((writer, nextSequence) => {
			writeBatchMark(writer, BatchMessage.begin, nextSequence(), generation);
			for (const [index, change] of (structure?.changes ?? []).entries())
				if (structure !== undefined) encodeStructureChange(writer, structure, change, nextSequence, index + 1);
			for (const change of changes)
				encodeElementChange(writer, change, nextSequence, (sequence, offsets, first) =>
					messages.set(sequence, { change, offsets, first }),
				);
			writeBatchMark(writer, BatchMessage.end, nextSequence(), undefined);
		});
		for (const [sequence, failure] of failures) {
			const message = messages.get(sequence);
			throw new NfTablesError(failure, message?.change, message && elementAt(message, failure.attributeOffset));
		}
	}

	/** Names of the tables of a family. */
	tables(family: TableFamily): Promise<string[]> {
		return this.#list(listings.tables, family, undefined, (text) => text(TableAttribute.name));
	}

	/** Names of a table's chains. */
	chains(family: TableFamily, table: string): Promise<string[]> {
		return this.#list(listings.chains, family, table, (text) => text(ChainAttribute.name));
	}

	/** The number of rules of each chain; chains without rules are missing. */
	async ruleCounts(family: TableFamily, table: string): Promise<Map<string, number>> {
		const counts = new Map<string, number>();
		for (const chain of await this.#list(listings.rules, family, table, (text) => text(RuleAttribute.chain)))
			counts.set(chain, (counts.get(chain) ?? 0) + 1);
		return counts;
	}

	/** The named sets and maps of a table. */
	async sets(family: TableFamily, table: string): Promise<SetInfo[]> {
		const all = await this.#list(listings.sets, family, table, (text, number) => {
			const flags = number(SetAttribute.flags);
			const is = (flag: number) => (flags & flag) !== 0;
			return {
				name: text(SetAttribute.name),
				map: is(SetFlag.map),
				interval: is(SetFlag.interval),
				dynamic: is(SetFlag.evaluated),
				keyLengthBytes: number(SetAttribute.keyLength),
				anonymous: is(SetFlag.anonymous),
			};
		});
		return all.filter(({ anonymous }) => !anonymous).map(({ anonymous: _, ...set }) => set);
	}

	/** The named counters of a table. */
	counters(family: TableFamily, table: string): Promise<CounterInfo[]> {
		return this.#list(listings.objects, family, table, (text, number, message, attributes) => {
			if (number(ObjectAttribute.type) !== objectTypeCounter) return undefined;
			let [packets, bytes] = [0, 0];
			const [start, end] = attributes.get(ObjectAttribute.data) ?? [0, 0];
			eachAttribute(message.view, start, end, (type, from, to) => {
				if (type === CounterAttribute.packets) packets = readBe64(message.view, from, to);
				else if (type === CounterAttribute.bytes) bytes = readBe64(message.view, from, to);
			});
			return { name: text(ObjectAttribute.name), packets, bytes };
		});
	}

	/**
	 * All elements of a set or map. @throws NetlinkError, with code ENOENT if there is no such set
	 */
	async elements(family: TableFamily, table: string, set: string): Promise<SetElement[]> {
		let elements: SetElement[] = [];
		await this.#socket.dump(
			(writer, sequence) => encodeElementDump(writer, { family, table, set }, sequence),
			(message) => decodeElements(message, (element) => elements.push(element)),
			() => {
				elements = [];
			},
		);
		return elements;
	}

	/** A missing table is empty. */
	async #list<T>(
		{ request, answer, tableAttribute }: Listing,
		family: TableFamily,
		table: string | undefined,
		decode: (
			text: (attribute: number) => string,
			number: (attribute: number) => number,
			message: Message,
			attributes: Attributes,
		) => T | undefined,
	): Promise<T[]> {
		let found: T[] = [];
		const visit = (message: Message) => {
			if (message.type !== messageType(Subsystem.nfTables, answer)) return;
			const attributes = attributesOf(message);
			const span = (attribute: number) => attributes.get(attribute);
			const text = (attribute: number) => {
				const at = span(attribute);
				return at === undefined ? '' : readText(message.view, ...at);
			};
			const number = (attribute: number) => {
				const at = span(attribute);
				return at === undefined ? 0 : readBe32(message.view, ...at);
			};
			if (message.view.getUint8(message.bodyStart) !== tableFamilies[family]) return;
			if (table !== undefined && text(tableAttribute) !== table) return;
			const value = decode(text, number, message, attributes);
			if (value !== undefined) found.push(value);
		};
		try {
			await this.#socket.dump(
				(writer, sequence) => {
					writer.begin(messageType(Subsystem.nfTables, request), MessageFlag.request | MessageFlag.dump, sequence);
					writeGenericHeader(writer, tableFamilies[family]);
					if (table !== undefined && request !== NfTablesMessage.getChain) writer.attributeText(tableAttribute, table);
					writer.end();
				},
				visit,
				() => {
					found = [];
				},
			);
		} catch (error) {
			if (error instanceof NetlinkError && error.code === 'ENOENT') return [];
			throw error;
		}
		return found;
	}
}

/** The attributes of a message after `nfgenmsg`. */
function attributesOf(message: Message): Attributes {
	requireBody(message, genericLength);
	const attributes = new Map<number, readonly [number, number]>();
	eachAttribute(message.view, message.bodyStart + genericLength, message.bodyEnd, (type, start, end) =>
		attributes.set(type, [start, end]),
	);
	return attributes;
}

/** NFNL_MSG_BATCH_BEGIN or _END. */
function writeBatchMark(writer: MessageWriter, type: number, sequence: number, generation: number | undefined): void {
	writer.begin(type, MessageFlag.request, sequence);
	writeGenericHeader(writer, 0, Subsystem.nfTables);
	if (generation !== undefined) writer.attributeBe32(BatchAttribute.generation, generation);
	writer.end();
}

/** The element whose attributes are at an offset of its message. */
function elementAt(
	{ change, offsets, first }: { change: ElementChange; offsets: readonly number[]; first: number },
	offset: number | undefined,
): SetElement | undefined {
	if (offset === undefined) return offsets.length === 1 ? change.elements[first] : undefined;
	const index = offsets.findLastIndex((start) => start <= offset);
	return index < 0 ? undefined : change.elements[first + index];
}
