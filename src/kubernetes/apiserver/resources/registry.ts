import type { JsonObject } from '../../json/index.ts';
import type { FieldTable } from '../protobuf/index.ts';
import type { Definitions } from '../schema/index.ts';
import { builtInTypes } from './built-in.ts';
import { customTypes } from './custom.ts';
import { loadFieldTable } from './definitions.ts';
import { collectionOf, type ResourceType } from './types.ts';

/** What is served now: the built-in resources and those of the definitions that are there. */
export class Registry {
	readonly definitions: Definitions;
	#fieldTable: FieldTable | undefined;
	readonly #builtIn: readonly ResourceType[];
	readonly #custom = new Map<string, readonly ResourceType[]>();
	#byPath = new Map<string, ResourceType>();
	#all: readonly ResourceType[] = [];
	#generation = 0;

	constructor(definitions: Definitions) {
		this.definitions = definitions;
		this.#builtIn = builtInTypes(definitions);
		this.#index();
	}

	/** Read when the first client sends the binary encoding. */
	get fieldTable(): FieldTable {
		this.#fieldTable ??= loadFieldTable();
		return this.#fieldTable;
	}

	/** Grows with every change, for what is derived from the whole. */
	get generation(): number {
		return this.#generation;
	}

	/** Every resource in every version. */
	get types(): readonly ResourceType[] {
		return this.#all;
	}

	/** The resource at `GROUP/VERSION/PLURAL`. */
	find(group: string, version: string, plural: string): ResourceType | undefined {
		return this.#byPath.get(`${group}/${version}/${plural}`);
	}

	/** Is there anything in that version of that group? */
	hasVersion(group: string, version: string): boolean {
		return this.#all.some((type) => type.group === group && type.version === version);
	}

	/** Serves what a CustomResourceDefinition says, in the place of what it said before. */
	define(name: string, definition: JsonObject): void {
		const builtIn = new Set(this.#builtIn.map(collectionOf));
		this.#custom.set(
			name,
			customTypes(definition, this.definitions).filter((type) => !builtIn.has(collectionOf(type))),
		);
		this.#index();
	}

	/** No longer serves it. */
	undefine(name: string): void {
		this.#custom.delete(name);
		this.#index();
	}

	#index(): void {
		this.#all = [...this.#builtIn, ...[...this.#custom.values()].flat()];
		this.#byPath = new Map(this.#all.map((type) => [`${collectionOf({ ...type, group: `${type.group}/${type.version}` })}`, type]));
		this.#generation++;
	}
}
