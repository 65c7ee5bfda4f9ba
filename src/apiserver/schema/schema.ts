import { arrayAt, at, isObject, type JsonObject, type JsonValue, objectAt, textAt } from '../../json/index.ts';

/** Raw definitions by name, for references. */
export type Definitions = ReadonlyMap<string, JsonObject>;

/** How a list is merged: as a whole, by element, or by the keys of its items. */
export type ListType = 'atomic' | 'set' | 'map';

/**
 * A structural schema (OpenAPI v3 with Kubernetes' extensions). Its children are resolved at their
 * first use.
 */
export class Schema {
	readonly raw: JsonObject;
	readonly type: string | undefined;
	readonly intOrString: boolean;
	/** Undeclared members are kept. */
	readonly preservesUnknown: boolean;
	/** An embedded object with its own `apiVersion`, `kind` and `metadata`. */
	readonly embedded: boolean;
	readonly nullable: boolean;
	readonly default: JsonValue | undefined;
	readonly listType: ListType;
	readonly listKeys: readonly string[];
	/** Server-side apply replaces the object as a whole. */
	readonly atomicMap: boolean;
	/** Strategic merge patch: `merge`, `replace`, `retainKeys`, or several. */
	readonly patchStrategies: readonly string[];
	readonly mergeKey: string | undefined;
	readonly required: readonly string[];
	/** Has `allOf`, `anyOf`, `oneOf` or `not`. */
	readonly combines: boolean;
	readonly #definitions: Definitions;
	#properties: ReadonlyMap<string, Schema> | undefined;
	#items: Schema | undefined;
	#additional: Schema | undefined;

	constructor(given: JsonObject, definitions: Definitions = new Map()) {
		const reference = textAt(given, '$ref');
		// Siblings of a reference (a default, a list type) apply to this node; all other properties
		// come from the referenced schema.
		const raw = reference === undefined ? given : { ...definitions.get(reference), ...given };
		this.raw = raw;
		this.#definitions = definitions;
		this.type = textAt(raw, 'type');
		this.intOrString = raw['x-kubernetes-int-or-string'] === true;
		const says =
			this.type !== undefined || this.intOrString || raw['properties'] !== undefined || raw['items'] !== undefined;
		this.preservesUnknown = raw['x-kubernetes-preserve-unknown-fields'] === true || !says;
		this.embedded = raw['x-kubernetes-embedded-resource'] === true;
		this.nullable = raw['nullable'] === true;
		this.default = raw['default'];
		const listType = textAt(raw, 'x-kubernetes-list-type');
		this.listType = listType === 'set' || listType === 'map' ? listType : 'atomic';
		this.listKeys = texts(arrayAt(raw, 'x-kubernetes-list-map-keys'));
		this.atomicMap = textAt(raw, 'x-kubernetes-map-type') === 'atomic';
		this.patchStrategies = textAt(raw, 'x-kubernetes-patch-strategy')?.split(',') ?? [];
		this.mergeKey = textAt(raw, 'x-kubernetes-patch-merge-key');
		this.required = texts(arrayAt(raw, 'required'));
		this.combines = ['allOf', 'anyOf', 'oneOf', 'not'].some((key) => raw[key] !== undefined);
	}

	get properties(): ReadonlyMap<string, Schema> {
		this.#properties ??= new Map(
			Object.entries(objectAt(this.raw, 'properties')).flatMap(([name, child]) =>
				isObject(child) ? [[name, new Schema(child, this.#definitions)] as const] : [],
			),
		);
		return this.#properties;
	}

	/** The schema of members that are not in `properties`. */
	get additional(): Schema | undefined {
		const raw = at(this.raw, 'additionalProperties');
		if (raw === true) this.#additional ??= anything;
		else if (isObject(raw)) this.#additional ??= new Schema(raw, this.#definitions);
		return this.#additional;
	}

	get items(): Schema | undefined {
		const raw = at(this.raw, 'items');
		if (isObject(raw)) this.#items ??= new Schema(raw, this.#definitions);
		return this.#items;
	}

	/** The schema of a member of an object; `undefined`: the member is unknown. */
	member(name: string): Schema | undefined {
		return this.properties.get(name) ?? this.additional;
	}
}

function texts(values: readonly JsonValue[]): string[] {
	return values.filter((value) => typeof value === 'string');
}

const ruled = new WeakMap<Schema, boolean>();

/** True if the schema, or a schema below it, has rules (`x-kubernetes-validations`). */
export function hasRules(schema: Schema): boolean {
	const known = ruled.get(schema);
	if (known !== undefined) return known;
	const { items, additional } = schema;
	// Kubernetes' own definitions may be recursive: they have no rules.
	ruled.set(schema, false);
	const found =
		arrayAt(schema.raw, 'x-kubernetes-validations').length > 0 ||
		[...schema.properties.values()].some(hasRules) ||
		(items !== undefined && hasRules(items)) ||
		(additional !== undefined && hasRules(additional));
	ruled.set(schema, found);
	return found;
}

/** Accepts any value. */
export const anything = new Schema({ 'x-kubernetes-preserve-unknown-fields': true });

/** A field's path in readable form: `spec.ports[0].name`. */
export function childPath(path: string, step: string | number): string {
	if (typeof step === 'number') return `${path}[${step}]`;
	return path === '' ? step : `${path}.${step}`;
}
