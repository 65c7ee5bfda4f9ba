import { isObject, type JsonObject, objectAt, textAt } from '../../json/index.ts';

/** The layouts of Calico's resources; a cluster uses exactly one. */
export type ApiLayout = 'crd.projectcalico.org/v1' | 'projectcalico.org/v3';

/** A Kubernetes object as read, with unknown fields, and its common metadata. */
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

/** A resource that can not be used, with its name and the reason. It is skipped. */
export class ResourceError extends Error {
	override readonly name = 'ResourceError';
	readonly resource: string;
	readonly problem: string;

	constructor(resource: string, problem: string, options?: ErrorOptions) {
		super(`${resource}: ${problem}`, options);
		this.resource = resource;
		this.problem = problem;
	}
}

/** Reads the metadata of an object from the API server. @throws ResourceError */
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

/**
 * Applies a reader to one object of the cluster. Every exception of the reader, expected or not,
 * makes only this object unusable, so that no object can stop the daemon. @throws ResourceError, no
 * other error
 */
export function readResource<T>(resource: Resource, read: (resource: Resource) => T): T {
	try {
		return read(resource);
	} catch (error) {
		if (error instanceof ResourceError) throw error;
		const reason = error instanceof Error ? error.message : String(error);
		throw new ResourceError(resource.name, `it can not be read: ${reason}`, { cause: error });
	}
}

/** The string members of an object. */
export function texts(object: JsonObject): Readonly<Record<string, string>> {
	return Object.fromEntries(
		Object.entries(object).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
	);
}

/** An object without the named members: the fields unknown to this version. */
export function without(object: JsonObject, known: readonly string[]): JsonObject {
	return Object.fromEntries(Object.entries(object).filter(([key]) => !known.includes(key)));
}

/** The spec of a resource; empty if absent. */
export function specOf({ raw }: Resource): JsonObject {
	const spec = raw['spec'];
	return isObject(spec) ? spec : {};
}
