/** Calico's BGP resources as values, with the defaults of Calico's own API. */
import type { PeerOptions } from '../../bgp/index.ts';
import { AddressError, canonicalAddress, type PrefixKey, prefixKey } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import { isObject, objectAt } from '../../json/index.ts';
import { parseSelector, SelectorError } from '../../selector/index.ts';
import { flagOr, objectsOf, strictFields, textOf, textsOf } from './fields.ts';
import { parseAsNumber } from './node.ts';
import { type Resource, ResourceError, specOf } from './resource.ts';

/** A key in a Secret of Calico's namespace. */
export interface SecretKey {
	readonly name: string;
	readonly key: string;
}

/** `bgpconfigurations/default`, overridden by `node.<name>`. */
export interface BgpConfiguration {
	readonly nodeToNodeMesh: boolean;
	readonly asNumber: number;
	readonly listenPort: number;
	/** `bindMode: NodeIP`: sessions are accepted only at the node's address. */
	readonly bindToNodeAddress: boolean;
	readonly meshPassword: SecretKey | undefined;
	readonly meshRestartSeconds: number;
	readonly serviceClusterCidrs: readonly PrefixKey[];
	readonly serviceExternalCidrs: readonly PrefixKey[];
	readonly serviceLoadBalancerCidrs: readonly PrefixKey[];
	/**
	 * Ranges of load balancer addresses are announced as ranges; `false`: only single addresses.
	 */
	readonly serviceLoadBalancerAggregation: boolean;
	/**
	 * The node's addresses for sessions with pods: Felix assigns them to the pods' interfaces.
	 * Canonical.
	 */
	readonly localWorkloadPeering: { readonly ipv4: string | undefined; readonly ipv6: string | undefined };
	/** Community values by name. */
	readonly communities: Readonly<Record<string, string>>;
	readonly prefixAdvertisements: readonly { readonly prefix: PrefixKey; readonly communities: readonly string[] }[];
	readonly programClusterRoutes: 'Enabled' | 'Disabled' | 'EnabledIPIPOnly' | 'EnabledNoEncapOnly';
	/**
	 * `ipv4NormalRoutePriority`, `ipv6NormalRoutePriority`: the metric of ordinary routes to
	 * workloads; a lower one is that of a virtual machine that migrates. `undefined`: that of
	 * FelixConfiguration.
	 */
	readonly normalPriority: { readonly ipv4: number | undefined; readonly ipv6: number | undefined };
}

/** Calico's defaults. */
export const defaultBgpConfiguration: BgpConfiguration = {
	nodeToNodeMesh: true,
	asNumber: 64512,
	listenPort: 179,
	bindToNodeAddress: false,
	meshPassword: undefined,
	meshRestartSeconds: 120,
	serviceClusterCidrs: [],
	serviceExternalCidrs: [],
	serviceLoadBalancerCidrs: [],
	serviceLoadBalancerAggregation: true,
	localWorkloadPeering: { ipv4: undefined, ipv6: undefined },
	communities: {},
	prefixAdvertisements: [],
	programClusterRoutes: 'EnabledNoEncapOnly',
	normalPriority: { ipv4: undefined, ipv6: undefined },
};

/**
 * The effective configuration of one node. Mesh, AS number and service settings come only from the
 * cluster's resource. @throws ResourceError
 */
export function toBgpConfiguration(cluster: Resource | undefined, ofNode: Resource | undefined): BgpConfiguration {
	const base = cluster === undefined ? {} : specOf(cluster);
	const own = ofNode === undefined ? {} : specOf(ofNode);
	const resource = ofNode ?? cluster;
	const advertisements = objectsOf(own, 'prefixAdvertisements').length > 0 ? own : base;
	const program = textOf(base, 'programClusterRoutes');
	const { asNumber, listenPort, meshRestartSeconds, programClusterRoutes } = defaultBgpConfiguration;
	return {
		nodeToNodeMesh: flagOr(base, 'nodeToNodeMeshEnabled', true),
		asNumber: asNumberOf(cluster, base, 'asNumber') ?? asNumber,
		listenPort:
			integerOf(ofNode, own, 'listenPort', 1, mostPort) ??
			integerOf(cluster, base, 'listenPort', 1, mostPort) ??
			listenPort,
		bindToNodeAddress: textOf(base, 'bindMode') === 'NodeIP',
		meshPassword: secretKeyOf(objectAt(base, 'nodeMeshPassword')),
		meshRestartSeconds:
			boundedSeconds(cluster, base, 'nodeMeshMaxRestartTime', mostRestartSeconds) ?? meshRestartSeconds,
		serviceClusterCidrs: cidrsOf(cluster, base, 'serviceClusterIPs'),
		serviceExternalCidrs: cidrsOf(cluster, base, 'serviceExternalIPs'),
		serviceLoadBalancerCidrs: cidrsOf(cluster, base, 'serviceLoadBalancerIPs'),
		serviceLoadBalancerAggregation: textOf(base, 'serviceLoadBalancerAggregation') !== 'Disabled',
		localWorkloadPeering: {
			ipv4: peeringAddress(cluster, base, 'localWorkloadPeeringIPV4'),
			ipv6: peeringAddress(cluster, base, 'localWorkloadPeeringIPV6'),
		},
		// A node's own resource may define the communities of its own advertisements.
		communities: Object.fromEntries(
			[base, own].flatMap((spec) => objectsOf(spec, 'communities')).flatMap((entry) => pairOf(entry)),
		),
		prefixAdvertisements: objectsOf(advertisements, 'prefixAdvertisements').map((entry) => ({
			prefix: cidrIn(resource, entry),
			communities: textsOf(entry, 'communities'),
		})),
		programClusterRoutes:
			program === 'Enabled' || program === 'Disabled' || program === 'EnabledIPIPOnly' ? program : programClusterRoutes,
		normalPriority: {
			ipv4: integerOf(cluster, base, 'ipv4NormalRoutePriority', 1, mostPriority),
			ipv6: integerOf(cluster, base, 'ipv6NormalRoutePriority', 1, mostPriority),
		},
	};
}

const peeringAddress = (resource: Resource | undefined, spec: JsonObject, key: string): string | undefined =>
	addressIn(resource?.name ?? 'default', key, textOf(spec, key) || undefined);

function pairOf(entry: JsonObject): [string, string][] {
	const name = textOf(entry, 'name');
	const value = textOf(entry, 'value');
	return name === undefined || value === undefined ? [] : [[name, value]];
}

const cidrsOf = (resource: Resource | undefined, spec: JsonObject, key: string): PrefixKey[] =>
	objectsOf(spec, key)
		// Calico skips an entry without a CIDR.
		.filter((entry) => textOf(entry, 'cidr') !== '')
		.map((entry) => cidrIn(resource, entry));

function cidrIn(resource: Resource | undefined, entry: JsonObject): PrefixKey {
	const text = textOf(entry, 'cidr') ?? '';
	try {
		return prefixKey(text, 'clear');
	} catch (error) {
		if (error instanceof AddressError) throw new ResourceError(resource?.name ?? 'default', error.message);
		throw error;
	}
}

/** A number, or text in asplain or asdot notation. */
function asNumberOf(resource: Resource | undefined, spec: JsonObject, key: string): number | undefined {
	const value = spec[key];
	if (value === undefined || value === null || value === 0) return undefined;
	if (typeof value !== 'number' && typeof value !== 'string' && typeof value !== 'bigint')
		throw new ResourceError(resource?.name ?? 'default', `spec.${key} is neither a number nor text`);
	try {
		return parseAsNumber(String(value));
	} catch (error) {
		if (error instanceof RangeError)
			throw new ResourceError(resource?.name ?? 'default', `spec.${key}: ${error.message}`);
		throw error;
	}
}

function secretKeyOf(password: JsonObject): SecretKey | undefined {
	const reference = objectAt(password, 'secretKeyRef');
	const name = textOf(reference, 'name');
	const key = textOf(reference, 'key');
	return name === undefined || key === undefined ? undefined : { name, key };
}

/** Converts a Go duration (`2m0s`, `90s`, `1h30m`) to whole seconds, rounded as in Calico. */
function secondsOf(spec: JsonObject, key: string): number | undefined {
	const text = textOf(spec, key);
	if (text === undefined || !/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(text)) return undefined;
	const units = { h: 3600, m: 60, s: 1, ms: 0.001 } as const;
	let seconds = 0;
	// The pattern above guarantees a number and a unit in each match.
	for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g))
		seconds += Number(amount) * units[unit as keyof typeof units];
	return Math.round(seconds);
}

const mostPort = 65_535;
/** RFC 4724 §3: the restart time has 12 bits. */
const mostRestartSeconds = 4095;
/** The hold time, three times this, has 16 bits (RFC 4271 §4.2). */
const mostKeepaliveSeconds = 21_845;
const mostAllowedOwnAs = 255;
/** Calico's bound of route metrics: each is a LOCAL_PREF of at least 1. */
const mostPriority = 2_147_483_646;

/** @throws ResourceError outside the bounds (inclusive), or for another type */
function integerOf(
	resource: Resource | undefined,
	spec: JsonObject,
	key: string,
	least: number,
	most: number,
): number | undefined {
	return strictFields('spec', (problem) => {
		throw new ResourceError(resource?.name ?? 'default', problem);
	}).integer(spec, key, least, most);
}

function boundedSeconds(
	resource: Resource | undefined,
	spec: JsonObject,
	key: string,
	most: number,
): number | undefined {
	const seconds = secondsOf(spec, key);
	if (seconds === undefined && (spec[key] ?? undefined) !== undefined)
		throw new ResourceError(resource?.name ?? 'default', `spec.${key} is no duration such as 120s`);
	if (seconds !== undefined && seconds > most)
		throw new ResourceError(resource?.name ?? 'default', `spec.${key} is more than ${most} seconds`);
	return seconds;
}

/** A BGPPeer. */
export interface BgpPeer {
	readonly name: string;
	readonly node: string | undefined;
	readonly nodeSelector: string | undefined;
	/** Canonical address; the port if given. */
	readonly peer: { readonly address: string; readonly port: number | undefined } | undefined;
	readonly peerSelector: string | undefined;
	/** The peers are pods of the node, regardless of other peer fields. */
	readonly localWorkloadSelector: string | undefined;
	readonly asNumber: number | undefined;
	readonly localAsNumber: number | undefined;
	/** `keep-external`: `keepOriginalNextHop`, which Calico applies only towards other ASes. */
	readonly nextHopMode: 'auto' | 'self' | 'keep' | 'keep-external';
	readonly password: SecretKey | undefined;
	readonly useNodeAddress: boolean;
	/** Options of the session that follow from one field alone, the same on both sides. */
	readonly options: Partial<PeerOptions>;
	/** The gateway to the peer, canonical. */
	readonly reachableBy: string | undefined;
	readonly filters: readonly string[];
	readonly reversePeering: 'Auto' | 'Manual';
}

/**
 * The fields of a BGPPeer that determine options of the session: one row for each field. An absent
 * field gives none.
 */
const optionFields: readonly ((resource: Resource, spec: JsonObject) => Partial<PeerOptions>)[] = [
	(resource, spec) => {
		const restartSeconds = boundedSeconds(resource, spec, 'maxRestartTime', mostRestartSeconds);
		return restartSeconds === undefined ? {} : { gracefulRestart: { restartSeconds, notification: true } };
	},
	(resource, spec) => {
		const seconds = boundedSeconds(resource, spec, 'keepaliveTime', mostKeepaliveSeconds);
		return seconds === undefined ? {} : { holdTimeSeconds: seconds * 3 };
	},
	(resource, spec) => {
		const allowOwnAs = integerOf(resource, spec, 'numAllowedLocalASNumbers', 0, mostAllowedOwnAs);
		return allowOwnAs === undefined ? {} : { allowOwnAs };
	},
	(resource, spec) => {
		const ttlSecurityHops = integerOf(resource, spec, 'ttlSecurity', 0, 255) ?? 0;
		// GTSM sends TTL 255 itself.
		return ttlSecurityHops === 0 ? {} : { ttlSecurityHops, multihopTtl: undefined };
	},
];

/** @throws ResourceError, also if a selector does not parse */
export function toBgpPeer(resource: Resource): BgpPeer {
	const spec = specOf(resource);
	for (const key of ['nodeSelector', 'peerSelector', 'localWorkloadSelector'])
		checkSelector(resource, key, textOf(spec, key));
	return {
		name: resource.name,
		node: textOf(spec, 'node') || undefined,
		nodeSelector: textOf(spec, 'nodeSelector') || undefined,
		peer: peerAddress(resource, textOf(spec, 'peerIP') || undefined),
		peerSelector: textOf(spec, 'peerSelector') || undefined,
		localWorkloadSelector: textOf(spec, 'localWorkloadSelector') || undefined,
		asNumber: asNumberOf(resource, spec, 'asNumber'),
		localAsNumber: asNumberOf(resource, spec, 'localASNumber'),
		nextHopMode: nextHopModeOf(spec),
		password: secretKeyOf(isObject(spec['password']) ? spec['password'] : {}),
		useNodeAddress: textOf(spec, 'sourceAddress') !== 'None',
		options: Object.assign({}, ...optionFields.map((read) => read(resource, spec))),
		reachableBy: addressIn(resource.name, 'reachableBy', textOf(spec, 'reachableBy') || undefined),
		filters: textsOf(spec, 'filters'),
		reversePeering: textOf(spec, 'reversePeering') === 'Manual' ? 'Manual' : 'Auto',
	};
}

/** The older `keepOriginalNextHop` applies if `nextHopMode` is absent. */
function nextHopModeOf(spec: JsonObject): BgpPeer['nextHopMode'] {
	switch (textOf(spec, 'nextHopMode')) {
		case 'Self':
			return 'self';
		case 'Keep':
			return 'keep';
		case undefined:
			return flagOr(spec, 'keepOriginalNextHop', false) ? 'keep-external' : 'auto';
		default:
			return 'auto';
	}
}

function checkSelector(resource: Resource, key: string, text: string | undefined): void {
	try {
		if (text !== undefined) parseSelector(text);
	} catch (error) {
		if (error instanceof SelectorError) throw new ResourceError(resource.name, `spec.${key}: ${error.message}`);
		throw error;
	}
}

function addressIn(resource: string, key: string, text: string | undefined): string | undefined {
	try {
		return text === undefined ? undefined : canonicalAddress(text);
	} catch (error) {
		if (error instanceof AddressError) throw new ResourceError(resource, `spec.${key}: ${error.message}`);
		throw error;
	}
}

/** `10.0.0.1`, `10.0.0.1:1790`, `fd00::1`, `[fd00::1]:1790`. */
function peerAddress(resource: Resource, text: string | undefined): BgpPeer['peer'] {
	if (text === undefined) return undefined;
	const [, bracketed, plain, port] =
		/^(?:\[([^\]]+)\]|([^:]+|[^:]*:[^:]*:.*?))(?::(\d{1,5}))?$/.exec(
			text.includes('[') || text.split(':').length <= 2 ? text : `[${text}]`,
		) ?? [];
	const number = port === undefined ? undefined : Number(port);
	if (number !== undefined && (number < 1 || number > mostPort))
		throw new ResourceError(resource.name, `spec.peerIP: port ${number} is not from 1 to ${mostPort}`);
	try {
		return { address: canonicalAddress(bracketed ?? plain ?? text), port: number };
	} catch (error) {
		if (error instanceof AddressError) throw new ResourceError(resource.name, `spec.peerIP: ${error.message}`);
		throw error;
	}
}
