import { type Family, type PrefixKey, prefixKey } from '../../core/index.ts';
import { arrayAt, at, isObject, type JsonObject, type JsonValue, objectAt, textAt } from '../../json/index.ts';
import type { ServiceKey, ServiceProtocol } from '../model.ts';
import { canonicalOrUndefined, familyOfAddress } from './addresses.ts';

/** One entry of `spec.ports`. */
export interface ServiceSpecPort {
	/** Empty where the service has a single port without a name. */
	readonly name: string;
	readonly port: number;
	readonly protocol: ServiceProtocol;
	/** Absent: none, also where the type of the service has no node ports. */
	readonly nodePort?: number;
}

/** A load balancer address of `status.loadBalancer.ingress`. */
export interface IngressAddress {
	readonly address: string;
	/** `ipMode: VIP`, the default. With `Proxy` packets must go to the load balancer itself. */
	readonly isVip: boolean;
}

/** A Service as the rest of this folder reads it. Addresses are in canonical text. */
export interface ServiceSpec {
	readonly key: ServiceKey;
	readonly namespace: string;
	readonly name: string;
	readonly uid: string;
	/** RFC 3339 text; of two services with one address and port the older one has it. */
	readonly createdAt: string;
	readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
	/** At most one per family. */
	readonly clusterIps: Readonly<Partial<Record<Family, string>>>;
	readonly externalIps: readonly string[];
	readonly ingress: readonly IngressAddress[];
	readonly ports: readonly ServiceSpecPort[];
	readonly internalLocal: boolean;
	/** `externalTrafficPolicy: Local` on a service that is reachable from outside. */
	readonly externalLocal: boolean;
	/** Absent: no session affinity. */
	readonly affinityTimeoutSeconds?: number;
	/** `spec.loadBalancerSourceRanges` of both families. Empty: every source. */
	readonly sourceRanges: readonly PrefixKey[];
	/**
	 * Text in `spec.loadBalancerSourceRanges` or an address field that does not parse; it has no
	 * effect.
	 */
	readonly unreadable: readonly string[];
	readonly healthCheckNodePort?: number;
}

/** Why a Service has no part in the model. */
export type Ignored = 'headless' | 'external-name' | 'other-proxy' | 'no-cluster-ip' | 'malformed';

/**
 * Reads a Service, or why it is not handled. kube-proxy: labels filtered by its informers,
 * `ShouldSkipService`.
 */
export function parseService(raw: JsonObject): ServiceSpec | Ignored {
	const name = textAt(raw, 'metadata', 'name');
	const namespace = textAt(raw, 'metadata', 'namespace') ?? 'default';
	if (name === undefined) return 'malformed';
	const labelled = ignoredByLabel(raw);
	if (labelled !== undefined) return labelled;
	const spec = objectAt(raw, 'spec');
	const type = textAt(spec, 'type') ?? 'ClusterIP';
	if (type === 'ExternalName') return 'external-name';
	if (type !== 'ClusterIP' && type !== 'NodePort' && type !== 'LoadBalancer') return 'malformed';
	if (textAt(spec, 'clusterIP') === 'None' || arrayAt(spec, 'clusterIPs')[0] === 'None') return 'headless';

	const unreadable: string[] = [];
	const clusterIps = clusterIpsOf(spec, unreadable);
	if (clusterIps.ipv4 === undefined && clusterIps.ipv6 === undefined) return 'no-cluster-ip';
	const externalIps = distinct(texts(arrayAt(spec, 'externalIPs')).flatMap((text) => canonical(text, unreadable)));
	const accessible = type !== 'ClusterIP' || externalIps.length > 0;
	const externalLocal = accessible && textAt(spec, 'externalTrafficPolicy') === 'Local';
	const healthCheckNodePort = at(spec, 'healthCheckNodePort');
	const isAffine = textAt(spec, 'sessionAffinity') === 'ClientIP';
	return {
		key: `${namespace}/${name}`,
		namespace,
		name,
		uid: textAt(raw, 'metadata', 'uid') ?? '',
		createdAt: textAt(raw, 'metadata', 'creationTimestamp') ?? '',
		type,
		clusterIps,
		externalIps,
		ingress: type === 'LoadBalancer' ? ingressOf(raw, unreadable) : [],
		ports: arrayAt(spec, 'ports')
			.filter(isObject)
			.flatMap((port) => portOf(port, type)),
		internalLocal: textAt(spec, 'internalTrafficPolicy') === 'Local',
		externalLocal,
		...(isAffine ? { affinityTimeoutSeconds: affinityTimeout(spec) } : {}),
		sourceRanges: type === 'LoadBalancer' ? sourceRangesOf(spec, unreadable) : [],
		unreadable,
		...(type === 'LoadBalancer' && externalLocal && typeof healthCheckNodePort === 'number' && healthCheckNodePort > 0
			? { healthCheckNodePort }
			: {}),
	};
}

/** The labels with which a Service or an EndpointSlice is left to others; any value counts. */
export function ignoredByLabel(raw: JsonObject): 'other-proxy' | 'headless' | undefined {
	const labels = objectAt(raw, 'metadata', 'labels');
	if (labels['service.kubernetes.io/service-proxy-name'] !== undefined) return 'other-proxy';
	return labels['service.kubernetes.io/headless'] === undefined ? undefined : 'headless';
}

/**
 * Of a Service what `parseService` and the address allocation read; annotations and labels stay.
 */
export function pruneService(raw: JsonObject): JsonObject {
	const { managedFields: _, ...metadata } = objectAt(raw, 'metadata');
	return { metadata, spec: objectAt(raw, 'spec'), status: { loadBalancer: objectAt(raw, 'status', 'loadBalancer') } };
}

/** Default of the API for `sessionAffinityConfig.clientIP.timeoutSeconds`. */
const defaultAffinitySeconds = 10_800;

function affinityTimeout(spec: JsonObject): number {
	const seconds = at(spec, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds');
	return typeof seconds === 'number' && seconds > 0 ? seconds : defaultAffinitySeconds;
}

function clusterIpsOf(spec: JsonObject, unreadable: string[]): Partial<Record<Family, string>> {
	const listed = texts(arrayAt(spec, 'clusterIPs'));
	const single = textAt(spec, 'clusterIP');
	const candidates = listed.length > 0 ? listed : single === undefined ? [] : [single];
	const byFamily: Partial<Record<Family, string>> = {};
	for (const text of candidates.filter((candidate) => candidate !== ''))
		for (const address of canonical(text, unreadable)) byFamily[familyOfAddress(address)] ??= address;
	return byFamily;
}

function ingressOf(raw: JsonObject, unreadable: string[]): IngressAddress[] {
	const byAddress = new Map<string, IngressAddress>();
	for (const entry of arrayAt(raw, 'status', 'loadBalancer', 'ingress').filter(isObject)) {
		const text = textAt(entry, 'ip') ?? '';
		const mode = textAt(entry, 'ipMode');
		// Without an address there is a host name alone: nothing to program.
		for (const address of text === '' ? [] : canonical(text, unreadable))
			byAddress.set(address, { address, isVip: mode === undefined || mode === 'VIP' });
	}
	return [...byAddress.values()];
}

const protocols: Readonly<Record<string, ServiceProtocol>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' };

/** A protocol as the API names it; absent means TCP. */
export const protocolOf = (text: string | undefined): ServiceProtocol | undefined => protocols[text ?? 'TCP'];

function portOf(entry: JsonObject, type: ServiceSpec['type']): ServiceSpecPort[] {
	const protocol = protocolOf(textAt(entry, 'protocol'));
	const { port, nodePort } = entry;
	if (protocol === undefined || typeof port !== 'number') return [];
	const hasNodePort = type !== 'ClusterIP' && typeof nodePort === 'number' && nodePort > 0;
	return [{ name: textAt(entry, 'name') ?? '', port, protocol, ...(hasNodePort ? { nodePort } : {}) }];
}

function sourceRangesOf(spec: JsonObject, unreadable: string[]): PrefixKey[] {
	return distinct(
		texts(arrayAt(spec, 'loadBalancerSourceRanges')).flatMap((text) => {
			try {
				// The API accepts blanks around a range.
				return [prefixKey(text.trim(), 'clear')];
			} catch {
				unreadable.push(text);
				return [];
			}
		}),
	);
}

/** The address in canonical text, or nothing and a note. */
function canonical(text: string, unreadable: string[]): string[] {
	const address = canonicalOrUndefined(text);
	if (address === undefined) unreadable.push(text);
	return address === undefined ? [] : [address];
}

const distinct = <T>(items: readonly T[]): T[] => [...new Set(items)];

const texts = (values: readonly JsonValue[]): string[] =>
	values.filter((value): value is string => typeof value === 'string');
