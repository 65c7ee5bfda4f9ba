import { at, type JsonObject, objectAt, stringifyJson, textAt, withAt } from '../../json/index.ts';
import {
	type Circumstances,
	decideCreate,
	decideDelete,
	decideUpdate,
	normalize,
	type Update,
} from '../objects/index.ts';
import { collectionOf, keyOf, type ResourceType } from '../resources/index.ts';
import type { Stored } from '../store/index.ts';
import { bodyObject, duplicateFields, placed } from './body.ts';
import { page } from './list.ts';
import { checkWriteOptions, deletionAsked, isDryRun } from './options.ts';
import { formOf, presentList, presentObject } from './present.ts';
import { withServiceAddress } from './service-address.ts';
import { ApiError, alreadyExists, badRequest, cause, forbidden, invalid, notFound } from './status.ts';
import { type Answer, type Api, type Request, type Target, timestamp } from './types.ts';

/** POST. @throws ApiError */
export async function create(api: Api, request: Request, target: Target): Promise<Answer> {
	checkWriteOptions(request, 'CreateOptions');
	const body = placed(target, bodyObject(api.registry, request, target));
	checkNamespace(api, target);
	if ((textAt(body, 'metadata', 'resourceVersion') ?? '') !== '')
		throw new ApiError(500, '', 'resourceVersion should not be set on objects to be created');
	const { object, warnings } = normalized(request, target.type, withGeneratedName(api, body));
	return finishCreate(
		api,
		request,
		target,
		decideCreate(target.type, object, circumstances(api, request, target)),
		warnings,
	);
}

/** Stores a decided creation, or only returns the result in a dry run. */
export async function finishCreate(
	api: Api,
	request: Request,
	target: Target,
	decided: JsonObject,
	warnings: readonly string[],
): Promise<Answer> {
	const { type, namespace } = target;
	const object = type.plural === 'services' && type.group === '' ? withServiceAddress(api, decided) : decided;
	const name = textAt(object, 'metadata', 'name') ?? '';
	const key = keyOf(namespace, name);
	if (api.store.latest(collectionOf(type), key) !== undefined) throw alreadyExists(type, name);
	const stored = await put(api, request, type, key, object);
	return {
		code: 201,
		text: presentObject(type, formOf(request.accept, request.query), stored, api.clock.wallMs()),
		warnings,
	};
}

/** PUT. @throws ApiError */
export async function replace(api: Api, request: Request, target: Target): Promise<Answer> {
	const { type, namespace, name } = target;
	checkWriteOptions(request, 'UpdateOptions');
	const body = placed(target, bodyObject(api.registry, request, target));
	if ((textAt(body, 'metadata', 'name') ?? '') === '') throw badRequest('name must be provided');
	const current = api.store.latest(collectionOf(type), keyOf(namespace, name));
	const version = textAt(body, 'metadata', 'resourceVersion') ?? '';
	if (current === undefined) {
		if (!type.rules.createOnUpdate || target.subresource !== '') throw notFound(type, name);
		checkNamespace(api, target);
		const { object, warnings } = normalized(request, type, withAt(body, ['metadata', 'resourceVersion'], undefined));
		return finishCreate(
			api,
			request,
			target,
			decideCreate(type, object, circumstances(api, request, target)),
			warnings,
		);
	}
	if (version === '' && !type.rules.unconditionalUpdate) {
		throw invalid(type.group, type.custom ? type.plural : type.kind, name, [
			cause.invalid('metadata.resourceVersion', type.custom ? '0' : '""', 'must be specified for an update'),
		]);
	}
	const { object, warnings } = normalized(request, type, body);
	const decision = decideUpdate(type, storedForm(type, current), object, circumstances(api, request, target));
	return finishUpdate(api, request, target, current, decision, warnings);
}

/** Stores a decided update and returns the resulting object. */
export async function finishUpdate(
	api: Api,
	request: Request,
	{ type }: Target,
	current: Stored,
	decision: Update,
	warnings: readonly string[],
): Promise<Answer> {
	const stored = await settle(api, request, type, current, decision);
	return {
		code: 200,
		text: presentObject(type, formOf(request.accept, request.query), stored, api.clock.wallMs()),
		warnings,
	};
}

/** Stores a decision, or only simulates it in a dry run; returns the resulting object. */
export async function settle(
	api: Api,
	request: Request,
	type: ResourceType,
	current: Stored,
	decision: Update,
): Promise<Pick<Stored, 'value' | 'text'>> {
	if (decision.type === 'unchanged') return current;
	if (decision.type === 'write') return put(api, request, type, current.key, decision.object);
	if (!isDryRun(request)) await api.store.write(collectionOf(type), current.key, undefined);
	return decision.object === undefined ? current : { value: decision.object, text: stringifyJson(decision.object) };
}

/** DELETE of one object. @throws ApiError */
export async function remove(api: Api, asked: Request, target: Target): Promise<Answer> {
	const { type, namespace, name } = target;
	const { options, request } = deletionAsked(asked, api.registry);
	const current = api.store.latest(collectionOf(type), keyOf(namespace, name));
	if (current === undefined) throw notFound(type, name);
	if (type.plural === 'namespaces' && type.group === '' && ['default', 'kube-system', 'kube-public'].includes(name)) {
		throw forbidden(type, name, 'this namespace may not be deleted');
	}
	const decision = decideDelete(type, current.value, options, timestamp(api.clock));
	const left = await settle(api, request, type, current, decision);
	if (decision.type !== 'remove' || type.rules.deleteReturnsObject) {
		return { code: 200, text: presentObject(type, formOf(request.accept, request.query), left, api.clock.wallMs()) };
	}
	const details = {
		name,
		...(type.group === '' ? {} : { group: type.group }),
		kind: type.plural,
		uid: textAt(current.value, 'metadata', 'uid') ?? '',
	};
	return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}

/**
 * DELETE of a collection: each object that the selectors match, one after another. @throws ApiError
 */
export async function removeMany(api: Api, asked: Request, target: Target): Promise<Answer> {
	const { type } = target;
	const { options, request } = deletionAsked(asked, api.registry);
	const { items, metadata } = await page(api, request, target);
	const now = timestamp(api.clock);
	await Promise.all(
		items.map(({ key }) => {
			const current = api.store.latest(collectionOf(type), key);
			return current === undefined
				? undefined
				: settle(api, request, type, current, decideDelete(type, current.value, options, now));
		}),
	);
	return {
		code: 200,
		text: presentList(type, formOf(request.accept, request.query), items, metadata, api.clock.wallMs()),
	};
}

/** Writes an object with its new revision, or simulates it in a dry run. */
export async function put(
	api: Api,
	request: Request | undefined,
	type: ResourceType,
	key: string,
	object: JsonObject,
): Promise<Pick<Stored, 'value' | 'text'>> {
	const make = (revision: number) => withAt(object, ['metadata', 'resourceVersion'], String(revision));
	if (request !== undefined && isDryRun(request)) {
		const version = textAt(api.store.latest(collectionOf(type), key)?.value, 'metadata', 'resourceVersion');
		const value = withAt(object, ['metadata', 'resourceVersion'], version);
		return { value, text: stringifyJson(value) };
	}
	const stored = await api.store.write(collectionOf(type), key, make);
	if (stored === undefined) throw new Error('a write that makes an object gives it back');
	return stored;
}

/**
 * Drops unknown fields and reports them as the request specifies: as an error, a warning, or not at
 * all. @throws ApiError 400
 */
export function normalized(
	request: Request,
	type: ResourceType,
	body: JsonObject,
): { object: JsonObject; warnings: readonly string[] } {
	const { object, unknown } = normalize(type, body);
	const mode = request.query.get('fieldValidation') || 'Warn';
	const messages = [
		...(mode === 'Ignore' ? [] : duplicateFields(request)).map((field) => `duplicate field ${JSON.stringify(field)}`),
		...(type.custom ? [...unknown].sort() : unknown).map((field) => `unknown field ${JSON.stringify(field)}`),
	];
	if (mode === 'Strict' && messages.length > 0) {
		throw badRequest(
			`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: strict ` +
				`decoding error: ${messages.join(', ')}`,
		);
	}
	return { object, warnings: mode === 'Warn' ? messages : [] };
}

/** The stored custom object, converted to the version of the request. */
export const storedForm = (type: ResourceType, { value }: Stored): JsonObject =>
	type.custom ? { ...value, apiVersion: `${type.group}/${type.version}` } : value;

export function circumstances(api: Api, { query, userAgent }: Request, { subresource }: Target): Circumstances {
	const manager = query.get('fieldManager') ?? '';
	return {
		now: timestamp(api.clock),
		uid: api.newUid(),
		manager: manager === '' ? (userAgent.split('/')[0] ?? '').slice(0, 128) || 'unknown' : manager,
		subresource,
	};
}

/** The namespace must exist and not be terminating. @throws ApiError */
export function checkNamespace(api: Api, { type, namespace }: Target): void {
	if (!type.namespaced) return;
	const found = api.store.latest('/namespaces', namespace);
	if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
	if (at(found.value, 'metadata', 'deletionTimestamp') === undefined) return;
	const error = forbidden(
		type,
		'',
		`unable to create new content in namespace ${namespace} because it is being terminated`,
	);
	throw new ApiError(error.code, error.reason, error.message, {
		...error.details,
		causes: [
			{
				reason: 'NamespaceTerminating',
				message: `namespace ${namespace} is being terminated`,
				field: 'metadata.namespace',
			},
		],
	});
}

const nameLetters = 'bcdfghjklmnpqrstvwxz2456789';

function withGeneratedName(api: Api, body: JsonObject): JsonObject {
	const metadata = objectAt(body, 'metadata');
	const base = textAt(metadata, 'generateName') ?? '';
	if ((textAt(metadata, 'name') ?? '') !== '' || base === '') return body;
	const suffix = Array.from(
		{ length: 5 },
		() => nameLetters[Math.floor(api.random() * nameLetters.length)] ?? 'x',
	).join('');
	return withAt(body, ['metadata', 'name'], `${base.slice(0, 58)}${suffix}`);
}
