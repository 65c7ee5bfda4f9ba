import type { JsonObject } from '../../../../src/json/index.ts';
import type { Step } from '../transcript.ts';
import { namespace } from './objects.ts';

const root = '/apis/rbac.authorization.k8s.io/v1';
const apiVersion = 'rbac.authorization.k8s.io/v1';
const spaced = `${root}/namespaces/rights`;
const rule = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] };
const role = (name: string, rules: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
	apiVersion,
	kind: 'ClusterRole',
	metadata: { name },
	rules,
	...more,
});
const binding = (name: string, roleRef: JsonObject, subjects: readonly JsonObject[]): JsonObject => ({
	apiVersion,
	kind: 'ClusterRoleBinding',
	metadata: { name },
	roleRef,
	subjects,
});
const toRole = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'rights' };
const account = { kind: 'ServiceAccount', name: 'a', namespace: 'rights' };

/** Roles and bindings as objects, so that manifests that contain them can be applied. */
export const rightsObjects: readonly Step[] = [
	namespace('rights'),
	{ title: 'a role of the cluster', method: 'POST', path: `${root}/clusterroles`, body: role('rights', [rule]) },
	{
		title: 'a name with what only a path forbids',
		method: 'POST',
		path: `${root}/clusterroles`,
		body: role('Rights:of_all', [rule]),
		only: ['metadata.name'],
	},
	{
		title: 'a name that is two parts of a path',
		method: 'POST',
		path: `${root}/clusterroles`,
		body: role('a/b', [rule]),
	},
	{
		title: 'rules that say too little',
		method: 'POST',
		path: `${root}/clusterroles`,
		body: role(
			'few',
			[{ apiGroups: [''], resources: ['pods'] as const }, { verbs: ['get'] }].map((each) => ({ verbs: [], ...each })),
		),
	},
	{
		title: 'a rule about paths and resources at once',
		method: 'POST',
		path: `${root}/clusterroles`,
		body: role('both', [{ ...rule, nonResourceURLs: ['/metrics'] }]),
	},
	{
		title: 'a role that is made of others, and of none',
		method: 'POST',
		path: `${root}/clusterroles`,
		body: role('none', [], { aggregationRule: { clusterRoleSelectors: [] } }),
	},
	{
		title: 'a rule about paths in a namespace',
		method: 'POST',
		path: `${spaced}/roles`,
		body: { ...role('paths', [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]), kind: 'Role' },
	},
	{
		title: 'a role of a namespace',
		method: 'POST',
		path: `${spaced}/roles`,
		body: { ...role('here', [rule]), kind: 'Role' },
	},
	{
		title: 'a role grows by a patch',
		method: 'PATCH',
		path: `${root}/clusterroles/rights`,
		contentType: 'application/strategic-merge-patch+json',
		body: { rules: [{ ...rule, verbs: ['watch'] }] },
		only: ['rules'],
	},
	{
		title: 'a binding, with the group of users and of the role filled in',
		method: 'POST',
		path: `${root}/clusterrolebindings`,
		body: binding('rights', { kind: 'ClusterRole', name: 'rights' }, [
			account,
			{ kind: 'User', name: 'u' },
			{ kind: 'Group', name: 'g' },
		]),
	},
	{
		title: 'a binding to a role of one namespace',
		method: 'POST',
		path: `${root}/clusterrolebindings`,
		body: binding('other', { ...toRole, kind: 'Role' }, [account]),
	},
	{
		title: 'a binding to nothing, of no subject',
		method: 'POST',
		path: `${root}/clusterrolebindings`,
		body: binding('nothing', { ...toRole, name: '' }, [
			{ kind: 'ServiceAccount', name: 'a' },
			{ kind: 'User', name: '' },
			{ kind: 'Robot', name: 'r' },
		]),
	},
	{
		title: 'a binding of a namespace',
		method: 'POST',
		path: `${spaced}/rolebindings`,
		body: {
			...binding('here', { ...toRole, kind: 'Role', name: 'here' }, [{ kind: 'ServiceAccount', name: 'a' }]),
			kind: 'RoleBinding',
		},
	},
	{
		title: 'a binding turns to another role',
		method: 'PATCH',
		path: `${root}/clusterrolebindings/rights`,
		contentType: 'application/merge-patch+json',
		body: { roleRef: { name: 'view' } },
	},
	{
		title: 'bindings as a table',
		path: `${spaced}/rolebindings`,
		accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
		only: [
			'rows.0.cells',
			'columnDefinitions.1.name',
			'columnDefinitions.3.name',
			'columnDefinitions.4.name',
			'columnDefinitions.5.name',
		],
	},
	{
		title: 'bindings of the cluster as a table',
		path: `${root}/clusterrolebindings?fieldSelector=metadata.name%3Drights`,
		accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
		only: ['rows.0.cells'],
	},
	{
		title: 'roles as a table',
		path: `${spaced}/roles`,
		accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
		only: ['rows.0.cells', 'columnDefinitions.1.name'],
	},
	{
		title: 'which kinds there are',
		path: root,
		only: ['resources.0.name', 'resources.1.name', 'resources.2.name', 'resources.3.name'],
	},
	{ title: 'a role goes', method: 'DELETE', path: `${root}/clusterroles/rights` },
	{ title: 'a binding goes', method: 'DELETE', path: `${root}/clusterrolebindings/rights` },
];
