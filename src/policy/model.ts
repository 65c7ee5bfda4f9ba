import { createHash } from 'node:crypto';
import { canonicalSelector, type Selector } from '../selector/index.ts';
import type { PolicyKey, PolicyKind, Rule, SetId } from './rules.ts';

/** Labels that Calico adds to endpoints; policies of every kind are expressed with them. */
export const systemLabels = {
	namespace: 'projectcalico.org/namespace',
	orchestrator: 'projectcalico.org/orchestrator',
	serviceAccount: 'projectcalico.org/serviceaccount',
	/** Below the prefixes: the namespace's or the service account's own name. */
	name: 'projectcalico.org/name',
	namespacePrefix: 'pcns.',
	serviceAccountPrefix: 'pcsa.',
} as const;

/** What a set contains; its id follows from it. */
export type SetDefinition = { readonly id: SetId; readonly meaning: string } & (
	| { readonly type: 'selector'; readonly selector: Selector }
	| { readonly type: 'named-port'; readonly selector: Selector; readonly protocol: number; readonly port: string }
	| { readonly type: 'service-ports' | 'service-addresses'; readonly namespace: string; readonly name: string }
	/** Addresses of all nodes. */
	| { readonly type: 'nodes' }
);

/** Something in a resource that is not enforced as written, or not valid. */
export interface PolicyProblem {
	/**
	 * `refused`: the resource is not valid and is left out. `fails-closed`: a rule cannot be
	 * enforced; an allow rule matches nothing, a deny or pass rule denies everything. `warning`:
	 * enforced, but not what it seems.
	 */
	readonly type: 'refused' | 'fails-closed' | 'warning';
	/** Where in the resource, e.g. `spec.ingress[0].http`. */
	readonly field: string;
	readonly problem: string;
}

/** Where a policy is applied on host endpoints. */
export type PolicyStage = 'normal' | 'pre-dnat' | 'untracked';

/** A policy of any kind in Calico's terms, rules ready for the representation. */
export interface PolicyModel {
	readonly key: PolicyKey;
	readonly kind: PolicyKind;
	readonly namespace?: string;
	readonly name: string;
	/** `metadata.generation`; 0 where there is none. */
	readonly generation: number;
	readonly tier: string;
	/** Lower first; absent in the resource: infinite. */
	readonly order: number;
	readonly staged: boolean;
	/**
	 * Which endpoints, with namespace and service accounts; it holds for host endpoints where these
	 * are selected.
	 */
	readonly selector: Selector;
	readonly stage: PolicyStage;
	/** Forwarded packets of host endpoints as well. */
	readonly applyOnForward: boolean;
	/** Absent: the policy does not apply in this direction. */
	readonly ingress?: readonly Rule[];
	readonly egress?: readonly Rule[];
	/** Every set that the rules refer to. */
	readonly sets: ReadonlyMap<SetId, SetDefinition>;
	readonly problems: readonly PolicyProblem[];
}

/** A policy, or the reasons why there is none. */
export type Conversion =
	| { readonly type: 'policy'; readonly policy: PolicyModel }
	| { readonly type: 'refused'; readonly problems: readonly PolicyProblem[] };

/** A tier; `order` absent: infinite. */
export interface TierModel {
	readonly name: string;
	readonly order: number;
	readonly defaultAction: 'deny' | 'pass';
}

/** Tiers that exist without a resource. Their order and default action are fixed. */
export const builtInTiers: readonly TierModel[] = [
	{ name: 'kube-admin', order: 1_000, defaultAction: 'pass' },
	{ name: 'default', order: 1_000_000, defaultAction: 'deny' },
	{ name: 'kube-baseline', order: 10_000_000, defaultAction: 'pass' },
];

/** Order of Kubernetes' NetworkPolicy in the tier `default`. Calico. */
export const kubernetesPolicyOrder = 1_000;

/** A selector that holds for everything. */
export const selectAll: Selector = { type: 'all' };

/** All of them must hold; `all()` is left out. */
export function conjunction(...selectors: readonly Selector[]): Selector {
	const operands = selectors
		.filter(({ type }) => type !== 'all')
		.flatMap((selector) => (selector.type === 'and' ? selector.operands : [selector]));
	const [first, ...rest] = operands;
	if (first === undefined) return selectAll;
	return rest.length === 0 ? first : { type: 'and', operands };
}

/** The label has the value. */
export const labelIs = (label: string, value: string): Selector => ({ type: 'equals', label, value });

/** `prefix` and 20 hexadecimal digits of a hash of the text. */
export const contentId = (prefix: string, text: string): string =>
	`${prefix}${createHash('sha1').update(text).digest('hex').slice(0, 20)}`;

/** The set of the addresses of all nodes. */
export const nodesSet: SetDefinition = {
	type: 'nodes',
	id: contentId('s', 'nodes'),
	meaning: 'addresses of all nodes',
};

/** Collects the sets that rules refer to while a policy is converted. */
export class SetCollector {
	readonly #sets = new Map<SetId, SetDefinition>();

	get sets(): ReadonlyMap<SetId, SetDefinition> {
		return this.#sets;
	}

	/** Addresses of all endpoints and network sets that the selector selects. */
	selector(selector: Selector): SetId {
		const meaning = canonicalSelector(selector);
		return this.#add({ type: 'selector', id: contentId('s', `selector ${meaning}`), meaning, selector });
	}

	/** Addresses and numbers of a port that the selected endpoints name. */
	namedPort(selector: Selector, protocol: number, port: string): SetId {
		const meaning = `port '${port}' of protocol ${protocol} of ${canonicalSelector(selector)}`;
		return this.#add({ type: 'named-port', id: contentId('s', meaning), meaning, selector, protocol, port });
	}

	/** Endpoints of a service: addresses with ports, or addresses alone. */
	service(type: 'service-ports' | 'service-addresses', namespace: string, name: string): SetId {
		const what = type === 'service-ports' ? 'endpoints' : 'addresses of endpoints';
		const meaning = `${what} of service ${namespace}/${name}`;
		return this.#add({ type, id: contentId('s', meaning), meaning, namespace, name });
	}

	#add(definition: SetDefinition): SetId {
		this.#sets.set(definition.id, definition);
		return definition.id;
	}
}
