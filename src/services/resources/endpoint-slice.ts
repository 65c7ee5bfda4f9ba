import type { Family } from '../../core/index.ts';
import { arrayAt, at, isObject, type JsonObject, objectAt, textAt } from '../../json/index.ts';
import type { ServiceKey, ServiceProtocol } from '../model.ts';
import { canonicalOrUndefined, familyOfAddress } from './addresses.ts';
import { ignoredByLabel, protocolOf } from './service.ts';

/** One endpoint of a slice. */
export interface SliceEndpoint {
	/** Canonical text. */
	readonly address: string;
	/** Absent: unknown, hence not this node. */
	readonly node?: string;
	readonly ready: boolean;
	readonly serving: boolean;
	readonly terminating: boolean;
	/** Where the endpoint runs, for views; absent: unknown. */
	readonly zone?: string;
	/** Zones of `hints.forZones`; absent: no hint. */
	readonly zones?: readonly string[];
	/** Nodes of `hints.forNodes`; absent: no hint. */
	readonly nodes?: readonly string[];
}

/**
 * One port of a slice: the number that a service port of this name and protocol has at these
 * endpoints.
 */
export interface SlicePort {
	readonly name: string;
	readonly port: number;
	readonly protocol: ServiceProtocol;
}

/** An EndpointSlice as the rest of this folder reads it. */
export interface EndpointSlice {
	/** `NAMESPACE/NAME`. */
	readonly key: string;
	/** From the label `kubernetes.io/service-name`, never from the name. */
	readonly service: ServiceKey;
	readonly family: Family;
	readonly ports: readonly SlicePort[];
	readonly endpoints: readonly SliceEndpoint[];
}

/**
 * Reads an EndpointSlice; `undefined` if it belongs to no service, to another proxy, or is of type
 * FQDN.
 */
export function parseEndpointSlice(raw: JsonObject): EndpointSlice | undefined {
	const name = textAt(raw, 'metadata', 'name');
	const namespace = textAt(raw, 'metadata', 'namespace') ?? 'default';
	const service = textAt(raw, 'metadata', 'labels', 'kubernetes.io/service-name');
	const family = families[textAt(raw, 'addressType') ?? ''];
	if (name === undefined || service === undefined || service === '' || family === undefined) return undefined;
	if (ignoredByLabel(raw) !== undefined) return undefined;
	return {
		key: `${namespace}/${name}`,
		service: `${namespace}/${service}`,
		family,
		ports: arrayAt(raw, 'ports').filter(isObject).flatMap(portOf),
		endpoints: arrayAt(raw, 'endpoints')
			.filter(isObject)
			.flatMap((endpoint) => endpointOf(endpoint, family)),
	};
}

/** Of an EndpointSlice what `parseEndpointSlice` reads; `targetRef` is a third of it. */
export function pruneEndpointSlice(raw: JsonObject): JsonObject {
	const { managedFields: _, ...metadata } = objectAt(raw, 'metadata');
	return {
		metadata,
		addressType: textAt(raw, 'addressType'),
		ports: arrayAt(raw, 'ports'),
		endpoints: arrayAt(raw, 'endpoints')
			.filter(isObject)
			.map(({ addresses, conditions, nodeName, hints, zone }) => ({
				addresses,
				...(conditions === undefined ? {} : { conditions }),
				...(nodeName === undefined ? {} : { nodeName }),
				...(hints === undefined ? {} : { hints }),
				...(zone === undefined ? {} : { zone }),
			})),
	};
}

const families: Readonly<Record<string, Family>> = { IPv4: 'ipv4', IPv6: 'ipv6' };

function portOf(entry: JsonObject): SlicePort[] {
	const protocol = protocolOf(textAt(entry, 'protocol'));
	const { port } = entry;
	if (protocol === undefined || typeof port !== 'number' || port === 0) return [];
	return [{ name: textAt(entry, 'name') ?? '', port, protocol }];
}

function endpointOf(entry: JsonObject, family: Family): SliceEndpoint[] {
	// All addresses of an endpoint are one endpoint; consumers use the first (API of
	// discovery.k8s.io/v1).
	const text = arrayAt(entry, 'addresses')[0];
	const address = typeof text === 'string' ? canonicalOrUndefined(text) : undefined;
	if (address === undefined || familyOfAddress(address) !== family) return [];
	const node = textAt(entry, 'nodeName');
	// discovery.k8s.io/v1: ready absent means ready, serving absent means the same as ready,
	// terminating absent means false.
	const ready = at(entry, 'conditions', 'ready') !== false;
	const serving = at(entry, 'conditions', 'serving');
	const zone = textAt(entry, 'zone');
	const zones = hintNames(entry, 'forZones');
	const nodes = hintNames(entry, 'forNodes');
	return [
		{
			address,
			...(node === undefined ? {} : { node }),
			ready,
			serving: typeof serving === 'boolean' ? serving : ready,
			terminating: at(entry, 'conditions', 'terminating') === true,
			...(zone === undefined ? {} : { zone }),
			...(zones.length === 0 ? {} : { zones }),
			...(nodes.length === 0 ? {} : { nodes }),
		},
	];
}

const hintNames = (entry: JsonObject, member: string): string[] =>
	arrayAt(entry, 'hints', member).flatMap((hint) => textAt(hint, 'name') ?? []);
