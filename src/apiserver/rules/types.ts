import { type Environment, evaluate } from '@marcbachmann/cel-js';
import { isArray, isObject, type JsonValue, sameJson } from '../../json/index.ts';
import { Schema } from '../schema/index.ts';

/** The type of a schema's values in rules: its name, and the conversion from JSON. */
export interface Shape {
	readonly type: string;
	value(json: JsonValue): unknown;
}

/** An object with declared members; each member becomes a property. */
interface Message {
	readonly json: JsonValue;
	[member: string]: unknown;
}

const reserved = new Set(
	(
		'true false null in as break const continue else for function if import let loop package ' +
		'namespace return var void while'
	).split(' '),
);

/**
 * The name of a member in rules: characters that are invalid in CEL are escaped.
 * https://kubernetes.io/docs/reference/using-api/cel
 */
function memberName(name: string): string | undefined {
	if (reserved.has(name)) return `__${name}__`;
	const escaped = name
		.replaceAll('__', '__underscores__')
		.replaceAll('.', '__dot__')
		.replaceAll('-', '__dash__')
		.replaceAll('/', '__slash__');
	return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

const scalars: Readonly<Record<string, string>> = {
	integer: 'int',
	number: 'double',
	boolean: 'bool',
	string: 'string',
};
const formats: Readonly<Record<string, Shape>> = {
	'date-time': { type: 'google.protobuf.Timestamp', value: (json) => new Date(String(json)) },
	date: { type: 'google.protobuf.Timestamp', value: (json) => new Date(String(json)) },
	duration: { type: 'google.protobuf.Duration', value: (json) => evaluate(`duration(${JSON.stringify(json)})`) },
	byte: { type: 'bytes', value: (json) => new Uint8Array(Buffer.from(String(json), 'base64')) },
};

/**
 * Declares the types of a schema in an environment; `undefined` for schemas that are opaque to
 * rules.
 */
export class Shapes {
	readonly #environment: Environment;
	#count = 0;

	constructor(environment: Environment) {
		this.#environment = environment;
	}

	/** `isRoot`: of metadata, rules see only name and generateName. */
	shape(schema: Schema, isRoot = false): Shape | undefined {
		if (schema.intOrString) return { type: 'dyn', value: scalar };
		switch (schema.type) {
			case 'object':
				return schema.additional === undefined || schema.properties.size > 0
					? this.#message(schema, isRoot)
					: this.#map(schema.additional);
			case 'array':
				return schema.items && this.#list(schema.items);
			case 'number':
				return { type: 'double', value: Number };
			case 'string': {
				const format = String(schema.raw['format'] ?? '');
				return (Object.hasOwn(formats, format) ? formats[format] : undefined) ?? { type: 'string', value: scalar };
			}
			default:
				return schema.type === undefined || scalars[schema.type] === undefined
					? undefined
					: { type: scalars[schema.type] ?? 'dyn', value: scalar };
		}
	}

	#list(items: Schema): Shape | undefined {
		const shape = this.shape(items);
		return (
			shape && {
				type: `list<${items.nullable ? 'dyn' : shape.type}>`,
				value: (json) => (isArray(json) ? json.map((item) => (item === null ? null : shape.value(item))) : []),
			}
		);
	}

	#map(additional: Schema): Shape | undefined {
		const shape = this.shape(additional);
		return (
			shape && {
				type: `map<string, ${additional.nullable ? 'dyn' : shape.type}>`,
				value: (json) =>
					new Map(
						Object.entries(isObject(json) ? json : {}).map(([name, member]) => [
							name,
							member === null || member === undefined ? null : shape.value(member),
						]),
					),
			}
		);
	}

	#message(schema: Schema, isRoot: boolean): Shape {
		const members = new Map<string, { readonly name: string; readonly shape: Shape }>();
		const add = (name: string, shape: Shape | undefined) => {
			const escaped = memberName(name);
			if (shape !== undefined && escaped !== undefined) members.set(name, { name: escaped, shape });
		};
		const whole = isRoot || schema.embedded;
		for (const [name, member] of schema.properties) if (!(whole && name === 'metadata')) add(name, this.shape(member));
		if (whole) {
			for (const name of ['apiVersion', 'kind']) add(name, { type: 'string', value: scalar });
			add('metadata', this.#message(metadataSchema, false));
		}
		const type = `Object${++this.#count}`;
		// One class per type: the engine derives the type of a value from its class.
		const Type = class implements Message {
			readonly json: JsonValue;
			[member: string]: unknown;
			constructor(json: JsonValue) {
				this.json = json;
				Object.defineProperty(this, 'json', { enumerable: false });
				for (const [name, member] of Object.entries(isObject(json) ? json : {})) {
					const known = members.get(name);
					// A null member counts as absent.
					if (known !== undefined && member !== null && member !== undefined)
						this[known.name] = known.shape.value(member);
				}
			}
		};
		const fields = Object.fromEntries([...members.values()].map(({ name, shape }) => [name, shape.type]));
		this.#environment.registerType(type, { ctor: Type, fields });
		this.#environment.registerOperator(`${type} == ${type}`, (one: Message, other: Message) =>
			sameJson(one.json, other.json),
		);
		return { type, value: (json) => new Type(json) };
	}
}

const text = { type: 'string' };
const metadataSchema = new Schema({ type: 'object', properties: { name: text, generateName: text } });

/** Integers in rules have 64 bits. */
const scalar = (json: JsonValue): unknown => (typeof json === 'number' && Number.isInteger(json) ? BigInt(json) : json);
