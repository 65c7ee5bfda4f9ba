import type { JsonObject, JsonValue } from '../../json/index.ts';
import type { Cause } from '../api/status.ts';
import type { Schema } from '../schema/index.ts';

/** A column of `kubectl get`. */
export interface Column {
	readonly name: string;
	readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
	readonly format?: string;
	readonly description?: string;
	/** Columns with priority 0 are always shown, others only with `-o wide`. */
	readonly priority: number;
	/** The cell; `null` if empty. */
	value(object: JsonObject, nowMs: number): JsonValue;
}

/** The write behaviour of a kind. */
export interface Rules {
	/** A replace without resourceVersion overwrites. */
	readonly unconditionalUpdate: boolean;
	/** A replace of an absent object creates it. */
	readonly createOnUpdate: boolean;
	/** `metadata.generation` counts changes outside metadata and status. */
	readonly generation: boolean;
	/** Writes of status do not change labels, annotations or other metadata. */
	readonly statusKeepsMetadata: boolean;
	/** DELETE returns the object instead of a Status. */
	readonly deleteReturnsObject: boolean;
	/** DELETE of the whole collection is possible. */
	readonly deleteCollection: boolean;
	/**
	 * Syntax of names: `subdomain` (RFC 1123, dots allowed), `label` (RFC 1123), `service` (RFC
	 * 1035), `segment` (any path segment).
	 */
	readonly nameFormat: 'subdomain' | 'label' | 'service' | 'segment';
	/** Default grace period in seconds, in which a kubelet confirms the deletion; 0: none. */
	graceSeconds(object: JsonObject): number;
	/** Applies defaults before field management, so that they belong to the writer. */
	defaults(object: JsonObject): JsonObject;
	/** Sets server-controlled fields; `previous` is absent on creation. */
	prepare(object: JsonObject, previous: JsonObject | undefined): JsonObject;
	/** Validation beyond the schema. */
	validate(object: JsonObject, previous: JsonObject | undefined): readonly Cause[];
}

/** A resource in one served version. */
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
	/** From a CustomResourceDefinition. */
	readonly custom: boolean;
	/** `status` is written only through its subresource. */
	readonly status: boolean;
	readonly scale:
		| { readonly spec: readonly string[]; readonly status: readonly string[]; readonly selector: readonly string[] }
		| undefined;
	/** Supports the subresource `eviction`. */
	readonly eviction?: true;
	readonly schema: Schema;
	readonly columns: readonly Column[];
	/** Fields for field selectors besides metadata.name and metadata.namespace, each as a path. */
	readonly selectableFields: ReadonlyMap<string, readonly string[]>;
	readonly rules: Rules;
	/** Sent as a warning with every response. */
	readonly deprecation?: string;
}

/** The store's collection of a resource, shared by all versions. */
export const collectionOf = ({ group, plural }: Pick<ResourceType, 'group' | 'plural'>): string => `${group}/${plural}`;

/** `v1` or `apps/v1`. */
export const apiVersionOf = ({ group, version }: Pick<ResourceType, 'group' | 'version'>): string =>
	group === '' ? version : `${group}/${version}`;

export const keyOf = (namespace: string, name: string): string => (namespace === '' ? name : `${namespace}/${name}`);
