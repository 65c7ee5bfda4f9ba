import { createHash } from 'node:crypto';
import { type Family, type PrefixKey, parseAddress, parsePrefix, prefixContains } from '../../core/index.ts';
import { arrayAt, at, isObject, type JsonObject, type JsonValue, textAt } from '../../json/index.ts';
import { canonicalOrUndefined, familyOfAddress } from '../resources/addresses.ts';

/**
 * Which Services get addresses: KubeControllersConfiguration
 * `spec.controllers.loadBalancer.assignIPs`.
 */
export type AssignMode = 'all-services' | 'requested-services-only';

/** What a Service is to get. */
export interface AddressRequest {
	/** Of the allocation; the same Service always has the same one, a Service made anew another. */
	readonly handleId: string;
	readonly families: readonly Family[];
	/** Certain addresses, by family; absent: any of the pools. */
	readonly addresses: Readonly<Partial<Record<Family, string>>>;
	/** Names or CIDRs of pools, by family; absent: every automatic pool. */
	readonly pools: Readonly<Partial<Record<Family, readonly string[]>>>;
}

/** What to do for a Service. */
export type AddressDecision =
	| { readonly type: 'assign'; readonly request: AddressRequest }
	/** It has no claim to an address of ours; one that it holds is released. */
	| { readonly type: 'release'; readonly handleId: string; readonly reason: string }
	/** An annotation does not parse: everything stays as it is. */
	| { readonly type: 'leave'; readonly reason: string };

/** `loadBalancerClass` of Services that Calico's and this allocation serve. */
export const loadBalancerClass = 'calico';

const annotation = {
	addresses: 'projectcalico.org/loadBalancerIPs',
	ipv4: 'projectcalico.org/ipv4pools',
	ipv6: 'projectcalico.org/ipv6pools',
} as const;

/**
 * The handle of a Service's addresses: Calico kube-controllers, `lb-` and base64url(sha256) of
 * `name-namespace-uid` in lower case, without '-', '_' and '.'.
 */
export function loadBalancerHandle(name: string, namespace: string, uid: string): string {
	const digest = createHash('sha256').update(`${name}-${namespace}-${uid}`.toLowerCase()).digest('base64url');
	return `lb-${digest.replaceAll(/[-_.]/g, '')}`.slice(0, 253);
}

/**
 * Decides for one Service. Preference: annotation of addresses, `spec.loadBalancerIP`, annotation
 * of pools, any pool.
 */
export function addressDecision(service: JsonObject, mode: AssignMode): AddressDecision {
	const name = textAt(service, 'metadata', 'name') ?? '';
	const namespace = textAt(service, 'metadata', 'namespace') ?? 'default';
	const handleId = loadBalancerHandle(name, namespace, textAt(service, 'metadata', 'uid') ?? '');
	const release = (reason: string): AddressDecision => ({ type: 'release', handleId, reason });
	if (
		textAt(service, 'metadata', 'deletionTimestamp') !== undefined &&
		arrayAt(service, 'metadata', 'finalizers').length === 0
	)
		return release('it is being deleted');
	if (textAt(service, 'spec', 'type') !== 'LoadBalancer') return release('its type is not LoadBalancer');
	const named = textAt(service, 'spec', 'loadBalancerClass');
	const hasRequest =
		Object.values(annotation).some((key) => textAt(service, 'metadata', 'annotations', key) !== undefined) ||
		(textAt(service, 'spec', 'loadBalancerIP') ?? '') !== '';
	if (named !== undefined && named !== loadBalancerClass) return release(`its loadBalancerClass is ${named}`);
	if (named === undefined && mode === 'requested-services-only' && !hasRequest)
		return release('it requests no address');
	const parsed = parseRequest(service);
	if ('problem' in parsed) return { type: 'leave', reason: parsed.problem };
	return { type: 'assign', request: { handleId, families: familiesOf(service, parsed.addresses), ...parsed } };
}

type Parsed = Pick<AddressRequest, 'addresses' | 'pools'>;

function parseRequest(service: JsonObject): Parsed | { readonly problem: string } {
	const addresses: Partial<Record<Family, string>> = {};
	const listed = listIn(service, annotation.addresses);
	if (listed === 'malformed') return { problem: `annotation ${annotation.addresses} is no JSON list of text` };
	const single = textAt(service, 'spec', 'loadBalancerIP') ?? '';
	for (const text of listed ?? (single === '' ? [] : [single])) {
		const address = canonicalOrUndefined(text);
		if (address === undefined) return { problem: `'${text}' is no address` };
		const family = familyOfAddress(address);
		if (addresses[family] !== undefined) return { problem: `two addresses of ${family} are requested` };
		addresses[family] = address;
	}
	if (Object.keys(addresses).length > 0) return { addresses, pools: {} };
	const pools: Partial<Record<Family, readonly string[]>> = {};
	for (const family of ['ipv4', 'ipv6'] as const) {
		const names = listIn(service, annotation[family]);
		if (names === 'malformed') return { problem: `annotation ${annotation[family]} is no JSON list of text` };
		if (names !== undefined && names.length > 0) pools[family] = names;
	}
	return { addresses, pools };
}

/** Those of `spec.ipFamilies`; of certain addresses the families of these. */
function familiesOf(service: JsonObject, addresses: Parsed['addresses']): Family[] {
	const requested = (['ipv4', 'ipv6'] as const).filter((family) => addresses[family] !== undefined);
	if (requested.length > 0) return requested;
	const listed = arrayAt(service, 'spec', 'ipFamilies').flatMap((family): Family[] =>
		family === 'IPv4' ? ['ipv4'] : family === 'IPv6' ? ['ipv6'] : [],
	);
	return listed.length === 0 ? ['ipv4'] : listed;
}

function listIn(service: JsonObject, key: string): readonly string[] | 'malformed' | undefined {
	const text = at(service, 'metadata', 'annotations', key);
	if (typeof text !== 'string') return undefined;
	try {
		const value: unknown = JSON.parse(text);
		return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : 'malformed';
	} catch {
		return 'malformed';
	}
}

/**
 * The list `status.loadBalancer.ingress` with our addresses: entries outside of the pools for load
 * balancers are another controller's and stay. `undefined`: it is right as it is. Pure.
 */
export function ingressWith(
	service: JsonObject,
	addresses: readonly string[],
	poolCidrs: readonly PrefixKey[],
): readonly JsonValue[] | undefined {
	const prefixes = poolCidrs.map((cidr) => parsePrefix(cidr));
	const before = arrayAt(service, 'status', 'loadBalancer', 'ingress');
	const isOurs = (entry: JsonValue): boolean => {
		const address = isObject(entry) ? canonicalOrUndefined(textAt(entry, 'ip') ?? '') : undefined;
		return address !== undefined && prefixes.some((prefix) => prefixContains(prefix, parseAddress(address)));
	};
	const ipOf = (entry: JsonValue): string => (isObject(entry) ? (textAt(entry, 'ip') ?? '') : '');
	const ours = before.filter(isOurs).map(ipOf);
	if (ours.length === addresses.length && addresses.every((address) => ours.includes(address))) return undefined;
	return [...before.filter((entry) => !isOurs(entry)), ...addresses.map((ip) => ({ ip }))];
}
