import type { JsonObject, JsonValue } from '../../json/index.ts';
import type { Cause } from '../api/status.ts';
import type { Schema } from '../schema/index.ts';

/** A column of `kubectl get`. */
export interface Column {
	readonly name: string;
	readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
	readonly format?: string;
	readonly description?: string;
	/** 0 is always shown, more only with `-o wide`. */
	readonly priority: number;
	/** The cell; `null` where there is nothing. */
	value(object: JsonObject, nowMs: number): JsonValue;
}

/** What distinguishes a kind from others when it is written. */
export interface Rules {
	/** A replace without resourceVersion overwrites. */
	readonly unconditionalUpdate: boolean;
	/** A replace of what is not there creates it. */
	readonly createOnUpdate: boolean;
	/** `metadata.generation` counts changes of everything but metadata and status. */
	readonly generation: boolean;
	/** Writes of status leave labels, annotations and the rest of metadata alone. */
	readonly statusKeepsMetadata: boolean;
	/** DELETE answers with the object instead of a Status. */
	readonly deleteReturnsObject: boolean;
	/** DELETE of the whole collection is possible. */
	readonly deleteCollection: boolean;
	/** Names: `subdomain` (RFC 1123, dots allowed), `label` (RFC 1123), `service` (RFC 1035), `segment` (whatever can stand in a path). */
	readonly nameFormat: 'subdomain' | 'label' | 'service' | 'segment';
	/** Seconds that a deletion waits for somebody (a kubelet) to confirm it, unless the request says; 0: none. */
	graceSeconds(object: JsonObject): number;
	/** Fills in what is not said, before anybody is asked who set what. */
	defaults(object: JsonObject): JsonObject;
	/** Fills in what the server decides; `previous` is absent on creation. */
	prepare(object: JsonObject, previous: JsonObject | undefined): JsonObject;
	/** What is wrong beyond the schema. */
	validate(object: JsonObject, previous: JsonObject | undefined): readonly Cause[];
}

/** A resource as it is served in one version. */
export interface ResourceType {
	readonly group: string;
	readonly version: string;
	readonly kind: string;
	readonly listKind: string;
	readonly plural: string;
	readonly singular: string;
	readonly shortNames: readonly string[];
	readonly categories: readonly string[];
	readonly namespaced: boolean;
	/** Comes from a CustomResourceDefinition. */
	readonly custom: boolean;
	/** `status` is written through its own subresource only. */
	readonly status: boolean;
	readonly scale: { readonly spec: readonly string[]; readonly status: readonly string[]; readonly selector: readonly string[] } | undefined;
	/** May be asked to go (`eviction`), rather than be deleted. */
	readonly eviction?: true;
	readonly schema: Schema;
	readonly columns: readonly Column[];
	/** Fields that a field selector may name besides metadata.name and metadata.namespace, each as a path. */
	readonly selectableFields: ReadonlyMap<string, readonly string[]>;
	readonly rules: Rules;
	/** Told to everybody who uses it. */
	readonly deprecation?: string;
}

/** Where objects of a resource are kept, whatever the version. */
export const collectionOf = ({ group, plural }: Pick<ResourceType, 'group' | 'plural'>): string => `${group}/${plural}`;

/** `v1` or `apps/v1`. */
export const apiVersionOf = ({ group, version }: Pick<ResourceType, 'group' | 'version'>): string => (group === '' ? version : `${group}/${version}`);

export const keyOf = (namespace: string, name: string): string => (namespace === '' ? name : `${namespace}/${name}`);
