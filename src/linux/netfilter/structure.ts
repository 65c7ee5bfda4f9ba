/**
 * Messages that make and remove chains, sets and counters of nf_tables. linux/netfilter/nf_tables.h
 */
import { MessageFlag } from '../netlink/constants.ts';
import type { MessageWriter } from '../netlink/writer.ts';
import {
	ChainAttribute,
	CounterAttribute,
	ElementListAttribute,
	messageType,
	NfTablesMessage,
	ObjectAttribute,
	objectTypeCounter,
	RuleAttribute,
	SetAttribute,
	SetDescription,
	SetFlag,
	Subsystem,
	TableAttribute,
} from './constants.ts';
import { type TableFamily, tableFamilies, writeElements, writeGenericHeader } from './elements.ts';
import { type Expression, type OwnSet, ownSetName, writeExpressions } from './expressions.ts';
import { type DrawnKey, drawnKeyUserData, userDataNumber } from './set-user-data.ts';

/** What a set holds. `integer`: a number of the machine, of four bytes. */
export type SetField = 'ipv4_addr' | 'ipv6_addr' | 'inet_proto' | 'inet_service' | 'ifname' | 'integer';

/** A change of the structure of a table. Nothing else of the table is touched. */
export type StructureChange =
	| { readonly type: 'add-table' }
	| { readonly type: 'add-counter' | 'remove-counter'; readonly name: string }
	| {
			readonly type: 'add-set';
			readonly name: string;
			readonly fields: readonly SetField[];
			/** Of one field: ranges as two elements. */
			readonly interval: boolean;
			/** A map from keys to verdicts. */
			readonly verdicts?: boolean;
			/** A map from keys to values of these fields. */
			readonly values?: readonly SetField[];
			/** The key ends with a drawn number: `nft` needs this to list such a map. */
			readonly drawn?: DrawnKey;
			/** Filled by rules. */
			readonly dynamic?: { readonly timeoutMs: number; readonly size: number };
	  }
	| { readonly type: 'remove-set'; readonly name: string }
	/** A chain that packets reach from other chains alone. One that exists stays. */
	| { readonly type: 'add-chain' | 'flush-chain' | 'remove-chain'; readonly name: string }
	| { readonly type: 'add-rule'; readonly chain: string; readonly expressions: readonly Expression[] };

/**
 * Length of a field in bytes, and its number in the library libnftables, by which `nft` lists it.
 */
const fields: Readonly<
	Record<SetField, { readonly bytes: number; readonly number: number; readonly hostOrder?: true }>
> = {
	ipv4_addr: { bytes: 4, number: 7 },
	ipv6_addr: { bytes: 16, number: 8 },
	inet_proto: { bytes: 1, number: 12 },
	inet_service: { bytes: 2, number: 13 },
	ifname: { bytes: 16, number: 41, hostOrder: true },
	integer: { bytes: 4, number: 4, hostOrder: true },
};
/** A concatenation's number has six bits for each field. */
const fieldBits = 6;

/** NFT_DATA_VERDICT. */
const dataTypeVerdict = 0xffffff00;

/** User data of a set for `nft`: byte orders of its key and its values. libnftnl, udata.h. */
const userDataKeyByteOrder = 0;
const userDataValueByteOrder = 1;
const ByteOrder = { host: 1, network: 2 } as const;

/** Appends one change. `id` is unique within the transaction. */
export function encodeStructureChange(
	writer: MessageWriter,
	{ family, table }: { readonly family: TableFamily; readonly table: string },
	change: StructureChange,
	nextSequence: () => number,
	id: number,
): void {
	const message = (type: number, flags: number, body: () => void) => {
		writer.begin(messageType(Subsystem.nfTables, type), MessageFlag.request | flags, nextSequence());
		writeGenericHeader(writer, tableFamilies[family]);
		body();
		writer.end();
	};
	switch (change.type) {
		case 'add-table':
			message(NfTablesMessage.newTable, MessageFlag.create, () => writer.attributeText(TableAttribute.name, table));
			break;
		case 'add-counter':
		case 'remove-counter': {
			const add = change.type === 'add-counter';
			message(add ? NfTablesMessage.newObject : NfTablesMessage.deleteObject, add ? MessageFlag.create : 0, () => {
				writer.attributeText(ObjectAttribute.table, table);
				writer.attributeText(ObjectAttribute.name, change.name);
				writer.attributeBe32(ObjectAttribute.type, objectTypeCounter);
				if (!add) return;
				writer.nested(nestedFlag | ObjectAttribute.data, () => {
					writer.attributeBe64(CounterAttribute.bytes, 0n);
					writer.attributeBe64(CounterAttribute.packets, 0n);
				});
			});
			break;
		}
		case 'add-set':
			message(NfTablesMessage.newSet, MessageFlag.create, () => {
				const { number, bytes } = keyOf(change.fields);
				writer.attributeText(SetAttribute.table, table);
				writer.attributeText(SetAttribute.name, change.name);
				writer.attributeBe32(
					SetAttribute.flags,
					(change.interval ? SetFlag.interval : 0) |
						(change.verdicts || change.values !== undefined ? SetFlag.map : 0) |
						(change.dynamic === undefined ? 0 : SetFlag.timeout | SetFlag.evaluated),
				);
				writer.attributeBe32(SetAttribute.keyType, number);
				writer.attributeBe32(SetAttribute.keyLength, bytes);
				if (change.verdicts) writer.attributeBe32(SetAttribute.dataType, dataTypeVerdict);
				if (change.values !== undefined) {
					const value = keyOf(change.values);
					writer.attributeBe32(SetAttribute.dataType, value.number);
					writer.attributeBe32(SetAttribute.dataLength, value.bytes);
				}
				writer.attributeBe32(SetAttribute.id, id);
				if (change.dynamic !== undefined) {
					const { size, timeoutMs } = change.dynamic;
					writeSize(writer, size);
					writer.attributeBe64(SetAttribute.timeout, BigInt(timeoutMs));
				}
				writer.attribute(SetAttribute.userData, userDataOf(change));
			});
			break;
		case 'remove-set':
			message(NfTablesMessage.deleteSet, 0, () => {
				writer.attributeText(SetAttribute.table, table);
				writer.attributeText(SetAttribute.name, change.name);
			});
			break;
		case 'add-chain':
		case 'remove-chain': {
			const add = change.type === 'add-chain';
			message(add ? NfTablesMessage.newChain : NfTablesMessage.deleteChain, add ? MessageFlag.create : 0, () => {
				writer.attributeText(ChainAttribute.table, table);
				writer.attributeText(ChainAttribute.name, change.name);
			});
			break;
		}
		case 'flush-chain':
			// A removal without a handle removes all rules of the chain.
			message(NfTablesMessage.deleteRule, 0, () => {
				writer.attributeText(RuleAttribute.table, table);
				writer.attributeText(RuleAttribute.chain, change.name);
			});
			break;
		case 'add-rule': {
			const own = change.expressions.find((expression) => expression.type === 'lookup-own');
			if (own !== undefined) addOwnSet(own.set);
			message(NfTablesMessage.newRule, MessageFlag.create | MessageFlag.append, () => {
				writer.attributeText(RuleAttribute.table, table);
				writer.attributeText(RuleAttribute.chain, change.chain);
				writer.nested(nestedFlag | RuleAttribute.expressions, () => writeExpressions(writer, change.expressions, id));
			});
			break;
		}
		default:
			change satisfies never;
	}

	function addOwnSet(set: OwnSet): void {
		const isMap = set.type === 'verdicts';
		const names: readonly SetField[] = [isMap ? 'integer' : 'inet_proto'];
		const name = ownSetName(set);
		const elements = isMap
			? set.verdicts.map((data, number) => ({ key: new Uint8Array(Uint32Array.of(number).buffer), data }))
			: set.numbers.map((number) => ({ key: Uint8Array.of(number) }));
		message(NfTablesMessage.newSet, MessageFlag.create, () => {
			const { number, bytes } = keyOf(names);
			writer.attributeText(SetAttribute.table, table);
			writer.attributeText(SetAttribute.name, name);
			writer.attributeBe32(SetAttribute.flags, SetFlag.anonymous | SetFlag.constant | (isMap ? SetFlag.map : 0));
			writer.attributeBe32(SetAttribute.keyType, number);
			writer.attributeBe32(SetAttribute.keyLength, bytes);
			if (isMap) writer.attributeBe32(SetAttribute.dataType, dataTypeVerdict);
			writer.attributeBe32(SetAttribute.id, id);
			writeSize(writer, elements.length);
			writer.attribute(SetAttribute.userData, keyByteOrder(names));
		});
		message(NfTablesMessage.newElement, MessageFlag.create, () => {
			writer.attributeText(ElementListAttribute.table, table);
			writer.attributeText(ElementListAttribute.set, name);
			writer.attributeBe32(ElementListAttribute.setId, id);
			writeElements(writer, elements);
		});
	}
}

const writeSize = (writer: MessageWriter, size: number): void =>
	writer.nested(nestedFlag | SetAttribute.description, () => writer.attributeBe32(SetDescription.size, size));

const nestedFlag = 0x8000;

/** Fields of a concatenation are padded to four bytes each. */
function keyOf(names: readonly SetField[]): { readonly number: number; readonly bytes: number } {
	const parts = names.map((name) => fields[name]);
	const [only] = parts;
	if (parts.length === 1 && only !== undefined) return only;
	return {
		number: parts.reduce((sum, { number }) => (sum << fieldBits) | number, 0),
		bytes: parts.reduce((sum, { bytes }) => sum + ((bytes + 3) & ~3), 0),
	};
}

function keyByteOrder(names: readonly SetField[]): Uint8Array {
	const [only] = names;
	const order =
		names.length > 1 || only === undefined ? 0 : fields[only].hostOrder ? ByteOrder.host : ByteOrder.network;
	return userDataNumber(userDataKeyByteOrder, order);
}

function userDataOf({ fields: names, values, drawn }: Extract<StructureChange, { type: 'add-set' }>): Uint8Array {
	if (values === undefined) return keyByteOrder(names);
	// Of several fields each: no one order.
	const orders = [...keyByteOrder(names), ...userDataNumber(userDataValueByteOrder, 0)];
	return Uint8Array.of(...orders, ...(drawn === undefined ? [] : drawnKeyUserData(drawn)));
}
