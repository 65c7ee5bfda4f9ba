/** Calico's BGP resources as values, with the defaults of Calico's own API. */
import { AddressError, canonicalAddress, type PrefixKey, prefixKey } from '../../core/index.ts';
import type { JsonObject } from '../json/index.ts';
import { isObject, objectAt } from '../json/index.ts';
import { parseSelector, SelectorError } from '../selector/parse.ts';
import { flagOr, numberOf, objectsOf, textOf, textsOf } from './fields.ts';
import { parseAsNumber } from './node.ts';
import { type Resource, ResourceError, specOf } from './resource.ts';

/** A key in a Secret of Calico's namespace. */
export interface SecretKey {
	readonly name: string;
	readonly key: string;
}

/** `bgpconfigurations/default` with `node.<name>` over it. */
export interface BgpConfiguration {
	readonly nodeToNodeMesh: boolean;
	readonly asNumber: number;
	readonly listenPort: number;
	/** `bindMode: NodeIP`: sessions are accepted at the node's address alone. */
	readonly bindToNodeAddress: boolean;
	readonly meshPassword: SecretKey | undefined;
	readonly meshRestartSeconds: number;
	readonly serviceClusterCidrs: readonly PrefixKey[];
	readonly serviceExternalCidrs: readonly PrefixKey[];
	readonly serviceLoadBalancerCidrs: readonly PrefixKey[];
	/** The node's addresses that pods are told to peer with: Felix puts them on the pods' interfaces. Canonical. */
	readonly localWorkloadPeering: { readonly ipv4: string | undefined; readonly ipv6: string | undefined };
	/** Names of communities, to their values. */
	readonly communities: Readonly<Record<string, string>>;
	readonly prefixAdvertisements: readonly { readonly prefix: PrefixKey; readonly communities: readonly string[] }[];
	readonly programClusterRoutes: 'Enabled' | 'Disabled' | 'EnabledIPIPOnly' | 'EnabledNoEncapOnly';
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
	localWorkloadPeering: { ipv4: undefined, ipv6: undefined },
	communities: {},
	prefixAdvertisements: [],
	programClusterRoutes: 'EnabledNoEncapOnly',
};

/** Reads the configuration that holds for one node. Mesh, AS number and services are the cluster's alone. @throws ResourceError */
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
		listenPort: numberOf(own, 'listenPort') ?? numberOf(base, 'listenPort') ?? listenPort,
		bindToNodeAddress: textOf(base, 'bindMode') === 'NodeIP',
		meshPassword: secretKeyOf(objectAt(base, 'nodeMeshPassword')),
		meshRestartSeconds: secondsOf(base, 'nodeMeshMaxRestartTime') ?? meshRestartSeconds,
		serviceClusterCidrs: cidrsOf(cluster, base, 'serviceClusterIPs'),
		serviceExternalCidrs: cidrsOf(cluster, base, 'serviceExternalIPs'),
		serviceLoadBalancerCidrs: cidrsOf(cluster, base, 'serviceLoadBalancerIPs'),
		localWorkloadPeering: { ipv4: peeringAddress(cluster, base, 'localWorkloadPeeringIPV4'), ipv6: peeringAddress(cluster, base, 'localWorkloadPeeringIPV6') },
		// Those that a node's own advertisements name may be in its own resource.
		communities: Object.fromEntries([base, own].flatMap((spec) => objectsOf(spec, 'communities')).flatMap((entry) => pairOf(entry))),
		prefixAdvertisements: objectsOf(advertisements, 'prefixAdvertisements').map((entry) => ({
			prefix: cidrIn(resource, entry),
			communities: textsOf(entry, 'communities'),
		})),
		programClusterRoutes: program === 'Enabled' || program === 'Disabled' || program === 'EnabledIPIPOnly' ? program : programClusterRoutes,
	};
}

const peeringAddress = (resource: Resource | undefined, spec: JsonObject, key: string): string | undefined =>
	addressIn(resource?.name ?? 'default', key, textOf(spec, key) || undefined);

function pairOf(entry: JsonObject): [string, string][] {
	const name = textOf(entry, 'name');
	const value = textOf(entry, 'value');
	return name === undefined || value === undefined ? [] : [[name, value]];
}

const cidrsOf = (resource: Resource | undefined, spec: JsonObject, key: string): PrefixKey[] => objectsOf(spec, key).map((entry) => cidrIn(resource, entry));

function cidrIn(resource: Resource | undefined, entry: JsonObject): PrefixKey {
	const text = textOf(entry, 'cidr') ?? '';
	try {
		return prefixKey(text, 'clear');
	} catch (error) {
		if (error instanceof AddressError) throw new ResourceError(resource?.name ?? 'default', error.message);
		throw error;
	}
}

/** A number, or text in plain or dotted notation. */
function asNumberOf(resource: Resource | undefined, spec: JsonObject, key: string): number | undefined {
	const value = spec[key];
	if (value === undefined || value === null || value === 0) return undefined;
	try {
		return parseAsNumber(String(value));
	} catch (error) {
		if (error instanceof RangeError) throw new ResourceError(resource?.name ?? 'default', `spec.${key}: ${error.message}`);
		throw error;
	}
}

function secretKeyOf(password: JsonObject): SecretKey | undefined {
	const reference = objectAt(password, 'secretKeyRef');
	const name = textOf(reference, 'name');
	const key = textOf(reference, 'key');
	return name === undefined || key === undefined ? undefined : { name, key };
}

/** Go's duration text (`2m0s`, `90s`, `1h30m`) in whole seconds, rounded as Calico does. */
export function secondsOf(spec: JsonObject, key: string): number | undefined {
	const text = textOf(spec, key);
	if (text === undefined || !/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(text)) return undefined;
	const units = { h: 3600, m: 60, s: 1, ms: 0.001 } as const;
	let seconds = 0;
	// The pattern above holds: every match has a number and one of the units.
	for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)) seconds += Number(amount) * units[unit as keyof typeof units];
	return Math.round(seconds);
}

/** A BGPPeer. */
export interface BgpPeer {
	readonly name: string;
	readonly node: string | undefined;
	readonly nodeSelector: string | undefined;
	/** Canonical address, with the port where one is given. */
	readonly peer: { readonly address: string; readonly port: number | undefined } | undefined;
	readonly peerSelector: string | undefined;
	/** The other sides are pods of the node, whatever else names one. */
	readonly localWorkloadSelector: string | undefined;
	readonly asNumber: number | undefined;
	readonly localAsNumber: number | undefined;
	/** `keep-external`: of `keepOriginalNextHop`, which Calico obeys towards other ASes alone. */
	readonly nextHopMode: 'auto' | 'self' | 'keep' | 'keep-external';
	readonly password: SecretKey | undefined;
	readonly useNodeAddress: boolean;
	readonly restartSeconds: number | undefined;
	readonly keepaliveSeconds: number | undefined;
	readonly allowOwnAs: number;
	readonly ttlSecurityHops: number | undefined;
	/** The gateway through which the peer is reached, canonical. */
	readonly reachableBy: string | undefined;
	readonly filters: readonly string[];
	readonly reversePeering: 'Auto' | 'Manual';
}

/** @throws ResourceError, also where a selector does not parse: nobody can tell then whom it is about */
export function toBgpPeer(resource: Resource): BgpPeer {
	const spec = specOf(resource);
	for (const key of ['nodeSelector', 'peerSelector', 'localWorkloadSelector']) checkSelector(resource, key, textOf(spec, key));
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
		restartSeconds: secondsOf(spec, 'maxRestartTime'),
		keepaliveSeconds: secondsOf(spec, 'keepaliveTime'),
		allowOwnAs: numberOf(spec, 'numAllowedLocalASNumbers') ?? 0,
		ttlSecurityHops: numberOf(spec, 'ttlSecurity') || undefined,
		reachableBy: addressIn(resource.name, 'reachableBy', textOf(spec, 'reachableBy') || undefined),
		filters: textsOf(spec, 'filters'),
		reversePeering: textOf(spec, 'reversePeering') === 'Manual' ? 'Manual' : 'Auto',
	};
}

/** The older `keepOriginalNextHop` counts where `nextHopMode` says nothing. */
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
		/^(?:\[([^\]]+)\]|([^:]+|[^:]*:[^:]*:.*?))(?::(\d{1,5}))?$/.exec(text.includes('[') || text.split(':').length <= 2 ? text : `[${text}]`) ?? [];
	try {
		return { address: canonicalAddress(bracketed ?? plain ?? text), port: port === undefined ? undefined : Number(port) };
	} catch (error) {
		if (error instanceof AddressError) throw new ResourceError(resource.name, `spec.peerIP: ${error.message}`);
		throw error;
	}
}
