import { arrayAt, at, isObject, type JsonObject, type JsonValue, stringifyJson, withAt } from '../../json/index.ts';
import { cause } from '../api/status.ts';
import { commonRules } from './common-rules.ts';
import type { Rules } from './types.ts';

const each = (object: JsonObject, path: readonly string[], change: (item: JsonObject) => JsonValue): JsonObject =>
	at(object, ...path) === undefined
		? object
		: withAt(
				object,
				path,
				arrayAt(object, ...path).map((item) => (isObject(item) ? change(item) : item)),
			);

/**
 * Defaults: a port has a name (possibly empty) and a protocol; an endpoint has conditions (possibly
 * empty).
 */
export const endpointSliceRules: Rules = {
	...commonRules,
	unconditionalUpdate: false,
	generation: true,
	defaults: (object) =>
		each(
			each(object, ['ports'], (port) => ({ ...port, name: port['name'] ?? '', protocol: port['protocol'] ?? 'TCP' })),
			['endpoints'],
			(endpoint) => ({ ...endpoint, conditions: endpoint['conditions'] ?? {} }),
		),
	validate: (object, previous) =>
		previous !== undefined && at(object, 'addressType') !== at(previous, 'addressType')
			? [cause.invalid('addressType', stringifyJson(at(object, 'addressType') ?? null), 'field is immutable')]
			: [],
};

/** Default policy types: ingress always, egress if the policy has egress rules. */
export const networkPolicyRules: Rules = {
	...commonRules,
	unconditionalUpdate: false,
	generation: true,
	defaults(object) {
		if (!isObject(object['spec'])) return object;
		const types = ['Ingress', ...(arrayAt(object, 'spec', 'egress').length > 0 ? ['Egress'] : [])];
		const withTypes =
			arrayAt(object, 'spec', 'policyTypes').length > 0 ? object : withAt(object, ['spec', 'policyTypes'], types);
		const ports = (rule: JsonObject): JsonValue =>
			each(rule, ['ports'], (port) => ({ ...port, protocol: port['protocol'] ?? 'TCP' }));
		return each(each(withTypes, ['spec', 'ingress'], ports), ['spec', 'egress'], ports);
	},
};
