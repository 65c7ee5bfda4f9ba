import { at, isObject, type JsonObject, objectAt, stringifyJson, textAt, withAt } from '../../json/index.ts';
import { decideUpdate } from '../objects/index.ts';
import { apiVersionOf, collectionOf, keyOf, type ResourceType, scaleColumns } from '../resources/index.ts';
import type { Stored } from '../store/index.ts';
import { bodyObject } from './body.ts';
import { checkWriteOptions } from './options.ts';
import { patched } from './patch.ts';
import { formOf, presentObject } from './present.ts';
import { ApiError, badRequest, internal, methodNotAllowed, notFound, stale } from './status.ts';
import type { Answer, Api, Request, Target } from './types.ts';
import { circumstances, settle, storedForm } from './write.ts';

type Paths = NonNullable<ResourceType['scale']>;

/**
 * GET, PUT and PATCH of `.../scale`: the present and desired number of replicas, as
 * `autoscaling/v1`. @throws ApiError
 */
export async function scale(api: Api, request: Request, target: Target, paths: Paths): Promise<Answer> {
	const { type, namespace, name } = target;
	const shownType: ResourceType = {
		...type,
		group: 'autoscaling',
		version: 'v1',
		kind: 'Scale',
		columns: scaleColumns,
		rules: { ...type.rules },
	};
	const answer = (object: JsonObject): Answer => ({
		code: 200,
		text: presentObject(
			shownType,
			formOf(request.accept, request.query),
			{ value: object, text: stringifyJson(object) },
			api.clock.wallMs(),
		),
	});
	const writes = request.method === 'PUT' || request.method === 'PATCH';
	if (!writes && request.method !== 'GET') throw unsupported(request, type);
	const current = writes
		? api.store.latest(collectionOf(type), keyOf(namespace, name))
		: api.store.get(collectionOf(type), keyOf(namespace, name));
	if (current === undefined) throw notFound(type, name);
	const field = `.${paths.spec.join('.')}`;
	if (!writes && at(current.value, ...paths.spec) === undefined)
		throw internal(`the spec replicas field ${JSON.stringify(field)} does not exist`);
	const shown = scaleOf(current.value, paths);
	if (!writes) return answer(shown);
	checkWriteOptions(request, request.method === 'PUT' ? 'UpdateOptions' : 'PatchOptions');
	const wanted =
		request.method === 'PUT'
			? bodyObject(api.registry, request, { ...target, type: { ...shownType, custom: false } })
			: patched(api, request, target, shown);
	if (!isObject(wanted)) throw badRequest('the patched object is not an object');
	return answer(scaleOf(await rescaled(api, request, target, paths, current, wanted), paths));
}

function unsupported({ method }: Request, { group, plural }: ResourceType): ApiError {
	if (method !== 'DELETE') return methodNotAllowed();
	return new ApiError(
		405,
		'MethodNotAllowed',
		`delete is not supported on resources of kind ${JSON.stringify(`${plural}.${group}`)}`,
		{ group, kind: plural },
	);
}

async function rescaled(
	api: Api,
	request: Request,
	target: Target,
	paths: Paths,
	current: Stored,
	wanted: JsonObject,
): Promise<JsonObject> {
	const { type, name } = target;
	const replicas = at(wanted, 'spec', 'replicas') ?? 0;
	const version = textAt(wanted, 'metadata', 'resourceVersion') ?? '';
	if (version !== '' && version !== textAt(current.value, 'metadata', 'resourceVersion')) throw stale(type, name);
	if (typeof replicas !== 'number' || !Number.isInteger(replicas))
		throw badRequest(
			'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal ' +
				`${typeof replicas} into Go struct field ScaleSpec.spec.replicas of type int32`,
		);
	const form = storedForm(type, current);
	const decision = decideUpdate(type, form, withAt(form, paths.spec, replicas), circumstances(api, request, target));
	return (await settle(api, request, type, current, decision)).value;
}

function scaleOf(value: JsonObject, paths: Paths): JsonObject {
	const { name, namespace, uid, resourceVersion, creationTimestamp } = objectAt(value, 'metadata');
	const replicas = at(value, ...paths.spec);
	const selector = paths.selector.length === 0 ? undefined : at(value, ...paths.selector);
	return {
		kind: 'Scale',
		apiVersion: apiVersionOf({ group: 'autoscaling', version: 'v1' }),
		metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
		spec: typeof replicas === 'number' && replicas !== 0 ? { replicas } : {},
		status: {
			replicas: Number(at(value, ...paths.status) ?? 0),
			...(typeof selector === 'string' && selector !== '' ? { selector } : {}),
		},
	};
}
