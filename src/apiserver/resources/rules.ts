import {
	arrayAt,
	at,
	isObject,
	type JsonObject,
	type JsonValue,
	objectAt,
	stringifyJson,
	textAt,
	withAt,
} from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import { commonRules, withDefaults } from './common-rules.ts';
import { endpointSliceRules, networkPolicyRules } from './network-rules.ts';
import { podRules } from './pod-rules.ts';
import { clusterRoleBindingRules, clusterRoleRules, roleBindingRules, roleRules } from './rbac-rules.ts';
import type { Rules } from './types.ts';
import { daemonSetRules, deploymentRules } from './workload-rules.ts';

const namespaceRules: Rules = {
	...commonRules,
	nameFormat: 'label',
	deleteReturnsObject: true,
	deleteCollection: false,
	defaults: (object) =>
		withAt(object, ['metadata', 'labels', 'kubernetes.io/metadata.name'], textAt(object, 'metadata', 'name')),
	prepare(object, previous) {
		const finalizers = at(previous, 'spec', 'finalizers') ?? ['kubernetes'];
		return withDefaults({ ...object, spec: { ...objectAt(object, 'spec'), finalizers } }, ['status'], {
			phase: 'Active',
		});
	},
};

/** Encodes `stringData` in Base64. */
const secretRules: Rules = {
	...commonRules,
	defaults(object) {
		const texts = Object.entries(objectAt(object, 'stringData')).map(
			([key, value]) => [key, Buffer.from(String(value ?? '')).toString('base64')] as const,
		);
		const { stringData: _, ...rest } = object;
		const typed: JsonObject = { ...rest, type: textAt(rest, 'type') || 'Opaque' };
		return texts.length === 0 ? typed : { ...typed, data: { ...objectAt(rest, 'data'), ...Object.fromEntries(texts) } };
	},
	validate: (object, previous) => [
		...dataCauses(object, ['data']),
		...typeCauses(object),
		...(previous !== undefined && at(object, 'type') !== at(previous, 'type')
			? [cause.invalid('type', stringifyJson(at(object, 'type') ?? null), 'field is immutable')]
			: []),
		...immutableCauses(object, previous, ['data', 'immutable']),
	],
};

/** Required members of secrets of known types. */
const membersOfTypes: Readonly<Record<string, readonly string[]>> = {
	'kubernetes.io/tls': ['tls.crt', 'tls.key'],
	'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
	'kubernetes.io/dockercfg': ['.dockercfg'],
	'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

function typeCauses(object: JsonObject): Cause[] {
	const data = objectAt(object, 'data');
	return (membersOfTypes[textAt(object, 'type') ?? ''] ?? [])
		.filter((member) => data[member] === undefined)
		.map((member) => cause.required(`data[${member}]`));
}

const configMapRules: Rules = {
	...commonRules,
	validate: (object, previous) => [
		...dataCauses(object, ['data', 'binaryData']),
		...immutableCauses(object, previous, ['data', 'binaryData', 'immutable']),
	],
};

const dataKey = /^[-._a-zA-Z0-9]+$/;
const mostDataBytes = 1024 * 1024;

function dataCauses(object: JsonObject, members: readonly string[]): Cause[] {
	const causes: Cause[] = [];
	let bytes = 0;
	for (const member of members) {
		for (const [key, value] of Object.entries(objectAt(object, member))) {
			bytes += typeof value === 'string' ? Buffer.byteLength(value) : 0;
			if (!dataKey.test(key)) {
				causes.push(
					cause.invalid(
						`${member}[${key}]`,
						stringifyJson(key),
						"a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. " +
							"'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
					),
				);
			}
		}
	}
	if (bytes > mostDataBytes) causes.push(cause.tooLong('[]', `may not be more than ${mostDataBytes} bytes`));
	return causes;
}

function immutableCauses(object: JsonObject, previous: JsonObject | undefined, members: readonly string[]): Cause[] {
	if (previous === undefined || at(previous, 'immutable') !== true) return [];
	return members
		.filter((member) => stringifyJson(at(object, member) ?? null) !== stringifyJson(at(previous, member) ?? null))
		.map((member) => cause.forbidden(member, 'field is immutable when `immutable` is set'));
}

const serviceRules: Rules = {
	...commonRules,
	nameFormat: 'service',
	deleteReturnsObject: true,
	createOnUpdate: true,
	defaults(object) {
		const spec = objectAt(object, 'spec');
		const type = textAt(spec, 'type') ?? 'ClusterIP';
		const ports = arrayAt(spec, 'ports').map((port) =>
			isObject(port) ? { targetPort: port['port'] ?? 0, protocol: 'TCP', ...port } : port,
		);
		const outside = type === 'NodePort' || type === 'LoadBalancer' ? { externalTrafficPolicy: 'Cluster' } : {};
		const inside = type === 'ExternalName' ? {} : { internalTrafficPolicy: 'Cluster' };
		const balanced = type === 'LoadBalancer' ? { allocateLoadBalancerNodePorts: true } : {};
		return {
			...object,
			spec: {
				sessionAffinity: 'None',
				...outside,
				...inside,
				...balanced,
				...spec,
				type,
				...(ports.length === 0 ? {} : { ports }),
			},
		};
	},
	prepare(object, previous) {
		const spec = objectAt(object, 'spec');
		const type = textAt(spec, 'type') ?? 'ClusterIP';
		const clusterIp = textAt(spec, 'clusterIP') ?? textAt(previous, 'spec', 'clusterIP');
		const addressed =
			clusterIp === undefined || type === 'ExternalName'
				? {}
				: {
						clusterIP: clusterIp,
						clusterIPs: arrayAt(spec, 'clusterIPs').length > 0 ? arrayAt(spec, 'clusterIPs') : [clusterIp],
					};
		const families =
			type === 'ExternalName'
				? {}
				: { ipFamilies: [clusterIp?.includes(':') ? 'IPv6' : 'IPv4'], ipFamilyPolicy: 'SingleStack' };
		return { ...withDefaults(object, ['status'], { loadBalancer: {} }), spec: { ...families, ...spec, ...addressed } };
	},
	validate(object, previous) {
		const type = textAt(object, 'spec', 'type');
		const clusterIp = textAt(object, 'spec', 'clusterIP');
		const ports = arrayAt(object, 'spec', 'ports');
		return [
			...(ports.length === 0 && clusterIp !== 'None' && type !== 'ExternalName' ? [cause.required('spec.ports')] : []),
			...(previous !== undefined &&
			type !== 'ExternalName' &&
			textAt(previous, 'spec', 'type') !== 'ExternalName' &&
			clusterIp !== textAt(previous, 'spec', 'clusterIP')
				? [cause.invalid('spec.clusterIPs[0]', stringifyJson([clusterIp ?? '']), 'may not change once set')]
				: []),
		];
	},
};

const eventRules: Rules = {
	...commonRules,
	createOnUpdate: true,
	validate: (object) =>
		(textAt(object, 'involvedObject', 'namespace') ?? '') !== (textAt(object, 'metadata', 'namespace') ?? '') &&
		!(
			(textAt(object, 'involvedObject', 'namespace') ?? '') === '' &&
			textAt(object, 'metadata', 'namespace') === 'default'
		)
			? [
					cause.invalid(
						'involvedObject.namespace',
						stringifyJson(textAt(object, 'involvedObject', 'namespace') ?? ''),
						'does not match event.namespace',
					),
				]
			: [],
};

/** A node's `podCIDR` is the first of its `podCIDRs`. */
const nodeRules: Rules = {
	...commonRules,
	defaults(object) {
		const podCidr = textAt(object, 'spec', 'podCIDR');
		const withRanges =
			podCidr === undefined || at(object, 'spec', 'podCIDRs') !== undefined
				? object
				: withAt(object, ['spec', 'podCIDRs'], [podCidr]);
		// By default all of a node's capacity is allocatable.
		const capacity = at(object, 'status', 'capacity');
		return capacity === undefined || at(object, 'status', 'allocatable') !== undefined
			? withRanges
			: withAt(withRanges, ['status', 'allocatable'], capacity);
	},
};

const endpointsRules: Rules = {
	...commonRules,
	createOnUpdate: true,
	defaults(object) {
		const port = (value: JsonValue): JsonValue =>
			isObject(value) ? { ...value, protocol: value['protocol'] ?? 'TCP' } : value;
		const subset = (value: JsonValue): JsonValue =>
			isObject(value) && value['ports'] !== undefined ? { ...value, ports: arrayAt(value, 'ports').map(port) } : value;
		return at(object, 'subsets') === undefined
			? object
			: { ...object, subsets: arrayAt(object, 'subsets').map(subset) };
	},
};

const leaseRules: Rules = {
	...commonRules,
	unconditionalUpdate: false,
	createOnUpdate: true,
	validate(object) {
		const seconds = at(object, 'spec', 'leaseDurationSeconds');
		return typeof seconds === 'number' && seconds <= 0
			? [cause.invalid('spec.leaseDurationSeconds', String(seconds), 'must be greater than 0')]
			: [];
	},
};

/** Rules of the built-in kinds by plural name; all other kinds have the common rules. */
export const builtInRules: Readonly<Record<string, Rules>> = {
	namespaces: namespaceRules,
	nodes: nodeRules,
	secrets: secretRules,
	configmaps: configMapRules,
	pods: podRules,
	services: serviceRules,
	daemonsets: daemonSetRules,
	deployments: deploymentRules,
	serviceaccounts: { ...commonRules, deleteReturnsObject: true },
	endpoints: endpointsRules,
	endpointslices: endpointSliceRules,
	events: eventRules,
	leases: leaseRules,
	networkpolicies: networkPolicyRules,
	roles: roleRules,
	clusterroles: clusterRoleRules,
	rolebindings: roleBindingRules,
	clusterrolebindings: clusterRoleBindingRules,
};
