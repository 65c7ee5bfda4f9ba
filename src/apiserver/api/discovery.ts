import type { JsonArray, JsonObject } from '../../json/index.ts';
import { apiVersionOf, type Registry, type ResourceType } from '../resources/index.ts';

const builtInVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const customVerbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const verbsOf = ({ custom, rules }: ResourceType): string[] =>
	custom ? customVerbs : builtInVerbs.filter((verb) => rules.deleteCollection || verb !== 'deletecollection');
const evictionKind = { group: 'policy', version: 'v1', kind: 'Eviction' };
const statusVerbs = ['get', 'patch', 'update'];

/** The versions of a group, preferred version first. */
function versionsOf(types: readonly ResourceType[], group: string): string[] {
	return [...new Set(types.filter((type) => type.group === group).map(({ version }) => version))].sort(preferred);
}

/** Order: v2, v1, v1beta2, v1alpha1, all other names. */
function preferred(left: string, right: string): number {
	const rank = (version: string): readonly number[] => {
		const parts = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
		if (parts === null) return [0];
		return [parts[2] === undefined ? 3 : parts[2] === 'beta' ? 2 : 1, Number(parts[1]), Number(parts[3] ?? 0)];
	};
	const [a, b] = [rank(left), rank(right)];
	for (let index = 0; index < 3; index++)
		if ((a[index] ?? 0) !== (b[index] ?? 0)) return (b[index] ?? 0) - (a[index] ?? 0);
	return left < right ? -1 : left > right ? 1 : 0;
}

const groupsOf = (types: readonly ResourceType[]): string[] =>
	[...new Set(types.map(({ group }) => group))].filter((group) => group !== '').sort();

/** `/api`. */
export function legacyVersions(address: string): JsonObject {
	return {
		kind: 'APIVersions',
		versions: ['v1'],
		serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
	};
}

/** `/apis`. */
export function groupList({ types }: Registry): JsonObject {
	return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(types).map((group) => groupOf(types, group)) };
}

/** `/apis/GROUP`; `undefined` if the group does not exist. */
export function apiGroup({ types }: Registry, group: string): JsonObject | undefined {
	return versionsOf(types, group).length === 0
		? undefined
		: { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(types, group) };
}

function groupOf(types: readonly ResourceType[], group: string): JsonObject {
	const versions = versionsOf(types, group).map((version) => ({ groupVersion: `${group}/${version}`, version }));
	return { name: group, versions, preferredVersion: versions[0] ?? {} };
}

/** `/api/v1` or `/apis/GROUP/VERSION`. */
export function resourceList({ types }: Registry, group: string, version: string): JsonObject {
	const resources = types
		.filter((type) => type.group === group && type.version === version)
		.sort(byPlural)
		.flatMap(legacyRows);
	return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version }), resources };
}

const byPlural = (left: ResourceType, right: ResourceType): number => (left.plural < right.plural ? -1 : 1);

function legacyRows(type: ResourceType): JsonObject[] {
	const { plural, singular, namespaced, kind, shortNames, categories } = type;
	return [
		{
			name: plural,
			singularName: singular,
			namespaced,
			kind,
			verbs: verbsOf(type),
			...(shortNames.length === 0 ? {} : { shortNames }),
			...(categories.length === 0 ? {} : { categories }),
			storageVersionHash: Buffer.from(`${type.group}/${kind}`).toString('base64').slice(0, 12),
		},
		...(type.eviction
			? [{ name: `${plural}/eviction`, singularName: '', namespaced, ...evictionKind, verbs: ['create'] }]
			: []),
		...(type.status ? [{ name: `${plural}/status`, singularName: '', namespaced, kind, verbs: statusVerbs }] : []),
		...(type.scale === undefined
			? []
			: [
					{
						name: `${plural}/scale`,
						singularName: '',
						namespaced,
						group: 'autoscaling',
						version: 'v1',
						kind: 'Scale',
						verbs: statusVerbs,
					},
				]),
	];
}

/** `/api` or `/apis` as one aggregated response (`apidiscovery.k8s.io/v2`). */
export function aggregated({ types }: Registry, legacy: boolean): JsonObject {
	const groups = legacy ? [''] : groupsOf(types);
	const items = groups.map((group) => ({
		metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
		versions: versionsOf(types, group).map((version) => ({
			version,
			resources: types
				.filter((type) => type.group === group && type.version === version)
				.sort(byPlural)
				.map(aggregatedRow),
			freshness: 'Current',
		})),
	}));
	return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

function aggregatedRow(type: ResourceType): JsonObject {
	const { group, version, kind, plural, singular, namespaced, shortNames, categories, status } = type;
	const responseKind = { group, version, kind };
	const subresources: JsonArray = [
		...(type.eviction ? [{ subresource: 'eviction', responseKind: evictionKind, verbs: ['create'] }] : []),
		...(status ? [{ subresource: 'status', responseKind, verbs: statusVerbs }] : []),
		...(type.scale === undefined
			? []
			: [
					{
						subresource: 'scale',
						responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
						verbs: statusVerbs,
					},
				]),
	];
	return {
		resource: plural,
		responseKind,
		scope: namespaced ? 'Namespaced' : 'Cluster',
		singularResource: singular,
		verbs: verbsOf(type),
		...(shortNames.length === 0 ? {} : { shortNames }),
		...(categories.length === 0 ? {} : { categories }),
		...(subresources.length === 0 ? {} : { subresources }),
	};
}

/** `/version`: the release whose behaviour this server follows. */
export const versionInfo: JsonObject = {
	major: '1',
	minor: '34',
	gitVersion: 'v1.34.4+bgpmesh',
	gitCommit: '',
	gitTreeState: 'clean',
	buildDate: '1970-01-01T00:00:00Z',
	goVersion: '',
	compiler: 'node',
	platform: `${process.platform}/${process.arch}`,
};
