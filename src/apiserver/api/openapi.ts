import { createHash } from 'node:crypto';
import { isArray, isObject, type JsonObject, type JsonValue, stringifyJson } from '../../json/index.ts';
import type { Registry, ResourceType } from '../resources/index.ts';

/** The paths with an OpenAPI v3 document: `api/v1`, `apis/GROUP/VERSION`. */
function documents({ types }: Registry): Map<string, ResourceType[]> {
	const all = new Map<string, ResourceType[]>();
	for (const type of types) {
		const path = type.group === '' ? `api/${type.version}` : `apis/${type.group}/${type.version}`;
		all.set(path, [...(all.get(path) ?? []), type]);
	}
	return all;
}

/** `/openapi/v3`: the list of documents; the hash changes with the content. */
export function openApiIndex(registry: Registry): JsonObject {
	const paths = [...documents(registry).keys()].map((path) => {
		const hash = createHash('sha512')
			.update(stringifyJson(openApiDocument(registry, path) ?? {}))
			.digest('hex')
			.toUpperCase();
		return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
	});
	return { paths: Object.fromEntries(paths) };
}

/** `/openapi/v3/PATH`: schemas, and the parameters of their operations. */
export function openApiDocument(registry: Registry, path: string): JsonObject | undefined {
	const types = documents(registry).get(path);
	if (types === undefined) return undefined;
	const schemas: Record<string, JsonValue> = {};
	const addReferenced = (value: JsonValue | undefined): void => {
		if (isArray(value)) value.forEach(addReferenced);
		if (!isObject(value)) return;
		for (const [key, member] of Object.entries(value)) {
			if (key !== '$ref' || typeof member !== 'string') addReferenced(member);
			else if (!(member in schemas) && !member.startsWith('#')) {
				const raw = registry.definitions.get(member);
				schemas[member] = linked(raw ?? {});
				addReferenced(raw);
			}
		}
	};
	const paths: Record<string, JsonValue> = {};
	for (const type of types) {
		const name = schemaName(type);
		const kind = { group: type.group, kind: type.kind, version: type.version };
		const raw = type.custom ? type.schema.raw : (registry.definitions.get(name) ?? {});
		schemas[name] = { ...asObject(linked(raw)), 'x-kubernetes-group-version-kind': [kind] };
		addReferenced(raw);
		Object.assign(paths, operations(type, path, name));
	}
	return { openapi: '3.0.0', info: { title: 'bgpmesh apiserver', version: 'v1.34.4' }, paths, components: { schemas } };
}

const asObject = (value: JsonValue): JsonObject => (isObject(value) ? value : {});

/** Rewrites references for OpenAPI v3; a reference with sibling members is wrapped. */
function linked(value: JsonValue): JsonValue {
	if (isArray(value)) return value.map(linked);
	if (!isObject(value)) return value;
	const { $ref, ...rest } = value;
	const others = Object.fromEntries(Object.entries(rest).map(([name, member]) => [name, linked(member ?? null)]));
	if (typeof $ref !== 'string' || $ref.startsWith('#')) return $ref === undefined ? others : { ...others, $ref };
	const reference = { $ref: `#/components/schemas/${$ref}` };
	return Object.keys(others).length === 0 ? reference : { ...others, allOf: [reference] };
}

/**
 * The schema name: for built-in kinds the name of the definition, to which others refer; for custom
 * kinds the reversed group.
 */
function schemaName({ group, version, kind, custom, schema }: ResourceType): string {
	const { $ref } = schema.raw;
	if (!custom && typeof $ref === 'string') return $ref;
	const reversed = group.split('.').reverse().join('.');
	return `${reversed}.${version}.${kind}`;
}

const parameter = (name: string, type = 'string'): JsonObject => ({
	name,
	in: 'query',
	schema: { type, uniqueItems: true },
});
const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => parameter(name));

function operations(type: ResourceType, path: string, name: string): Record<string, JsonObject> {
	const kind = { group: type.group, kind: type.kind, version: type.version };
	const content = { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } };
	const operation = (action: string, parameters: readonly JsonObject[], body = false): JsonObject => ({
		...(parameters.length === 0 ? {} : { parameters }),
		...(body ? { requestBody: { content } } : {}),
		responses: { 200: { description: 'OK', content } },
		'x-kubernetes-action': action,
		'x-kubernetes-group-version-kind': kind,
	});
	const collection = type.namespaced ? `/${path}/namespaces/{namespace}/${type.plural}` : `/${path}/${type.plural}`;
	return {
		[collection]: { get: operation('list', []), post: operation('post', writeParameters, true) },
		[`${collection}/{name}`]: {
			get: operation('get', []),
			put: operation('put', writeParameters, true),
			patch: operation('patch', [...writeParameters, parameter('force', 'boolean')], true),
			delete: operation('delete', [parameter('dryRun')]),
		},
	};
}

/** `/openapi/v2` as JSON, with only the kinds. */
export function openApiV2(registry: Registry): JsonObject {
	const definitions = Object.fromEntries(
		registry.types.map(
			(type) =>
				[
					schemaName(type),
					{
						type: 'object',
						'x-kubernetes-group-version-kind': [{ group: type.group, kind: type.kind, version: type.version }],
					},
				] as const,
		),
	);
	return { swagger: '2.0', info: { title: 'bgpmesh apiserver', version: 'v1.34.4' }, paths: {}, definitions };
}
