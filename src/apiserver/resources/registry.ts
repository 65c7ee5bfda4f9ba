import type { JsonObject } from '../../json/index.ts';
import type { FieldTable } from '../protobuf/index.ts';
import type { Definitions } from '../schema/index.ts';
import { builtInTypes } from './built-in.ts';
import { customTypes } from './custom.ts';
import { loadFieldTable } from './definitions.ts';
import { collectionOf, type ResourceType } from './types.ts';

/** The served resources: the built-in ones, and those of the present definitions. */
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

	/** Loaded at the first use of the binary encoding. */
	get fieldTable(): FieldTable {
		this.#fieldTable ??= loadFieldTable();
		return this.#fieldTable;
	}

	/** Rises with every change; for caches of values derived from the registry. */
	get generation(): number {
		return this.#generation;
	}

	/** All resources in all versions. */
	get types(): readonly ResourceType[] {
		return this.#all;
	}

	/** The resource at `GROUP/VERSION/PLURAL`. */
	find(group: string, version: string, plural: string): ResourceType | undefined {
		return this.#byPath.get(`${group}/${version}/${plural}`);
	}

	/** True if the group has this version. */
	hasVersion(group: string, version: string): boolean {
		return this.#all.some((type) => type.group === group && type.version === version);
	}

	/** Registers the resources of a CustomResourceDefinition, in place of its previous ones. */
	define(name: string, definition: JsonObject): void {
		const builtIn = new Set(this.#builtIn.map(collectionOf));
		this.#custom.set(
			name,
			customTypes(definition, this.definitions).filter((type) => !builtIn.has(collectionOf(type))),
		);
		this.#index();
	}

	/** Removes the resources of a definition. */
	undefine(name: string): void {
		this.#custom.delete(name);
		this.#index();
	}

	#index(): void {
		this.#all = [...this.#builtIn, ...[...this.#custom.values()].flat()];
		this.#byPath = new Map(
			this.#all.map((type) => [`${collectionOf({ ...type, group: `${type.group}/${type.version}` })}`, type]),
		);
		this.#generation++;
	}
}
