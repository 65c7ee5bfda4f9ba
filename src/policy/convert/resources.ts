import type { PrefixKey } from '../../core/index.ts';
import { AddressError, canonicalAddress } from '../../core/index.ts';
import { isObject, type JsonObject, objectAt } from '../../json/index.ts';
import { builtInTiers, type PolicyProblem, type TierModel } from '../model.ts';
import {
	FieldError,
	integer,
	net,
	objectsOf,
	optionalObject,
	optionalText,
	problemOf,
	protocol,
	textsOf,
} from './fields.ts';
import { metadataOf } from './metadata.ts';

/** The outcome of reading a resource that holds no rules. */
export type Read<T> =
	| { readonly type: 'value'; readonly value: T; readonly problems: readonly PolicyProblem[] }
	| { readonly type: 'refused'; readonly problems: readonly PolicyProblem[] };

/** A name for a port of an endpoint. */
export interface NamedPort {
	readonly name: string;
	/** IP protocol number. */
	readonly protocol: number;
	readonly port: number;
}

/** NetworkSet (with a namespace) or GlobalNetworkSet. */
export interface NetworkSetFacts {
	readonly name: string;
	readonly namespace?: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly nets: readonly PrefixKey[];
}

/** HostEndpoint. */
export interface HostEndpointFacts {
	readonly name: string;
	readonly node: string;
	/** A name, or `*`; absent: the interface that has one of `expectedAddresses`. */
	readonly interfaceName?: string;
	readonly expectedAddresses: readonly string[];
	readonly labels: Readonly<Record<string, string>>;
	readonly profiles: readonly string[];
	readonly ports: readonly NamedPort[];
}

const refused = (error: unknown): { type: 'refused'; problems: readonly PolicyProblem[] } => {
	if (error instanceof FieldError) return { type: 'refused', problems: [problemOf('refused', error)] };
	throw error;
};

/** NetworkSet and GlobalNetworkSet. A net that is none is left out and reported. */
export function toNetworkSet(raw: JsonObject): Read<NetworkSetFacts> {
	const { name, namespace, labels } = metadataOf(raw);
	const problems: PolicyProblem[] = [];
	try {
		const nets = textsOf(objectAt(raw, 'spec'), 'nets', 'spec').flatMap((text, index) => {
			try {
				return [net(text, `spec.nets[${index}]`)];
			} catch (error) {
				if (!(error instanceof FieldError)) throw error;
				problems.push(problemOf('warning', error));
				return [];
			}
		});
		return {
			type: 'value',
			value: { name, ...(namespace === undefined ? {} : { namespace }), labels, nets },
			problems,
		};
	} catch (error) {
		return refused(error);
	}
}

/** HostEndpoint: needs a node, and an interface or an address. */
export function toHostEndpoint(raw: JsonObject): Read<HostEndpointFacts> {
	const { name, labels } = metadataOf(raw);
	try {
		const spec = optionalObject(raw, 'spec', '') ?? {};
		const node = optionalText(spec, 'node', 'spec') ?? '';
		if (node === '') throw new FieldError('spec.node', 'expected the name of a node');
		const interfaceName = optionalText(spec, 'interfaceName', 'spec') ?? '';
		const expectedAddresses = textsOf(spec, 'expectedIPs', 'spec').map((text, index) =>
			address(text, `spec.expectedIPs[${index}]`),
		);
		if (interfaceName === '' && expectedAddresses.length === 0)
			throw new FieldError('spec.interfaceName', 'expected interfaceName or expectedIPs');
		const ports = objectsOf(spec, 'ports', 'spec').map((port, index): NamedPort => {
			const at = `spec.ports[${index}]`;
			return {
				name: optionalText(port, 'name', at) ?? '',
				protocol: protocol(port['protocol'] ?? '', `${at}.protocol`),
				port: integer(port['port'], 1, 65_535, `${at}.port`),
			};
		});
		return {
			type: 'value',
			value: {
				name,
				node,
				...(interfaceName === '' ? {} : { interfaceName }),
				expectedAddresses,
				labels,
				profiles: textsOf(spec, 'profiles', 'spec'),
				ports,
			},
			problems: [],
		};
	} catch (error) {
		return refused(error);
	}
}

function address(text: string, path: string): string {
	try {
		return canonicalAddress(text);
	} catch (error) {
		if (error instanceof AddressError) throw new FieldError(path, error.message);
		throw error;
	}
}

/** Tier; the built-in ones keep their order and default action. */
export function toTier(raw: JsonObject): Read<TierModel> {
	const { name } = metadataOf(raw);
	const spec = objectAt(raw, 'spec');
	const [order, action] = [spec['order'], spec['defaultAction']];
	const fixed = builtInTiers.find((tier) => tier.name === name);
	if (order !== undefined && order !== null && typeof order !== 'number')
		return { type: 'refused', problems: [{ type: 'refused', field: 'spec.order', problem: 'expected a number' }] };
	if (action !== undefined && action !== null && action !== 'Deny' && action !== 'Pass')
		return {
			type: 'refused',
			problems: [{ type: 'refused', field: 'spec.defaultAction', problem: 'expected Deny or Pass' }],
		};
	const value: TierModel = {
		name,
		order: typeof order === 'number' ? order : Number.POSITIVE_INFINITY,
		defaultAction: action === 'Pass' ? 'pass' : 'deny',
	};
	if (fixed === undefined) return { type: 'value', value, problems: [] };
	const differs =
		(order !== undefined && order !== null && value.order !== fixed.order) ||
		(action !== undefined && action !== null && value.defaultAction !== fixed.defaultAction);
	return {
		type: 'value',
		value: fixed,
		problems: differs
			? [{ type: 'warning', field: 'spec', problem: 'order and default action of a built-in tier are fixed' }]
			: [],
	};
}

/** One EndpointSlice: whose service, and its endpoints. */
export interface EndpointSliceFacts {
	readonly namespace: string;
	readonly name: string;
	readonly service: string;
	readonly addresses: readonly string[];
	readonly ports: readonly { readonly protocol: number; readonly port: number }[];
}

/**
 * EndpointSlice (discovery.k8s.io/v1); `undefined`: of no service, or of names instead of
 * addresses.
 */
export function toEndpointSlice(raw: JsonObject): EndpointSliceFacts | undefined {
	const { name, namespace, labels } = metadataOf(raw);
	const service = labels['kubernetes.io/service-name'];
	if (service === undefined || raw['addressType'] === 'FQDN') return undefined;
	const endpoints = objectsOrNone(raw['endpoints']);
	const addresses = endpoints.flatMap((endpoint) =>
		(Array.isArray(endpoint['addresses']) ? endpoint['addresses'] : []).flatMap((text: unknown) => {
			try {
				return typeof text === 'string' ? [canonicalAddress(text)] : [];
			} catch (error) {
				if (error instanceof AddressError) return [];
				throw error;
			}
		}),
	);
	const ports = objectsOrNone(raw['ports']).flatMap((port) => {
		const number = port['port'];
		// Without a number: all ports. Calico has no member for it and matches nothing.
		if (typeof number !== 'number') return [];
		try {
			return [{ protocol: protocol(port['protocol'] ?? 'TCP', 'ports'), port: number }];
		} catch (error) {
			if (error instanceof FieldError) return [];
			throw error;
		}
	});
	return { namespace: namespace ?? 'default', name, service, addresses, ports };
}

const objectsOrNone = (value: unknown): readonly JsonObject[] =>
	// The elements are JSON: they come from a parsed object.
	Array.isArray(value) ? (value as JsonObject[]).filter((item) => isObject(item)) : [];
