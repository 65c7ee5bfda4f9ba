import { at, isObject, type JsonObject, objectAt, stringifyJson, textAt, withAt } from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import { commonRules, withDefaults } from './common-rules.ts';
import { podRules } from './pod-rules.ts';
import type { Rules } from './types.ts';

/**
 * DaemonSets and Deployments: their manifests are accepted, filled in and kept as Kubernetes does;
 * no controller makes pods of them.
 */
const workloadRules: Rules = {
	...commonRules,
	generation: true,
	validate: (object, previous) => [...selectorCauses(object), ...changeCauses(object, previous)],
};

/** The pod template with the defaults of a pod. */
function withTemplate(object: JsonObject): JsonObject {
	const template = objectAt(object, 'spec', 'template');
	// The default of this member is that of pods alone.
	const links = at(template, 'spec', 'enableServiceLinks');
	const filled = withAt(podRules.defaults(template), ['spec', 'enableServiceLinks'], links);
	return withAt(object, ['spec', 'template'], filled);
}

const templateGeneration = 'deprecated.daemonset.template.generation';

export const daemonSetRules: Rules = {
	...workloadRules,
	defaults(object) {
		const filled = withDefaults(withTemplate(object), ['spec'], { revisionHistoryLimit: 10 });
		const annotated = withDefaults(filled, ['metadata', 'annotations'], { [templateGeneration]: '1' });
		return withRollingUpdate(annotated, 'updateStrategy', { maxSurge: 0, maxUnavailable: 1 });
	},
	prepare: (object, previous) =>
		previous === undefined
			? {
					...object,
					status: { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 },
				}
			: object,
};

export const deploymentRules: Rules = {
	...workloadRules,
	defaults(object) {
		const filled = withDefaults(withTemplate(object), ['spec'], {
			replicas: 1,
			revisionHistoryLimit: 10,
			progressDeadlineSeconds: 600,
		});
		return withRollingUpdate(filled, 'strategy', { maxSurge: '25%', maxUnavailable: '25%' });
	},
	prepare: (object, previous) => (previous === undefined ? { ...object, status: {} } : object),
};

/** A strategy is RollingUpdate by default, with these limits. */
function withRollingUpdate(object: JsonObject, member: string, limits: JsonObject): JsonObject {
	const strategy = objectAt(object, 'spec', member);
	const type = textAt(strategy, 'type') || 'RollingUpdate';
	const rolling =
		type === 'RollingUpdate' ? { rollingUpdate: { ...limits, ...objectAt(strategy, 'rollingUpdate') } } : {};
	return withAt(object, ['spec', member], { ...strategy, type, ...rolling });
}

function selectorCauses(object: JsonObject): Cause[] {
	const selector = objectAt(object, 'spec', 'selector', 'matchLabels');
	const labels = at(object, 'spec', 'template', 'metadata', 'labels');
	const has = isObject(labels) ? labels : {};
	return Object.entries(selector).every(([key, value]) => has[key] === value)
		? []
		: [
				cause.invalid(
					'spec.template.metadata.labels',
					stringifyJson(has),
					'`selector` does not match template `labels`',
				),
			];
}

function changeCauses(object: JsonObject, previous: JsonObject | undefined): Cause[] {
	if (previous === undefined) return [];
	const selector = (of: JsonObject) => stringifyJson(at(of, 'spec', 'selector') ?? null);
	return selector(object) === selector(previous)
		? []
		: [cause.invalid('spec.selector', selector(object), 'field is immutable')];
}
