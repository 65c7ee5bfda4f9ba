import { isObject, type JsonObject, objectAt, textAt } from '../json/index.ts';

/** The layouts in which Calico keeps its resources (they are never both in use). */
export type ApiLayout = 'crd.projectcalico.org/v1' | 'projectcalico.org/v3';

/** A Kubernetes object as it was read, unknown fields and all, with the metadata everybody asks for. */
export interface Resource {
	readonly name: string;
	readonly namespace: string | undefined;
	readonly uid: string;
	readonly resourceVersion: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly annotations: Readonly<Record<string, string>>;
	/** `metadata.deletionTimestamp` is set. */
	readonly terminating: boolean;
	readonly raw: JsonObject;
}

/** A resource that does not say what it must: which, and what is wrong. It is left alone. */
export class ResourceError extends Error {
	override readonly name = 'ResourceError';
	readonly resource: string;
	readonly problem: string;

	constructor(resource: string, problem: string) {
		super(`${resource}: ${problem}`);
		this.resource = resource;
		this.problem = problem;
	}
}

/** Reads the metadata of an object as the API server gave it. @throws ResourceError */
export function toResource(raw: JsonObject): Resource {
	const name = textAt(raw, 'metadata', 'name');
	if (name === undefined) throw new ResourceError(textAt(raw, 'kind') ?? 'object', 'it has no metadata.name');
	return {
		name,
		namespace: textAt(raw, 'metadata', 'namespace'),
		uid: textAt(raw, 'metadata', 'uid') ?? '',
		resourceVersion: textAt(raw, 'metadata', 'resourceVersion') ?? '',
		labels: texts(objectAt(raw, 'metadata', 'labels')),
		annotations: texts(objectAt(raw, 'metadata', 'annotations')),
		terminating: textAt(raw, 'metadata', 'deletionTimestamp') !== undefined,
		raw,
	};
}

/** The members of an object that are text. */
export function texts(object: JsonObject): Readonly<Record<string, string>> {
	return Object.fromEntries(Object.entries(object).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** An object without the members named: what this version does not know. */
export function without(object: JsonObject, known: readonly string[]): JsonObject {
	return Object.fromEntries(Object.entries(object).filter(([key]) => !known.includes(key)));
}

/** The spec of a resource; empty where it has none. */
export function specOf({ raw }: Resource): JsonObject {
	const spec = raw['spec'];
	return isObject(spec) ? spec : {};
}
