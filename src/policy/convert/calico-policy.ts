import type { JsonObject } from '../../json/index.ts';
import type { Selector } from '../../selector/index.ts';
import { type Conversion, conjunction, labelIs, type PolicyStage, selectAll, systemLabels } from '../model.ts';
import { type Direction, type PolicyKind, policyKey } from '../rules.ts';
import { CalicoRuleConverter, ruleObjects } from './calico-rule.ts';
import { FieldError, inherited, optionalObject, optionalText, problemOf, selector, textsOf } from './fields.ts';
import { metadataOf } from './metadata.ts';

/**
 * Kinds of policies of Calico, both layouts (crd.projectcalico.org/v1 and projectcalico.org/v3 have
 * the same spec).
 */
export type CalicoPolicyKind = Extract<
	PolicyKind,
	'network-policy' | 'global-network-policy' | 'staged-network-policy' | 'staged-global-network-policy'
>;

/** NetworkPolicy, GlobalNetworkPolicy and their staged forms. */
export function fromCalicoPolicy(raw: JsonObject, kind: CalicoPolicyKind): Conversion {
	const { name, namespace: given, generation } = metadataOf(raw);
	const global = kind === 'global-network-policy' || kind === 'staged-global-network-policy';
	const staged = kind === 'staged-network-policy' || kind === 'staged-global-network-policy';
	const namespace = global ? undefined : (given ?? 'default');
	try {
		const spec = optionalObject(raw, 'spec', '') ?? {};
		// A staged deletion announces the removal of the enforced policy; there is nothing to count.
		if (staged && spec['stagedAction'] === 'Delete') return { type: 'refused', problems: [] };
		const ingressRules = ruleObjects(spec, 'ingress');
		const egressRules = ruleObjects(spec, 'egress');
		const directions = directionsOf(spec, ingressRules.length > 0, egressRules.length > 0);
		const stage = stageOf(spec, directions, egressRules.length > 0);
		const namespaceSelector = global ? (optionalText(spec, 'namespaceSelector', 'spec') ?? '') : '';
		const subject = subjectOf(spec, namespace, namespaceSelector);
		const workloadsOnly = namespace !== undefined || namespaceSelector !== '';
		const converter = new CalicoRuleConverter({
			namespace,
			subject: workloadsOnly ? subject : undefined,
			mayPass: true,
		});
		const ingress = directions.has('ingress') ? converter.rules('ingress', ingressRules) : undefined;
		const egress = directions.has('egress') ? converter.rules('egress', egressRules) : undefined;
		const tier = optionalText(spec, 'tier', 'spec') ?? '';
		return {
			type: 'policy',
			policy: {
				key: policyKey(kind, namespace, name),
				kind,
				...(namespace === undefined ? {} : { namespace }),
				name,
				generation,
				tier: tier === '' ? 'default' : tier,
				order: orderOf(spec),
				staged,
				selector: subject,
				stage,
				applyOnForward: spec['applyOnForward'] === true,
				...(ingress === undefined ? {} : { ingress }),
				...(egress === undefined ? {} : { egress }),
				sets: converter.sets.sets,
				problems: converter.problems,
			},
		};
	} catch (error) {
		if (error instanceof FieldError) return { type: 'refused', problems: [problemOf('refused', error)] };
		throw error;
	}
}

function orderOf(spec: JsonObject): number {
	const order = spec['order'];
	if (order === undefined || order === null) return Number.POSITIVE_INFINITY;
	if (typeof order !== 'number') throw new FieldError('spec.order', 'expected a number');
	return order;
}

/**
 * `types`, or what the rules imply: ingress unless there are egress rules only. Rules of other
 * directions are ignored.
 */
function directionsOf(spec: JsonObject, ingress: boolean, egress: boolean): ReadonlySet<Direction> {
	const types = textsOf(spec, 'types', 'spec');
	if (types.length === 0) {
		if (!egress) return new Set(['ingress']);
		return new Set<Direction>(ingress ? ['ingress', 'egress'] : ['egress']);
	}
	return new Set(
		types.map((type, index): Direction => {
			const direction = type.toLowerCase();
			if (direction !== 'ingress' && direction !== 'egress')
				throw new FieldError(`spec.types[${index}]`, 'expected Ingress or Egress');
			return direction;
		}),
	);
}

function stageOf(spec: JsonObject, directions: ReadonlySet<Direction>, hasEgressRules: boolean): PolicyStage {
	const [preDnat, doNotTrack] = [spec['preDNAT'] === true, spec['doNotTrack'] === true];
	if (!preDnat && !doNotTrack) return 'normal';
	if (preDnat && doNotTrack) throw new FieldError('spec.preDNAT', 'not together with doNotTrack');
	if (spec['applyOnForward'] !== true)
		throw new FieldError('spec.applyOnForward', `must be true with ${preDnat ? 'preDNAT' : 'doNotTrack'}`);
	if (preDnat && (directions.has('egress') || hasEgressRules))
		throw new FieldError('spec.preDNAT', 'not together with egress rules');
	return preDnat ? 'pre-dnat' : 'untracked';
}

function subjectOf(spec: JsonObject, namespace: string | undefined, namespaceSelector: string): Selector {
	const accounts = optionalText(spec, 'serviceAccountSelector', 'spec') ?? '';
	const own = optionalText(spec, 'selector', 'spec') ?? '';
	return conjunction(
		namespace === undefined ? selectAll : labelIs(systemLabels.namespace, namespace),
		namespaceSelector === ''
			? selectAll
			: inherited(selector(namespaceSelector, 'spec.namespaceSelector'), systemLabels.namespacePrefix),
		accounts === ''
			? selectAll
			: inherited(selector(accounts, 'spec.serviceAccountSelector'), systemLabels.serviceAccountPrefix),
		own === '' ? selectAll : selector(own, 'spec.selector'),
	);
}
