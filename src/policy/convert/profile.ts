import { type JsonObject, objectAt } from '../../json/index.ts';
import type { PolicyModel } from '../model.ts';
import { policyKey } from '../rules.ts';
import { CalicoRuleConverter, ruleObjects } from './calico-rule.ts';
import { FieldError, optionalObject, problemOf } from './fields.ts';
import { metadataOf, textMembers } from './metadata.ts';
import type { Read } from './resources.ts';

/** A Profile: rules behind all tiers and labels, for the host endpoints that name it. */
export interface ProfileModel
	extends Pick<PolicyModel, 'key' | 'kind' | 'name' | 'staged' | 'ingress' | 'egress' | 'sets'> {
	/** An endpoint has them unless it has a label of that name itself. */
	readonly labels: Readonly<Record<string, string>>;
}

/**
 * Calico derives these from namespaces and service accounts, and lists them as objects where its
 * API server is installed: what they mean follows from their names.
 */
export const isDerivedProfile = (name: string): boolean =>
	/^(kns|ksa)\./.test(name) || name === 'projectcalico-default-allow';

/**
 * Profile; a derived one is left out without a problem. `Pass` is no action of a profile: such a
 * rule denies.
 */
export function toProfile(raw: JsonObject): Read<ProfileModel> {
	const { name } = metadataOf(raw);
	if (isDerivedProfile(name)) return { type: 'refused', problems: [] };
	try {
		const spec = optionalObject(raw, 'spec', '') ?? {};
		const converter = new CalicoRuleConverter({ namespace: undefined, subject: undefined, mayPass: false });
		const ingress = converter.rules('ingress', ruleObjects(spec, 'ingress'));
		const egress = converter.rules('egress', ruleObjects(spec, 'egress'));
		return {
			type: 'value',
			value: {
				key: policyKey('profile', undefined, name),
				kind: 'profile',
				name,
				staged: false,
				ingress,
				egress,
				sets: converter.sets.sets,
				labels: textMembers(objectAt(spec, 'labelsToApply')),
			},
			problems: converter.problems,
		};
	} catch (error) {
		if (error instanceof FieldError) return { type: 'refused', problems: [problemOf('refused', error)] };
		throw error;
	}
}
