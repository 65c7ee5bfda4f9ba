import { AddressError, canonicalAddress } from '../core/index.ts';
import { arrayAt, isObject, type JsonObject, objectAt, textAt } from '../json/index.ts';
import type { PolicyCalculator } from './calculation/calculator.ts';
import { type PolicyResource, policyResourceOf } from './convert/index.ts';
import { metadataOf } from './convert/metadata.ts';
import { toProfile } from './convert/profile.ts';
import {
	type EndpointSliceFacts,
	type Read,
	toEndpointSlice,
	toHostEndpoint,
	toNetworkSet,
	toTier,
} from './convert/resources.ts';
import { toPodFacts } from './endpoints.ts';
import type { PolicyModel, PolicyProblem } from './model.ts';
import type { PolicyKey } from './rules.ts';

/** Which resource. */
export interface ResourceReference {
	readonly apiVersion: string;
	readonly kind: string;
	readonly name: string;
	readonly namespace?: string;
	readonly uid?: string;
}

/** A resource and what is wrong with it. */
export interface ResourceProblems {
	/** `KIND NAMESPACE/NAME` or `KIND NAME`. */
	readonly subject: string;
	/** Without `uid`: of a file. */
	readonly object: ResourceReference;
	readonly problems: readonly PolicyProblem[];
}

/**
 * Takes resources as the API server has them and hands what follows from them to a calculator. A
 * resource that is refused counts as absent; its problems are kept.
 */
export class PolicyFeed {
	readonly #calculator: PolicyCalculator;
	readonly #problems = new Map<string, ResourceProblems>();
	readonly #policies = new Map<string, PolicyModel>();
	/** Policies and profiles whose rules name services. */
	readonly #serviceUsers = new Set<string>();
	/** Which service each slice was of. */
	readonly #slices = new Map<string, EndpointSliceFacts>();

	constructor(calculator: PolicyCalculator) {
		this.#calculator = calculator;
	}

	/** Of all resources that have any, by subject. */
	get problems(): readonly ResourceProblems[] {
		return [...this.#problems.values()].sort((left, right) => (left.subject < right.subject ? -1 : 1));
	}

	/** All policies that are in force, by key. */
	get policies(): ReadonlyMap<PolicyKey, PolicyModel> {
		return new Map([...this.#policies.values()].map((policy) => [policy.key, policy]));
	}

	/** A rule names a service: EndpointSlices are needed. */
	get usesServices(): boolean {
		return this.#serviceUsers.size > 0;
	}

	/** Adds or changes an object; a kind that policy does not use is ignored. */
	put(raw: JsonObject): void {
		this.#dispatch(raw, true);
	}

	/** Removes an object; `kind`, `apiVersion` and names suffice. */
	remove(raw: JsonObject): void {
		this.#problems.delete(idOf(raw));
		this.#dispatch(raw, false);
	}

	#dispatch(raw: JsonObject, present: boolean): void {
		const policy = policyResourceOf(raw);
		if (policy !== undefined) {
			this.#policy(raw, policy, present);
			return;
		}
		const handler = handlers[String(raw['kind'])];
		handler?.(raw, present, this.#calculator, {
			slices: this.#slices,
			serviceUsers: this.#serviceUsers,
			read: (outcome) => this.#read(raw, outcome),
		});
	}

	#policy(raw: JsonObject, { convert }: PolicyResource, present: boolean): void {
		const id = idOf(raw);
		const before = this.#policies.get(id);
		const conversion = present ? convert(raw) : undefined;
		if (conversion !== undefined)
			this.#report(raw, conversion.type === 'policy' ? conversion.policy.problems : conversion.problems);
		this.#serviceUsers.delete(id);
		if (conversion?.type === 'policy') {
			if (namesServices(conversion.policy)) this.#serviceUsers.add(id);
			this.#policies.set(id, conversion.policy);
			this.#calculator.setPolicy(conversion.policy);
		} else if (before !== undefined) {
			this.#policies.delete(id);
			this.#calculator.removePolicy(before.key);
		}
	}

	#read<T>(raw: JsonObject, outcome: Read<T>): T | undefined {
		this.#report(raw, outcome.problems);
		return outcome.type === 'value' ? outcome.value : undefined;
	}

	#report(raw: JsonObject, problems: readonly PolicyProblem[]): void {
		const id = idOf(raw);
		if (problems.length === 0) this.#problems.delete(id);
		else this.#problems.set(id, { subject: subjectOf(raw), object: referenceOf(raw), problems });
	}
}

interface HandlerContext {
	readonly slices: Map<string, EndpointSliceFacts>;
	/** Resources whose rules name services. */
	readonly serviceUsers: Set<string>;
	/** Reports the problems of a resource; `undefined`: it is refused. */
	readonly read: <T>(outcome: Read<T>) => T | undefined;
}

type Handler = (raw: JsonObject, present: boolean, calculator: PolicyCalculator, context: HandlerContext) => void;

/** What each kind that is no policy does to the calculation. */
const handlers: Readonly<Record<string, Handler>> = {
	Pod(raw, present, calculator) {
		const pod = present ? toPodFacts(raw) : undefined;
		const { namespace, name } = metadataOf(raw);
		if (pod === undefined) calculator.removePod(`${namespace}/${name}`);
		else calculator.setPod(pod);
	},
	Namespace(raw, present, calculator) {
		const { name, labels } = metadataOf(raw);
		calculator.setNamespace(name, present ? labels : undefined);
	},
	ServiceAccount(raw, present, calculator) {
		const { name, namespace = 'default', labels } = metadataOf(raw);
		calculator.setServiceAccount(namespace, name, present ? labels : undefined);
	},
	Node(raw, present, calculator) {
		calculator.setNode(metadataOf(raw).name, present ? nodeAddresses(raw) : []);
	},
	NetworkSet: networkSet,
	GlobalNetworkSet: networkSet,
	HostEndpoint(raw, present, calculator, { read }) {
		const host = present ? read(toHostEndpoint(raw)) : undefined;
		if (host === undefined) calculator.removeHostEndpoint(metadataOf(raw).name);
		else calculator.setHostEndpoint(host);
	},
	Profile(raw, present, calculator, { read, serviceUsers }) {
		const profile = present ? read(toProfile(raw)) : undefined;
		serviceUsers.delete(idOf(raw));
		if (profile === undefined) calculator.removeProfile(metadataOf(raw).name);
		else {
			if (namesServices(profile)) serviceUsers.add(idOf(raw));
			calculator.setProfile(profile);
		}
	},
	Tier(raw, present, calculator, { read }) {
		const tier = present ? read(toTier(raw)) : undefined;
		if (tier === undefined) calculator.removeTier(metadataOf(raw).name);
		else calculator.setTier(tier);
	},
	EndpointSlice(raw, present, calculator, { slices }) {
		const { namespace, name } = metadataOf(raw);
		const key = `${namespace}/${name}`;
		const before = slices.get(key);
		const after = present ? toEndpointSlice(raw) : undefined;
		if (before !== undefined && before.service !== after?.service) calculator.removeSlice(before);
		if (after === undefined) slices.delete(key);
		else {
			slices.set(key, after);
			calculator.setSlice(after);
		}
	},
};

const namesServices = ({ sets }: Pick<PolicyModel, 'sets'>): boolean =>
	[...sets.values()].some(({ type }) => type === 'service-ports' || type === 'service-addresses');

function networkSet(raw: JsonObject, present: boolean, calculator: PolicyCalculator, { read }: HandlerContext): void {
	const { namespace, name } = metadataOf(raw);
	const set = present ? read(toNetworkSet(raw)) : undefined;
	if (set === undefined) calculator.removeNetworkSet(namespace, name);
	else calculator.setNetworkSet(set);
}

/** Annotations of Calico with addresses that packets between nodes carry. */
const addressAnnotations = [
	'projectcalico.org/IPv4Address',
	'projectcalico.org/IPv6Address',
	'projectcalico.org/IPv4IPIPTunnelAddr',
	'projectcalico.org/IPv4VXLANTunnelAddr',
	'projectcalico.org/IPv6VXLANTunnelAddr',
	'projectcalico.org/IPv4WireguardInterfaceAddr',
	'projectcalico.org/IPv6WireguardInterfaceAddr',
];

/** The addresses of a Node: of its status and of Calico's annotations. */
export function nodeAddresses(raw: JsonObject): readonly string[] {
	const annotations = objectAt(raw, 'metadata', 'annotations');
	const texts = [
		...arrayAt(raw, 'status', 'addresses').map((entry) =>
			isObject(entry) && entry['type'] !== 'Hostname' ? textAt(entry, 'address') : undefined,
		),
		...addressAnnotations.map((name) => textAt(annotations, name)),
	];
	const addresses = texts.flatMap((text) => {
		try {
			return text === undefined || text === '' ? [] : [canonicalAddress(text.replace(/\/\d+$/, ''))];
		} catch (error) {
			if (error instanceof AddressError) return [];
			throw error;
		}
	});
	return [...new Set(addresses)];
}

/** `KIND NAMESPACE/NAME` or `KIND NAME`. */
function subjectOf(raw: JsonObject): string {
	const { namespace, name } = metadataOf(raw);
	return `${String(raw['kind'])} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

function referenceOf(raw: JsonObject): ResourceReference {
	const { name, namespace } = metadataOf(raw);
	const uid = textAt(raw, 'metadata', 'uid');
	return {
		apiVersion: textAt(raw, 'apiVersion') ?? '',
		kind: textAt(raw, 'kind') ?? '',
		name,
		...(namespace === undefined ? {} : { namespace }),
		...(uid === undefined ? {} : { uid }),
	};
}

/** Kinds of two groups share names: `networking.k8s.io NetworkPolicy prod/web`. */
const idOf = (raw: JsonObject): string => `${String(raw['apiVersion']).split('/')[0]} ${subjectOf(raw)}`;
