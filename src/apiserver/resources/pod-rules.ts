import {
	arrayAt,
	at,
	isObject,
	type JsonObject,
	type JsonValue,
	objectAt,
	sameJson,
	stringifyJson,
	textAt,
	withAt,
} from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import { commonRules, withDefaults } from './common-rules.ts';
import { containerDefaults } from './container-defaults.ts';
import { qosClass } from './pod-quality.ts';
import type { Rules } from './types.ts';

/** Pods: defaults, and a spec that is almost immutable. */
export const podRules: Rules = {
	...commonRules,
	generation: true,
	deleteReturnsObject: true,
	graceSeconds(object) {
		// No kubelet confirms the end of a pod that is unscheduled or finished: no grace period.
		const phase = textAt(object, 'status', 'phase');
		if ((textAt(object, 'spec', 'nodeName') ?? '') === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
		return Number(at(object, 'spec', 'terminationGracePeriodSeconds') ?? 30);
	},
	defaults(object) {
		const filled = withDefaults(object, ['spec'], {
			restartPolicy: 'Always',
			terminationGracePeriodSeconds: 30,
			dnsPolicy: 'ClusterFirst',
			securityContext: {},
			schedulerName: 'default-scheduler',
			enableServiceLinks: true,
		});
		const hostNetwork = at(filled, 'spec', 'hostNetwork') === true;
		const withContainers = lists.reduce(
			(result, list) =>
				list !== 'containers' && at(result, 'spec', list) === undefined
					? result
					: withAt(
							result,
							['spec', list],
							arrayAt(result, 'spec', list).map((container) => containerDefaults(container, hostNetwork)),
						),
			filled,
		);
		if (at(filled, 'spec', 'volumes') === undefined) return withContainers;
		return withAt(withContainers, ['spec', 'volumes'], arrayAt(filled, 'spec', 'volumes').map(volumeDefaults));
	},
	prepare(object, previous) {
		const result = withTolerations(
			withDefaults(object, ['spec'], { preemptionPolicy: 'PreemptLowerPriority', priority: 0 }),
		);
		if (previous !== undefined) return result;
		return { ...result, status: { phase: 'Pending', qosClass: qosClass(object) } };
	},
	validate: (object, previous) => [
		...(arrayAt(object, 'spec', 'containers').length === 0 ? [cause.required('spec.containers')] : []),
		...(previous === undefined ? [] : changeCauses(object, previous)),
	],
};

const lists = ['containers', 'initContainers'];
const mutable =
	'pod updates may not change fields other than ' +
	'`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` ' +
	'(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to ' +
	'be set to 1 if it was previously negative)';

function changeCauses(object: JsonObject, previous: JsonObject): Cause[] {
	const resized = lists.filter(
		(list) => arrayAt(object, 'spec', list).length !== arrayAt(previous, 'spec', list).length,
	);
	if (resized.length > 0)
		return resized.map((list) => cause.forbidden(`spec.${list}`, 'pod updates may not add or remove containers'));
	const tolerations = arrayAt(object, 'spec', 'tolerations');
	const kept = arrayAt(previous, 'spec', 'tolerations').every((old) =>
		tolerations.some((given) => sameButSeconds(old, given)),
	);
	return [
		...(kept
			? []
			: [cause.forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')]),
		...(withoutMutable(object) === withoutMutable(previous) ? [] : [cause.forbidden('spec', mutable)]),
	];
}

function sameButSeconds(left: JsonValue, right: JsonValue): boolean {
	const bare = (toleration: JsonValue) =>
		withAt(isObject(toleration) ? toleration : {}, ['tolerationSeconds'], undefined);
	return sameJson(bare(left), bare(right));
}

/** Default tolerations: a pod stays for five minutes on a node that is not ready or unreachable. */
function withTolerations(object: JsonObject): JsonObject {
	const given = arrayAt(object, 'spec', 'tolerations');
	const covers = (key: string) =>
		given.some(
			(toleration) =>
				[key, ''].includes(textAt(toleration, 'key') ?? '') &&
				['NoExecute', ''].includes(textAt(toleration, 'effect') ?? ''),
		);
	const added = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
		.filter((key) => !covers(key))
		.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }));
	return added.length === 0 ? object : withAt(object, ['spec', 'tolerations'], [...given, ...added]);
}

/** 0644 in decimal. */
const fileMode = 420;

function volumeDefaults(volume: JsonValue): JsonValue {
	if (!isObject(volume)) return volume;
	const modes = ['configMap', 'secret', 'downwardAPI', 'projected'].flatMap((source) =>
		isObject(volume[source])
			? [[source, { ...volume[source], defaultMode: volume[source]['defaultMode'] ?? fileMode }] as const]
			: [],
	);
	const path = volume['hostPath'];
	return {
		...volume,
		...Object.fromEntries(modes),
		...(isObject(path) ? { hostPath: { ...path, type: path['type'] ?? '' } } : {}),
	};
}

/** A pod's spec without its mutable fields. */
function withoutMutable(object: JsonObject): string {
	const {
		activeDeadlineSeconds: _,
		tolerations: __,
		containers: ___,
		initContainers: ____,
		terminationGracePeriodSeconds: _____,
		...rest
	} = objectAt(object, 'spec');
	const images = arrayAt(object, 'spec', 'containers').map((container) =>
		isObject(container) ? { ...container, image: '' } : container,
	);
	return stringifyJson({ ...sortedMembers(rest), images });
}

const sortedMembers = (object: JsonObject): JsonObject =>
	Object.fromEntries(Object.entries(object).sort(([left], [right]) => (left < right ? -1 : 1)));
