import { arrayAt, at, isObject, type JsonObject, type JsonValue, objectAt, textAt } from '../../json/index.ts';

/** Raw definitions by name, for references. */
export type Definitions = ReadonlyMap<string, JsonObject>;

/** How a list is merged: as a whole, by element, or by the keys of its items. */
export type ListType = 'atomic' | 'set' | 'map';

/** A structural schema (OpenAPI v3 with Kubernetes' extensions) with its children resolved when they are first asked for. */
export class Schema {
	readonly raw: JsonObject;
	readonly #definitions: Definitions;
	#properties: ReadonlyMap<string, Schema> | undefined;
	#items: Schema | undefined;
	#additional: Schema | undefined;

	constructor(raw: JsonObject, definitions: Definitions = new Map()) {
		const reference = textAt(raw, '$ref');
		// What stands beside a reference (a default, a list type) belongs to the place, the rest to what is referred to.
		this.raw = reference === undefined ? raw : { ...definitions.get(reference), ...raw };
		this.#definitions = definitions;
	}

	get type(): string | undefined {
		return textAt(this.raw, 'type');
	}

	get properties(): ReadonlyMap<string, Schema> {
		this.#properties ??= new Map(
			Object.entries(objectAt(this.raw, 'properties')).flatMap(([name, child]) =>
				isObject(child) ? [[name, new Schema(child, this.#definitions)] as const] : [],
			),
		);
		return this.#properties;
	}

	/** What every member that is not in `properties` must be. */
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

	/** Members nobody declared are kept. */
	get preservesUnknown(): boolean {
		if (this.raw['x-kubernetes-preserve-unknown-fields'] === true) return true;
		return this.type === undefined && !this.intOrString && this.raw['properties'] === undefined && this.raw['items'] === undefined;
	}

	get intOrString(): boolean {
		return this.raw['x-kubernetes-int-or-string'] === true;
	}

	/** An object with `apiVersion`, `kind` and `metadata` of its own. */
	get embedded(): boolean {
		return this.raw['x-kubernetes-embedded-resource'] === true;
	}

	get nullable(): boolean {
		return this.raw['nullable'] === true;
	}

	get default(): JsonValue | undefined {
		return this.raw['default'];
	}

	get listType(): ListType {
		const type = textAt(this.raw, 'x-kubernetes-list-type');
		return type === 'set' || type === 'map' ? type : 'atomic';
	}

	get listKeys(): readonly string[] {
		return texts(arrayAt(this.raw, 'x-kubernetes-list-map-keys'));
	}

	/** The object is replaced as a whole by server-side apply. */
	get atomicMap(): boolean {
		return textAt(this.raw, 'x-kubernetes-map-type') === 'atomic';
	}

	/** Strategic merge patch: `merge`, `replace`, `retainKeys`, or several. */
	get patchStrategies(): readonly string[] {
		return textAt(this.raw, 'x-kubernetes-patch-strategy')?.split(',') ?? [];
	}

	get mergeKey(): string | undefined {
		return textAt(this.raw, 'x-kubernetes-patch-merge-key');
	}

	get required(): readonly string[] {
		return texts(arrayAt(this.raw, 'required'));
	}
}

/** Accepts whatever it is. */
export const anything = new Schema({ 'x-kubernetes-preserve-unknown-fields': true });

const texts = (values: readonly JsonValue[]): string[] => values.filter((value) => typeof value === 'string');

/** A field's path as people read it: `spec.ports[0].name`. */
export function childPath(path: string, step: string | number): string {
	if (typeof step === 'number') return `${path}[${step}]`;
	return path === '' ? step : `${path}.${step}`;
}
