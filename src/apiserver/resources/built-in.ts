import { type Definitions, Schema } from '../schema/index.ts';
import { builtInColumns, plainColumns } from './columns.ts';
import { commonRules } from './common-rules.ts';
import { definitionRules } from './definition-rules.ts';
import { definitionOf } from './definitions.ts';
import { builtInRules } from './rules.ts';
import type { ResourceType } from './types.ts';

interface Row {
	readonly group: string;
	readonly kind: string;
	readonly plural: string;
	readonly shortNames?: readonly string[];
	readonly categories?: readonly string[];
	readonly clusterScoped?: true;
	readonly status?: true;
	readonly eviction?: true;
	readonly selectable?: readonly string[];
	readonly deprecation?: string;
}

const rows: readonly Row[] = [
	{ group: '', kind: 'ConfigMap', plural: 'configmaps', shortNames: ['cm'] },
	{
		group: '',
		kind: 'Endpoints',
		plural: 'endpoints',
		shortNames: ['ep'],
		deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
	},
	{
		group: '',
		kind: 'Event',
		plural: 'events',
		shortNames: ['ev'],
		selectable: [
			...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
				(field) => `involvedObject.${field}`,
			),
			'reason',
			'reportingComponent',
			'source',
			'type',
		],
	},
	{
		group: '',
		kind: 'Namespace',
		plural: 'namespaces',
		shortNames: ['ns'],
		clusterScoped: true,
		status: true,
		selectable: ['status.phase'],
	},
	{
		group: '',
		kind: 'Node',
		plural: 'nodes',
		shortNames: ['no'],
		clusterScoped: true,
		status: true,
		selectable: ['spec.unschedulable'],
	},
	{
		group: '',
		kind: 'Pod',
		plural: 'pods',
		shortNames: ['po'],
		categories: ['all'],
		status: true,
		eviction: true,
		selectable: [
			'spec.nodeName',
			'spec.restartPolicy',
			'spec.schedulerName',
			'spec.serviceAccountName',
			'spec.hostNetwork',
			'status.phase',
			'status.podIP',
			'status.nominatedNodeName',
		],
	},
	{ group: '', kind: 'Secret', plural: 'secrets', selectable: ['type'] },
	{
		group: '',
		kind: 'Service',
		plural: 'services',
		shortNames: ['svc'],
		categories: ['all'],
		status: true,
		selectable: ['spec.clusterIP', 'spec.type'],
	},
	{ group: '', kind: 'ServiceAccount', plural: 'serviceaccounts', shortNames: ['sa'] },
	{ group: 'apps', kind: 'DaemonSet', plural: 'daemonsets', shortNames: ['ds'], categories: ['all'], status: true },
	{
		group: 'apps',
		kind: 'Deployment',
		plural: 'deployments',
		shortNames: ['deploy'],
		categories: ['all'],
		status: true,
	},
	{ group: 'coordination.k8s.io', kind: 'Lease', plural: 'leases' },
	{ group: 'discovery.k8s.io', kind: 'EndpointSlice', plural: 'endpointslices' },
	{ group: 'networking.k8s.io', kind: 'NetworkPolicy', plural: 'networkpolicies', shortNames: ['netpol'] },
	{ group: 'rbac.authorization.k8s.io', kind: 'ClusterRole', plural: 'clusterroles', clusterScoped: true },
	{
		group: 'rbac.authorization.k8s.io',
		kind: 'ClusterRoleBinding',
		plural: 'clusterrolebindings',
		clusterScoped: true,
	},
	{ group: 'rbac.authorization.k8s.io', kind: 'Role', plural: 'roles' },
	{ group: 'rbac.authorization.k8s.io', kind: 'RoleBinding', plural: 'rolebindings' },
	{
		group: 'apiextensions.k8s.io',
		kind: 'CustomResourceDefinition',
		plural: 'customresourcedefinitions',
		shortNames: ['crd', 'crds'],
		categories: ['api-extensions'],
		clusterScoped: true,
		status: true,
	},
];

/** The resources that exist without a CustomResourceDefinition. */
export function builtInTypes(definitions: Definitions): ResourceType[] {
	return rows.map((row) => {
		const { name } = definitionOf(definitions, row.group, 'v1', row.kind) ?? { name: '' };
		return {
			group: row.group,
			version: 'v1',
			kind: row.kind,
			listKind: `${row.kind}List`,
			plural: row.plural,
			singular: row.kind.toLowerCase(),
			shortNames: row.shortNames ?? [],
			categories: row.categories ?? [],
			namespaced: row.clusterScoped !== true,
			custom: false,
			status: row.status === true,
			scale: undefined,
			...(row.eviction === undefined ? {} : { eviction: row.eviction }),
			schema: new Schema({ $ref: name }, definitions),
			columns: builtInColumns[row.plural] ?? plainColumns,
			selectableFields: new Map((row.selectable ?? []).map((field) => [field, field.split('.')])),
			...(row.deprecation === undefined ? {} : { deprecation: row.deprecation }),
			rules: row.plural === 'customresourcedefinitions' ? definitionRules : (builtInRules[row.plural] ?? commonRules),
		};
	});
}
