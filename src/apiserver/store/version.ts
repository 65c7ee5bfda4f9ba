import { type JsonObject, stringifyJson } from '../../json/index.ts';

/** One state of one object: written at `revision`, valid until the next one. */
export class Version {
	readonly revision: number;
	/** `undefined`: the object was deleted at this revision. */
	readonly value: JsonObject | undefined;
	#text: string | undefined;

	constructor(revision: number, value: JsonObject | undefined, text?: string) {
		this.revision = revision;
		this.value = value;
		this.#text = text;
	}

	/** The value as JSON text, serialized once for all watchers and lists. */
	get text(): string {
		this.#text ??= this.value === undefined ? '' : stringifyJson(this.value);
		return this.#text;
	}
}

/** A version that is not a deletion, under its key. */
export interface Stored {
	/** `NAMESPACE/NAME`, or `NAME` for a cluster-scoped object. */
	readonly key: string;
	readonly revision: number;
	readonly value: JsonObject;
	/** The value as JSON text. */
	readonly text: string;
}

/** A change of one key at one revision. */
export interface StoreEvent {
	readonly revision: number;
	readonly collection: string;
	readonly key: string;
	readonly current: Version;
	/** The previous state; `undefined` for a new key. */
	readonly previous: Version | undefined;
}
