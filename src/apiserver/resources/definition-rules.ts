import {
	arrayAt,
	at,
	isObject,
	type JsonArray,
	type JsonObject,
	objectAt,
	sameJson,
	stringifyJson,
	textAt,
} from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import { faultyRules } from '../rules/index.ts';
import { hasRules, Schema } from '../schema/index.ts';
import { commonRules } from './common-rules.ts';
import { storageVersion } from './custom.ts';
import type { Rules } from './types.ts';

/** The finalizer added at deletion: it keeps a definition until its objects are deleted. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** Defaults and validation of a CustomResourceDefinition. */
export const definitionRules: Rules = {
	...commonRules,
	unconditionalUpdate: false,
	generation: true,
	statusKeepsMetadata: true,
	prepare(object, previous) {
		const spec = objectAt(object, 'spec');
		const names = objectAt(spec, 'names');
		const kind = textAt(names, 'kind') ?? '';
		const filled: JsonObject = {
			...object,
			spec: {
				conversion: { strategy: 'None' },
				...spec,
				names: { listKind: `${kind}List`, singular: kind.toLowerCase(), ...names },
			},
		};
		const stored = arrayAt(previous, 'status', 'storedVersions');
		const version = storageVersion(filled);
		const storedVersions: JsonArray = stored.includes(version) ? stored : [...stored, version];
		const before = objectAt(object, 'status');
		return {
			...filled,
			status: { conditions: [], acceptedNames: { plural: '', kind: '' }, ...before, storedVersions },
		};
	},
	validate(object, previous) {
		const spec = objectAt(object, 'spec');
		const group = textAt(spec, 'group') ?? '';
		const plural = textAt(spec, 'names', 'plural') ?? '';
		const scope = textAt(spec, 'scope') ?? '';
		const versions = arrayAt(spec, 'versions');
		const name = textAt(object, 'metadata', 'name') ?? '';
		const storage = versions.filter((version) => at(version, 'storage') === true);
		return [
			...(name === `${plural}.${group}`
				? []
				: [cause.invalid('metadata.name', stringifyJson(name), 'must be spec.names.plural+"."+spec.group')]),
			...(group === '' ? [cause.required('spec.group')] : []),
			...(group !== '' && !group.includes('.')
				? [cause.invalid('spec.group', stringifyJson(group), 'should be a domain with at least one dot')]
				: []),
			...(scope === 'Cluster' || scope === 'Namespaced'
				? []
				: scope === ''
					? [cause.required('spec.scope')]
					: [cause.unsupported('spec.scope', stringifyJson(scope), ['"Cluster"', '"Namespaced"'])]),
			...(plural === '' ? [cause.required('spec.names.plural')] : []),
			...((textAt(spec, 'names', 'kind') ?? '') === '' ? [cause.required('spec.names.kind')] : []),
			...(storage.length === 1
				? []
				: [
						cause.invalid(
							'spec.versions',
							stringifyJson(versions),
							'must have exactly one version marked as storage version',
						),
					]),
			...schemasCauses(versions.map((version) => (isObject(version) ? version : {}))),
			...immutable(object, previous),
		];
	},
};

function immutable(object: JsonObject, previous: JsonObject | undefined): Cause[] {
	if (previous === undefined) return [];
	return [['group'], ['scope'], ['names', 'plural'], ['names', 'kind']]
		.filter((path) => textAt(object, 'spec', ...path) !== textAt(previous, 'spec', ...path))
		.map((path) =>
			cause.invalid(
				`spec.${path.join('.')}`,
				stringifyJson(textAt(object, 'spec', ...path) ?? ''),
				'field is immutable',
			),
		);
}

/**
 * Every version requires a structural schema: each object, list and value has a type. An error that
 * all versions share is reported once.
 */
function schemasCauses(versions: readonly JsonObject[]): Cause[] {
	const schemas = versions.map((version) => at(version, 'schema', 'openAPIV3Schema'));
	const [first] = schemas;
	if (isObject(first) && schemas.every((schema) => sameJson(schema ?? null, first)))
		return schemaCauses(first, 'spec.validation.openAPIV3Schema');
	return schemas.flatMap((schema, index) => {
		const path = `spec.versions[${index}].schema.openAPIV3Schema`;
		return isObject(schema) ? schemaCauses(schema, path) : [cause.required(path)];
	});
}

function schemaCauses(raw: JsonObject, path: string): Cause[] {
	const causes = structuralCauses(raw, path);
	const schema = new Schema(raw);
	return causes.length > 0 || !hasRules(schema) ? causes : [...faultyRules(schema, path)];
}

function structuralCauses(schema: JsonObject, path: string): Cause[] {
	const typed =
		typeof schema['type'] === 'string' ||
		schema['x-kubernetes-int-or-string'] === true ||
		schema['x-kubernetes-preserve-unknown-fields'] === true;
	const children = Object.entries(objectAt(schema, 'properties')).flatMap(([name, child]) =>
		isObject(child) ? structuralCauses(child, `${path}.properties[${name}]`) : [],
	);
	const { items, additionalProperties } = schema;
	return [
		...(typed
			? []
			: [
					cause.required(
						`${path}.type`,
						path.endsWith('openAPIV3Schema')
							? 'must not be empty at the root'
							: 'must not be empty for specified object fields',
					),
				]),
		...(schema['type'] === 'array' && !isObject(items) ? [cause.required(`${path}.items`, 'must be specified')] : []),
		...children,
		...(isObject(items) ? structuralCauses(items, `${path}.items`) : []),
		...(isObject(additionalProperties) ? structuralCauses(additionalProperties, `${path}.additionalProperties`) : []),
	];
}

/** The definition after its names are accepted: established and served. */
export function established(definition: JsonObject, now: string): JsonObject {
	const names = objectAt(definition, 'spec', 'names');
	const condition = (type: string, reason: string, message: string) => ({
		type,
		status: 'True',
		lastTransitionTime: now,
		reason,
		message,
	});
	const conditions = arrayAt(definition, 'status', 'conditions');
	const has = (type: string) =>
		conditions.some((present) => at(present, 'type') === type && at(present, 'status') === 'True');
	const added = [
		...(has('NamesAccepted') ? [] : [condition('NamesAccepted', 'NoConflicts', 'no conflicts found')]),
		...(has('Established')
			? []
			: [condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted')]),
	];
	return {
		...definition,
		status: { ...objectAt(definition, 'status'), conditions: [...conditions, ...added], acceptedNames: names },
	};
}
