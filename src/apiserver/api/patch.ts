import {
	isArray,
	isObject,
	type JsonObject,
	type JsonValue,
	objectAt,
	stringifyJson,
	textAt,
	withAt,
} from '../../json/index.ts';
import { decideCreate, decideUpdate, resetFields, writerOf } from '../objects/index.ts';
import {
	apply,
	type FieldConflict,
	goKind,
	jsonPatch,
	mergePatch,
	PatchError,
	strategicMergePatch,
} from '../patch/index.ts';
import { collectionOf, keyOf, type ResourceType } from '../resources/index.ts';
import { prune } from '../schema/index.ts';
import { bodyValue, ofKind, placed } from './body.ts';
import { checkWriteOptions } from './options.ts';
import { inVersion } from './present.ts';
import { ApiError, badRequest, notFound } from './status.ts';
import type { Answer, Api, Request, Target } from './types.ts';
import { checkNamespace, circumstances, finishCreate, finishUpdate, normalized, storedForm } from './write.ts';

/** PATCH, by content type. @throws ApiError */
export async function patch(api: Api, request: Request, target: Target): Promise<Answer> {
	const media = request.contentType.split(';')[0]?.trim() ?? '';
	if (media === 'application/apply-patch+yaml') return applyPatch(api, request, target);
	const { type, namespace, name } = target;
	checkFormat(type, media);
	if (request.query.get('force') !== null)
		throw new ApiError(
			422,
			'Invalid',
			'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
			{},
		);
	checkWriteOptions(request, 'PatchOptions');
	const current = api.store.latest(collectionOf(type), keyOf(namespace, name));
	if (current === undefined) throw notFound(type, name);
	const result = patched(api, request, target, inVersion(type, current.value));
	if (!isObject(result)) throw badRequest('the patched object is not an object');
	const { object, warnings } = decoded(request, target, result);
	const decision = decideUpdate(type, storedForm(type, current), object, circumstances(api, request, target));
	return finishUpdate(api, request, target, current, decision, warnings);
}

function checkFormat(type: ResourceType, media: string): void {
	if (patchers[media] === undefined) throw new ApiError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
	if (!type.custom || media !== strategicMedia) return;
	const accepted = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'];
	throw new ApiError(
		415,
		'UnsupportedMediaType',
		`the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
	);
}

/** Applies a patch to a document. @throws ApiError */
export function patched(api: Api, request: Request, target: Target, document: JsonObject): JsonValue {
	const media = request.contentType.split(';')[0]?.trim() ?? '';
	checkFormat(target.type, media);
	const how = patchers[media];
	const undecodable = (why: string): ApiError =>
		badRequest(`${media === strategicMedia ? '' : 'error decoding patch: '}${why.replace('json parse error: ', '')}`);
	return how === undefined
		? document
		: attempt(() => how(target, document, bodyValue(request, api.registry, undecodable)));
}

const strategicMedia = 'application/strategic-merge-patch+json';

/** If the patched object is invalid, the patch is at fault, not the request. */
function decoded(request: Request, target: Target, patched: JsonObject) {
	if ((textAt(patched, 'metadata', 'name') ?? '') === '')
		throw badRequest(`the name of the object (${target.name} based on URL) was undeterminable: name must be provided`);
	const body = placed(target, ofKind(target.type, patched));
	try {
		return normalized(request, target.type, body);
	} catch (error) {
		if (!(error instanceof ApiError) || error.code !== 400 || error.message.includes('strict decoding')) throw error;
		throw new ApiError(422, 'Invalid', error.message, {});
	}
}

type Patcher = (target: Target, document: JsonObject, patch: JsonValue) => JsonValue;

const patchers: Readonly<Record<string, Patcher>> = {
	'application/json-patch+json': (_, document, patch) => jsonPatch(document, patch),
	'application/merge-patch+json': (_, document, patch) => {
		if (patch === null) throw new PatchError('malformed', 'Invalid JSON Patch');
		return mergePatch(document, asObject(patch, 'error decoding patch: '));
	},
	[strategicMedia]: ({ type }, document, patch) => {
		// Go decodes `null` as an empty object. A typed object keeps its kind regardless of the
		// patch.
		const { apiVersion, kind } = document;
		return {
			...strategicMergePatch(type.schema, document, patch === null ? {} : asObject(patch, '')),
			apiVersion,
			kind,
		};
	},
};

function asObject(patch: JsonValue, prefix: string): JsonObject {
	if (!isObject(patch))
		throw new PatchError(
			'malformed',
			`${prefix}json: cannot unmarshal ${goKind(patch)} into Go value of type map[string]interface {}`,
		);
	return patch;
}

function attempt(decide: () => JsonValue): JsonValue {
	try {
		return decide();
	} catch (error) {
		if (!(error instanceof PatchError)) throw error;
		if (error.kind === 'unmergeable') throw new ApiError(500, '', error.message);
		if (error.kind === 'malformed') throw badRequest(error.message);
		throw new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
	}
}

/** Server-side apply; creates an absent object. */
async function applyPatch(api: Api, request: Request, target: Target): Promise<Answer> {
	const { type, namespace, name } = target;
	const manager = request.query.get('fieldManager') ?? '';
	if (manager === '') {
		throw new ApiError(
			422,
			'Invalid',
			'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
			{
				group: 'meta.k8s.io',
				kind: 'PatchOptions',
				causes: [
					{
						reason: 'FieldValueRequired',
						message: 'Required value: is required for apply patch',
						field: 'fieldManager',
					},
				],
			},
		);
	}
	checkWriteOptions(request, 'PatchOptions');
	const body = bodyValue(request, api.registry, (why) => badRequest(`error decoding YAML: ${why}`));
	if (!isObject(body)) throw badRequest('error decoding YAML: an object is expected');
	if ((textAt(body, 'apiVersion') ?? '') === '' || (textAt(body, 'kind') ?? '') === '')
		throw badRequest('invalid object type: /, Kind=');
	if (body['metadata'] !== undefined && isObject(body['metadata']) && body['metadata']['managedFields'] !== undefined)
		throw badRequest('metadata.managedFields must be nil');
	const config = placed(target, ofKind(type, body));
	const { unknown, value: pruned } = prune(type.schema, config);
	if (unknown.length > 0) throw undeclared(config, unknown);
	const current = api.store.latest(collectionOf(type), keyOf(namespace, name));
	const around = circumstances(api, request, target);
	const options = {
		force: request.query.get('force') === 'true' || request.query.get('force') === '1',
		reset: resetFields(type, target.subresource),
	};
	if (current === undefined && (target.subresource !== '' || (textAt(config, 'metadata', 'uid') ?? '') !== ''))
		throw notFound(type, name);
	const live = current === undefined ? undefined : storedForm(type, current);
	const sent = withAt(withAt(pruned, ['metadata', 'resourceVersion'], undefined), ['metadata', 'uid'], undefined);
	const result = apply(type.schema, live, sent, writerOf(config, around), options);
	if (result.type === 'conflict') throw conflictError(result.conflicts);
	const { object } = normalized(
		request,
		type,
		around.manager === 'kubectl' ? withLastApplied(result.object, config) : result.object,
	);
	if (current === undefined || live === undefined) {
		checkNamespace(api, target);
		return finishCreate(api, request, target, decideCreate(type, object, around, true), []);
	}
	const version = textAt(config, 'metadata', 'resourceVersion');
	const decision = decideUpdate(
		type,
		live,
		version === undefined ? object : withAt(object, ['metadata', 'resourceVersion'], version),
		around,
		true,
	);
	return finishUpdate(api, request, target, current, decision, []);
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Updates the last-applied annotation of an object that client-side apply has created, for
 * server-side apply by kubectl.
 */
function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
	if ((textAt(object, 'metadata', 'annotations', lastApplied) ?? '') === '') return object;
	const told = withAt(config, ['metadata', 'annotations', lastApplied], undefined);
	const bare =
		Object.keys(objectAt(told, 'metadata', 'annotations')).length === 0
			? withAt(told, ['metadata', 'annotations'], undefined)
			: told;
	return withAt(object, ['metadata', 'annotations', lastApplied], `${stringifyJson(sorted(bare))}\n`);
}

function sorted(value: JsonValue): JsonValue {
	if (isArray(value)) return value.map(sorted);
	if (!isObject(value)) return value;
	return Object.fromEntries(
		Object.entries(value)
			.sort(([left], [right]) => (left < right ? -1 : 1))
			.map(([name, member]) => [name, sorted(member ?? null)]),
	);
}

/** Server-side apply requires a schema for each field: an undeclared field can not be merged. */
function undeclared(config: JsonObject, unknown: readonly string[]): ApiError {
	const where =
		`${textAt(config, 'metadata', 'namespace') ?? ''}/${textAt(config, 'metadata', 'name') ?? ''}; ` +
		`${textAt(config, 'apiVersion')}, Kind=${textAt(config, 'kind')}`;
	const fields = unknown.map((field) => `.${field}: field not declared in schema`);
	return new ApiError(
		500,
		'',
		`failed to create typed patch object (${where}): ` +
			`${fields.length === 1 ? fields[0] : `errors:\n${fields.map((field) => `  ${field}`).join('\n')}`}`,
	);
}

function conflictError(conflicts: readonly FieldConflict[]): ApiError {
	const byManager = new Map<string, FieldConflict[]>();
	for (const one of conflicts) {
		const who = describe(one);
		byManager.set(who, [...(byManager.get(who) ?? []), one]);
	}
	const lines = [...byManager]
		.sort(([left], [right]) => (left < right ? -1 : 1))
		.map(([who, paths]) =>
			conflicts.length === 1
				? `conflict with ${who}: ${paths[0]?.path}`
				: `conflicts with ${who}:\n${paths.map(({ path }) => `- ${path}`).join('\n')}`,
		);
	const plural = conflicts.length === 1 ? 'conflict' : 'conflicts';
	return new ApiError(409, 'Conflict', `Apply failed with ${conflicts.length} ${plural}: ${lines.join('\n')}`, {
		causes: conflicts.map((one) => ({
			reason: 'FieldManagerConflict',
			message: `conflict with ${describe(one)}`,
			field: one.path,
		})),
	});
}

function describe({ manager, operation, apiVersion, subresource }: FieldConflict): string {
	const where = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
	const who = `${JSON.stringify(manager)}${where}`;
	return operation === 'Apply' ? who : `${who} using ${apiVersion}`;
}
