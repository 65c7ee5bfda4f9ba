import {
	arrayAt,
	at,
	isObject,
	type JsonObject,
	type JsonValue,
	objectAt,
	stringifyJson,
	textAt,
} from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import { commonRules } from './common-rules.ts';
import type { Rules } from './types.ts';

const group = 'rbac.authorization.k8s.io';

/**
 * Roles and bindings are stored as by kube-apiserver, and grant no permissions here. Their names
 * may be any path segment.
 */
const rbacRules: Rules = { ...commonRules, nameFormat: 'segment' };

const itemsOf = (object: JsonObject, key: string): JsonObject[] =>
	arrayAt(object, key).map((item) => (isObject(item) ? item : {}));

export const roleRules: Rules = { ...rbacRules, validate: (object) => ruleCauses(object, true) };

export const clusterRoleRules: Rules = {
	...rbacRules,
	validate: (object) => [
		...ruleCauses(object, false),
		...(isObject(object['aggregationRule']) && arrayAt(object, 'aggregationRule', 'clusterRoleSelectors').length === 0
			? [
					cause.required(
						'aggregationRule.clusterRoleSelectors',
						'at least one clusterRoleSelector required if aggregationRule is non-nil',
					),
				]
			: []),
	],
};

function ruleCauses(object: JsonObject, namespaced: boolean): Cause[] {
	return itemsOf(object, 'rules').flatMap((rule, index) => {
		const field = (name: string) => `rules[${index}].${name}`;
		const has = (name: string) => arrayAt(rule, name).length > 0;
		const verbs = has('verbs') ? [] : [cause.required(field('verbs'), 'verbs must contain at least one value')];
		if (has('nonResourceURLs')) {
			const refuse = (detail: string) =>
				cause.invalid(field('nonResourceURLs'), stringifyJson(arrayAt(rule, 'nonResourceURLs')), detail);
			return [
				...verbs,
				...(namespaced ? [refuse('namespaced rules cannot apply to non-resource URLs')] : []),
				...(['apiGroups', 'resources', 'resourceNames'].some(has)
					? [refuse('rules cannot apply to both regular resources and non-resource URLs')]
					: []),
			];
		}
		return [
			...verbs,
			...(has('apiGroups')
				? []
				: [cause.required(field('apiGroups'), 'resource rules must supply at least one api group')]),
			...(has('resources')
				? []
				: [cause.required(field('resources'), 'resource rules must supply at least one resource')]),
		];
	});
}

/** Sets the default API group of the role reference, and of users and groups among the subjects. */
function withGroups(object: JsonObject): JsonObject {
	const subjects = itemsOf(object, 'subjects').map((subject) =>
		(textAt(subject, 'apiGroup') ?? '') === '' && ['User', 'Group'].includes(textAt(subject, 'kind') ?? '')
			? { ...subject, apiGroup: group }
			: subject,
	);
	const role = objectAt(object, 'roleRef');
	return {
		...object,
		...(at(object, 'roleRef') === undefined
			? {}
			: { roleRef: { ...role, apiGroup: textAt(role, 'apiGroup') || group } }),
		...(at(object, 'subjects') === undefined ? {} : { subjects }),
	};
}

const bindingRules = (roles: readonly string[], namespaced: boolean): Rules => ({
	...rbacRules,
	defaults: withGroups,
	validate: (object, previous) => [
		...roleRefCauses(objectAt(object, 'roleRef'), roles),
		...itemsOf(object, 'subjects').flatMap((subject, index) =>
			subjectCauses(subject, namespaced, `subjects[${index}]`),
		),
		...(previous !== undefined && stringifyJson(refOf(object)) !== stringifyJson(refOf(previous))
			? [cause.invalid('roleRef', stringifyJson(refOf(object)), 'cannot change roleRef')]
			: []),
	],
});

/** In the order and with the names of Go's output. */
const refOf = (object: JsonObject): JsonObject => {
	const role = objectAt(object, 'roleRef');
	return {
		APIGroup: textAt(role, 'apiGroup') ?? '',
		Kind: textAt(role, 'kind') ?? '',
		Name: textAt(role, 'name') ?? '',
	};
};

const quoted = (texts: readonly string[]): string[] => texts.map((text) => JSON.stringify(text));
const unsupported = (field: string, value: JsonValue, supported: readonly string[]): Cause =>
	cause.unsupported(field, stringifyJson(value), quoted(supported));

function roleRefCauses(role: JsonObject, kinds: readonly string[]): Cause[] {
	const [apiGroup, kind, name] = ['apiGroup', 'kind', 'name'].map((key) => textAt(role, key) ?? '');
	return [
		...(apiGroup === group ? [] : [unsupported('roleRef.apiGroup', apiGroup ?? '', [group])]),
		...(kinds.includes(kind ?? '') ? [] : [unsupported('roleRef.kind', kind ?? '', kinds)]),
		...(name === '' ? [cause.required('roleRef.name')] : []),
	];
}

function subjectCauses(subject: JsonObject, namespaced: boolean, field: string): Cause[] {
	const apiGroup = textAt(subject, 'apiGroup') ?? '';
	const name = (textAt(subject, 'name') ?? '') === '' ? [cause.required(`${field}.name`)] : [];
	switch (textAt(subject, 'kind')) {
		case 'ServiceAccount':
			return [
				...name,
				...(apiGroup === '' ? [] : [unsupported(`${field}.apiGroup`, apiGroup, [''])]),
				...(!namespaced && (textAt(subject, 'namespace') ?? '') === '' ? [cause.required(`${field}.namespace`)] : []),
			];
		case 'User':
		case 'Group':
			return [...name, ...(apiGroup === group ? [] : [unsupported(`${field}.apiGroup`, apiGroup, [group])])];
		default:
			return [
				...name,
				unsupported(`${field}.kind`, textAt(subject, 'kind') ?? '', ['ServiceAccount', 'User', 'Group']),
			];
	}
}

export const roleBindingRules = bindingRules(['Role', 'ClusterRole'], true);
export const clusterRoleBindingRules = bindingRules(['ClusterRole'], false);
