/** The shapes of `services.jsonl` and `services-behaviour.jsonl`. */
import { type Family, prefixKey } from '../../../src/core/index.ts';
import type { JsonObject } from '../../../src/json/index.ts';
import {
	resolveSettings,
	type ServiceNode,
	type ServicePacket,
	type ServiceProtocol,
	type ServicesModel,
	ServicesState,
} from '../../../src/services/index.ts';

/** The outcome of a first packet. */
export type ExpectedVerdict =
	| { readonly verdict: 'dnat'; readonly backends: readonly string[]; readonly masquerade: boolean }
	| { readonly verdict: 'reject' | 'drop' | 'untouched' };

/** First packets at one node. */
export interface PacketCase {
	readonly id: string;
	readonly title: string;
	readonly family: 'IPv4' | 'IPv6';
	readonly node: {
		readonly name: string;
		readonly addresses: readonly string[];
		readonly labels: Readonly<Record<string, string>>;
	};
	readonly options: {
		readonly podCIDR: string;
		readonly serviceCIDR: string;
		readonly nodePortAddresses: readonly string[];
		readonly masqueradeAll: boolean;
		readonly localDetection: boolean;
	};
	readonly services: readonly JsonObject[];
	readonly endpointSlices: readonly JsonObject[];
	readonly packets: readonly {
		readonly from: string;
		readonly to: string;
		readonly protocol: 'TCP' | 'UDP' | 'SCTP';
		readonly port: number;
		readonly expect: ExpectedVerdict;
	}[];
}

/** Events over time. */
export interface BehaviourCase {
	readonly id: string;
	readonly title: string;
	readonly kind: 'health' | 'conntrack' | 'affinity' | 'lifecycle';
	readonly input: JsonObject;
	readonly expect: JsonObject;
}

/** A line of a table of services. */
export type ServicesCase = PacketCase | BehaviourCase;

export const protocols: Readonly<Record<string, ServiceProtocol>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' };

/** A case in the form of a backend: the model of the node, and the packets. */
export interface PreparedCase {
	readonly id: string;
	readonly family: Family;
	readonly node: ServiceNode;
	readonly nodeAddresses: readonly string[];
	readonly model: ServicesModel;
	readonly packets: readonly (ServicePacket & { readonly expected: string })[];
}

/** Reads a case through the product's own conversion from resources to the model. */
export function prepare(item: PacketCase): PreparedCase {
	const { options, family: name } = item;
	const family: Family = name === 'IPv4' ? 'ipv4' : 'ipv6';
	const zone = item.node.labels['topology.kubernetes.io/zone'];
	const primary = item.node.addresses[0];
	const node: ServiceNode = {
		name: item.node.name,
		primary: primary === undefined ? {} : { [family]: primary },
		...(zone === undefined ? {} : { zone }),
	};
	const settings = resolveSettings(
		{
			podRanges: options.localDetection ? [prefixKey(options.podCIDR)] : undefined,
			serviceRanges: [prefixKey(options.serviceCIDR)],
			masqueradeAll: options.masqueradeAll,
			nodePortAddresses: options.nodePortAddresses.map((text) => prefixKey(text)),
		},
		item.node.addresses,
	);
	const state = new ServicesState({ node, settings });
	for (const service of item.services) state.setService(service);
	for (const slice of item.endpointSlices) state.setSlice(slice);
	state.settle();
	return {
		id: item.id,
		family,
		node,
		nodeAddresses: item.node.addresses,
		model: state.model,
		packets: item.packets.map(({ from, to, protocol, port, expect }) => ({
			from,
			to,
			protocol: protocols[protocol] ?? 'tcp',
			port,
			expected: verdictText(expect),
		})),
	};
}

/** `dnat 10.0.1.1:80 10.0.1.2:80 masquerade`, backends sorted; `reject`, `drop`, `untouched`. */
export function verdictText(verdict: ExpectedVerdict): string {
	if (verdict.verdict !== 'dnat') return verdict.verdict;
	return ['dnat', ...[...verdict.backends].sort(), ...(verdict.masquerade ? ['masquerade'] : [])].join(' ');
}
