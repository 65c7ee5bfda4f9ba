import { arrayAt, at, isObject, type JsonObject, type JsonValue, textAt } from '../../json/index.ts';
import type { ApiClient, ResourceKind } from '../client/api-client.ts';
import { ApiError } from '../client/errors.ts';

/** A kind with the names from discovery. */
export interface DiscoveredKind extends ResourceKind {
	readonly singular: string;
	readonly shortNames: readonly string[];
}

/** The kinds in an `APIResourceList`, without subresources. */
export function kindsOf(list: JsonObject): DiscoveredKind[] {
	const apiVersion = textAt(list, 'groupVersion') ?? 'v1';
	return arrayAt(list, 'resources')
		.filter(isObject)
		.filter((resource) => textAt(resource, 'name')?.includes('/') === false)
		.map((resource) => ({
			apiVersion,
			kind: textAt(resource, 'kind') ?? '',
			plural: textAt(resource, 'name') ?? '',
			singular: textAt(resource, 'singularName') || (textAt(resource, 'kind') ?? '').toLowerCase(),
			shortNames: arrayAt(resource, 'shortNames').filter(isText),
			namespaced: at(resource, 'namespaced') === true,
		}));
}

/**
 * The first kind that matches a user's word: `nodes`, `node`, `no`, `Node`,
 * `ippools.crd.projectcalico.org`.
 */
export function matchKind(kinds: readonly DiscoveredKind[], word: string): DiscoveredKind | undefined {
	const wanted = word.toLowerCase();
	return kinds.find(({ apiVersion, kind, plural, singular, shortNames }) => {
		const names = [plural, singular, kind.toLowerCase(), ...shortNames];
		const group = groupOf(apiVersion);
		return names.some((name) => wanted === name || (group !== '' && wanted === `${name}.${group}`));
	});
}

/** The group of an `apiVersion`: `apps` of `apps/v1`; empty for the core group. */
export const groupOf = (apiVersion: string): string =>
	apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';

/**
 * The kind of an object. `undefined`: unknown to the server. @throws ApiError, ApiUnreachableError
 */
export async function discoverKind(
	client: ApiClient,
	apiVersion: string,
	kind: string,
): Promise<DiscoveredKind | undefined> {
	const list = await orNothing(client.raw(apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`));
	return list === undefined ? undefined : kindsOf(list).find((known) => known.kind === kind);
}

/**
 * Finds the kind of a word, in the preferred version of each group; the core group is first, then
 * the groups in the server's order. @throws ApiError, ApiUnreachableError
 */
export async function findKind(client: ApiClient, word: string): Promise<DiscoveredKind | undefined> {
	const [core, groups] = await Promise.all([client.raw('/api/v1'), client.raw('/apis')]);
	const inCore = matchKind(kindsOf(core), word);
	if (inCore !== undefined) return inCore;
	const versions = arrayAt(groups, 'groups').flatMap(
		(group) => textAt(group, 'preferredVersion', 'groupVersion') ?? [],
	);
	// A group whose aggregated server is away returns an error: the other groups are still
	// searched.
	const lists = await Promise.all(versions.map((version) => orNothing(client.raw(`/apis/${version}`))));
	return matchKind(
		lists.flatMap((list) => (list === undefined ? [] : kindsOf(list))),
		word,
	);
}

async function orNothing(answer: Promise<JsonObject>): Promise<JsonObject | undefined> {
	try {
		return await answer;
	} catch (error) {
		if (error instanceof ApiError && (error.code === 404 || error.code === 503)) return undefined;
		throw error;
	}
}

const isText = (value: JsonValue): value is string => typeof value === 'string';
