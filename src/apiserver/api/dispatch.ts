import { stringifyJson } from '../../json/index.ts';
import { collectionOf, keyOf } from '../resources/index.ts';
import { loadRules } from '../rules/index.ts';
import { hasRules } from '../schema/index.ts';
import { aggregated, apiGroup, groupList, legacyVersions, resourceList, versionInfo } from './discovery.ts';
import { evict } from './eviction.ts';
import { health } from './health.ts';
import { list, revisionParameter, waitFor } from './list.ts';
import { openApiDocument, openApiIndex, openApiV2 } from './openapi.ts';
import { binaryOpenApi, binaryOpenApiNames, encodeOpenApiV2 } from './openapi-binary.ts';
import { booleanParameter } from './options.ts';
import { patch } from './patch.ts';
import { formOf, presentObject } from './present.ts';
import { selfReview } from './reviews.ts';
import { scale } from './scale.ts';
import { methodNotAllowed, noSuchPath, notFound } from './status.ts';
import type { Answer, Api, Request, Target } from './types.ts';
import { watch } from './watch.ts';
import { create, remove, removeMany, replace } from './write.ts';

/** Handles an authorized request. @throws ApiError */
export async function dispatch(api: Api, request: Request): Promise<Answer> {
	const [root = '', ...rest] = request.path;
	if (root === 'api' || root === 'apis') {
		const discovery = discover(api, request, root, rest);
		if (discovery !== undefined) return discovery;
		const review = selfReview(api, request);
		if (review !== undefined) return review;
		const target = targetOf(api, root, rest);
		if (target !== undefined && asksRules(request, target)) await loadRules();
		return target === undefined ? noSuchPage : withWarning(target, await act(api, request, target));
	}
	if (request.method !== 'GET' && request.method !== 'HEAD')
		throw root === 'version' ? methodNotAllowed() : noSuchPath();
	switch (root) {
		case 'version':
			return { code: 200, body: versionInfo };
		case 'healthz':
		case 'livez':
		case 'readyz':
			return health(api, request, request.path);
		case 'openapi':
			return openApi(api, request, rest);
		case '':
			return {
				code: 200,
				body: { paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'] },
			};
		default:
			throw noSuchPath();
	}
}

/** The response of Go's router for an unregistered path. */
const noSuchPage: Answer = { code: 404, text: '404 page not found\n', contentType: 'text/plain; charset=utf-8' };

function withWarning({ type: { deprecation } }: Target, answer: Answer): Answer {
	if (deprecation === undefined || 'stream' in answer) return answer;
	return { ...answer, warnings: [deprecation, ...(answer.warnings ?? [])] };
}

function openApi({ registry }: Api, request: Request, [version = '', ...path]: readonly string[]): Answer {
	if (version === 'v3' && path.length === 0) return { code: 200, body: openApiIndex(registry) };
	const document = version === 'v3' ? openApiDocument(registry, path.join('/')) : undefined;
	if (document !== undefined) return { code: 200, body: document };
	if (version !== 'v2') throw noSuchPath();
	const v2 = openApiV2(registry);
	for (const choice of request.accept.split(',')) {
		const media = choice.split(';')[0]?.trim() ?? '';
		if (binaryOpenApiNames.includes(media))
			return { code: 200, bytes: encodeOpenApiV2(v2), contentType: binaryOpenApi };
		if (['', '*/*', 'application/*', 'application/json'].includes(media))
			return { code: 200, text: `${stringifyJson(v2)}\n`, contentType: 'application/json' };
	}
	return { code: 406, bytes: new Uint8Array(0), contentType: '' };
}

/** Discovery of groups, versions and resources; `undefined` for paths below them. */
function discover(
	{ registry }: Api,
	{ method, accept }: Request,
	root: 'api' | 'apis',
	rest: readonly string[],
): Answer | undefined {
	const depth = root === 'api' ? rest.length : rest.length - 1;
	if (depth > 1) return undefined;
	if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed();
	if (rest.length === 0) {
		if (accept.includes('as=APIGroupDiscoveryList') && accept.includes('v=v2')) {
			const contentType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
			return { code: 200, text: `${JSON.stringify(aggregated(registry, root === 'api'))}\n`, contentType };
		}
		return { code: 200, body: root === 'api' ? legacyVersions('') : groupList(registry) };
	}
	const [group, version] = root === 'api' ? ['', rest[0]] : [rest[0] ?? '', rest[1]];
	if (version === undefined) {
		const found = apiGroup(registry, group);
		if (found === undefined) return noSuchPage;
		return { code: 200, body: found };
	}
	if (!registry.hasVersion(group, version)) return noSuchPage;
	return { code: 200, body: resourceList(registry, group, version) };
}

/** The target of a path; `undefined` if group or version does not exist. @throws ApiError 404 */
function targetOf(
	{ registry }: Pick<Api, 'registry'>,
	root: 'api' | 'apis',
	rest: readonly string[],
): Target | undefined {
	const [group = '', version = '', ...steps] = root === 'api' ? ['', ...rest] : rest;
	const spaced =
		steps[0] === 'namespaces' && steps.length > 2 && registry.find(group, version, steps[2] ?? '')?.namespaced === true;
	const [plural = '', name = '', subresource = '', ...more] = spaced ? steps.slice(2) : steps;
	const type = registry.find(group, version, plural);
	if (!registry.hasVersion(group, version)) return undefined;
	if (type === undefined || more.length > 0) throw noSuchPath();
	const namespace = spaced ? (steps[1] ?? '') : '';
	if (type.namespaced && !spaced && name !== '') throw noSuchPath();
	const has = { status: type.status, scale: type.scale !== undefined, eviction: type.eviction === true };
	if (subresource !== '' && !(Object.hasOwn(has, subresource) && has[subresource as keyof typeof has]))
		throw noSuchPath();
	return { type, namespace, name, subresource };
}

/** True if a write evaluates or compiles rules. */
function asksRules({ method, body }: Request, { type }: Target): boolean {
	if (!['POST', 'PUT', 'PATCH'].includes(method)) return false;
	if (type.custom) return hasRules(type.schema);
	return (
		type.plural === 'customresourcedefinitions' &&
		(method === 'PATCH' || Buffer.from(body).includes('x-kubernetes-validations'))
	);
}

async function act(api: Api, request: Request, target: Target): Promise<Answer> {
	const { type, namespace, name, subresource } = target;
	const collection = name === '';
	if (subresource === 'eviction') {
		if (request.method !== 'POST') throw methodNotAllowed();
		return evict(api, request, target);
	}
	if (subresource === 'scale' && type.scale !== undefined) return scale(api, request, target, type.scale);
	switch (request.method) {
		case 'GET': {
			const watching = booleanParameter(request.query, 'watch');
			if (collection) return watching ? watch(api, request, target) : list(api, request, target);
			const asked = revisionParameter(request.query);
			if (asked !== undefined && asked > api.store.committed) await waitFor(api, asked, request.signal);
			const found = api.store.get(collectionOf(type), keyOf(namespace, name));
			if (found === undefined) throw notFound(type, name);
			return { code: 200, text: presentObject(type, formOf(request.accept, request.query), found, api.clock.wallMs()) };
		}
		case 'POST':
			if (!collection || (type.namespaced && namespace === '')) throw methodNotAllowed();
			return create(api, request, target);
		case 'PUT':
			if (collection) throw methodNotAllowed();
			return replace(api, request, target);
		case 'PATCH':
			if (collection) throw methodNotAllowed();
			return patch(api, request, target);
		case 'DELETE':
			if (subresource !== '' || (type.namespaced && namespace === '')) throw methodNotAllowed();
			if (collection && !type.rules.deleteCollection) throw methodNotAllowed();
			return collection ? removeMany(api, request, target) : remove(api, request, target);
		default:
			throw methodNotAllowed();
	}
}
