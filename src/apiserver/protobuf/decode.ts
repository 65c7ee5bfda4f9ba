import { isObject, type JsonObject, type JsonValue, parseJson } from '../../json/index.ts';
import { anything, type Schema } from '../schema/index.ts';
import { type Field, fieldsOf, ProtobufError } from './reader.ts';

/** The meaning of a field number of a type. */
export interface FieldRow {
	/** The JSON member; for `inline`, the type whose members are part of this object. */
	readonly name: string;
	/** A zero value is omitted. */
	readonly omitZero: boolean;
	readonly inline: boolean;
}

/** Field numbers by type name. */
export type FieldTable = ReadonlyMap<string, ReadonlyMap<number, FieldRow>>;

/** The envelope of every object: its type and its bytes. */
export interface Envelope {
	readonly apiVersion: string;
	readonly kind: string;
	readonly raw: Uint8Array;
}

const magic = [0x6b, 0x38, 0x73, 0];
const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');

/** Parses `k8s NUL` and a runtime.Unknown. @throws ProtobufError */
export function openEnvelope(bytes: Uint8Array): Envelope {
	if (magic.some((byte, index) => bytes[index] !== byte))
		throw new ProtobufError('provided data does not appear to be a protobuf message');
	let envelope: Envelope = { apiVersion: '', kind: '', raw: new Uint8Array(0) };
	for (const field of fieldsOf(bytes.subarray(magic.length))) {
		if (field.type !== 'bytes') continue;
		if (field.number === 2) envelope = { ...envelope, raw: field.value };
		if (field.number !== 1) continue;
		for (const { number, type, value } of fieldsOf(field.value)) {
			if (type === 'bytes' && number === 1) envelope = { ...envelope, apiVersion: text(value) };
			if (type === 'bytes' && number === 2) envelope = { ...envelope, kind: text(value) };
		}
	}
	return envelope;
}

/** Decodes a message of a type to a JSON object. @throws ProtobufError */
export function decodeMessage(table: FieldTable, typeName: string, schema: Schema, bytes: Uint8Array): JsonObject {
	const members = new Map<string, JsonValue>();
	decodeInto(table, typeName, schema, bytes, members);
	return Object.fromEntries(members);
}

function decodeInto(
	table: FieldTable,
	typeName: string,
	schema: Schema,
	bytes: Uint8Array,
	members: Map<string, JsonValue>,
): void {
	const rows = table.get(typeName);
	if (rows === undefined) throw new ProtobufError(`${typeName} is not known in this encoding`);
	for (const field of fieldsOf(bytes)) {
		const row = rows.get(field.number);
		if (row === undefined) continue;
		if (row.inline) {
			if (field.type === 'bytes') decodeInto(table, row.name, schema, field.value, members);
			continue;
		}
		addMember(table, schema.member(row.name) ?? anything, row, field, members);
	}
}

function addMember(
	table: FieldTable,
	schema: Schema,
	{ name, omitZero }: FieldRow,
	field: Field,
	members: Map<string, JsonValue>,
): void {
	const before = members.get(name);
	if (schema.type === 'array') {
		members.set(name, [...(Array.isArray(before) ? before : []), decodeValue(table, schema.items ?? anything, field)]);
		return;
	}
	if (schema.additional !== undefined && field.type === 'bytes') {
		members.set(name, { ...(isObject(before) ? before : {}), ...decodeEntry(table, schema.additional, field.value) });
		return;
	}
	const value = decodeValue(table, schema, field);
	if (value === null || (omitZero && (value === '' || value === 0 || value === false))) return;
	members.set(name, value);
}

/** A map entry: field 1 is the key, field 2 the value. */
function decodeEntry(table: FieldTable, schema: Schema, bytes: Uint8Array): JsonObject {
	let key = '';
	let value: JsonValue = schema.type === 'string' ? '' : null;
	for (const field of fieldsOf(bytes)) {
		if (field.number === 1 && field.type === 'bytes') key = text(field.value);
		else if (field.number === 2) value = decodeValue(table, schema, field);
	}
	return Object.fromEntries([[key, value]]);
}

function decodeValue(table: FieldTable, schema: Schema, field: Field): JsonValue {
	const reference = schema.raw['$ref'];
	if (field.type === 'integer') return schema.type === 'boolean' ? field.value !== 0n : signed(field.value);
	if (typeof reference === 'string') {
		const special = specials[reference];
		if (special !== undefined) return special(field.value);
		return decodeMessage(table, reference, schema, field.value);
	}
	if (schema.type !== 'string') throw new ProtobufError(`field ${field.number} is not of the expected type`);
	return schema.raw['format'] === 'byte' ? Buffer.from(field.value).toString('base64') : text(field.value);
}

function signed(value: bigint): number | bigint {
	const integer = BigInt.asIntN(64, value);
	const number = Number(integer);
	return Number.isSafeInteger(number) ? number : integer;
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** Types whose JSON form is not an object of their fields. */
const specials: Readonly<Record<string, (bytes: Uint8Array) => JsonValue>> = {
	[`${meta}.Time`]: (bytes) => timeOf(bytes, 0),
	[`${meta}.MicroTime`]: (bytes) => timeOf(bytes, 6),
	[`${meta}.FieldsV1`]: embeddedJson,
	'io.k8s.apimachinery.pkg.runtime.RawExtension': embeddedJson,
	'io.k8s.apimachinery.pkg.api.resource.Quantity': (bytes) => {
		for (const field of fieldsOf(bytes)) if (field.number === 1 && field.type === 'bytes') return text(field.value);
		return '0';
	},
	'io.k8s.apimachinery.pkg.util.intstr.IntOrString': (bytes) => {
		let [kind, integer, string]: [number, number | bigint, string] = [0, 0, ''];
		for (const field of fieldsOf(bytes)) {
			if (field.type === 'integer' && field.number === 1) kind = Number(field.value);
			else if (field.type === 'integer' && field.number === 2) integer = signed(field.value);
			else if (field.type === 'bytes' && field.number === 3) string = text(field.value);
		}
		return kind === 0 ? integer : string;
	},
};

/** Converts seconds since 1970 and nanoseconds to RFC 3339; an empty message is `null`. */
function timeOf(bytes: Uint8Array, digits: 0 | 6): JsonValue {
	if (bytes.length === 0) return null;
	let [seconds, nanoseconds] = [0, 0];
	for (const field of fieldsOf(bytes)) {
		if (field.type !== 'integer') continue;
		if (field.number === 1) seconds = Number(BigInt.asIntN(64, field.value));
		else if (field.number === 2) nanoseconds = Number(field.value);
	}
	const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
	return digits === 0 ? `${whole}Z` : `${whole}.${String(Math.floor(nanoseconds / 1000)).padStart(6, '0')}Z`;
}

function embeddedJson(bytes: Uint8Array): JsonValue {
	for (const field of fieldsOf(bytes))
		if (field.number === 1 && field.type === 'bytes') return parseJson(text(field.value));
	return null;
}
