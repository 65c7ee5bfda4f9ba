import { parseAddress, parsePrefix, prefixContains } from '../core/index.ts';
import {
	addressFrontendKey,
	type Backend,
	type Frontend,
	type FrontendAction,
	nodePortFrontendKey,
	type Origin,
	type ServiceProtocol,
	type ServicesModel,
} from './model.ts';
import { isLoopback } from './settings.ts';

/** The first packet of a connection. Addresses in canonical text. */
export interface ServicePacket {
	readonly from: string;
	readonly to: string;
	readonly protocol: ServiceProtocol;
	/** Destination port. */
	readonly port: number;
}

/** What the services do to a packet. */
export type ServiceVerdict =
	| {
			readonly type: 'dnat';
			/** All that a connection can be translated to. */
			readonly backends: readonly Backend[];
			/**
			 * Some of the connections leave with the node's address: all by policy, or those that return
			 * to their source.
			 */
			readonly masquerade: boolean;
	  }
	| { readonly type: 'reject' }
	| { readonly type: 'drop' }
	/** The packet goes its way as if there were no services. */
	| { readonly type: 'untouched' };

/** The verdict, and the frontend that decided, if one did. */
export interface ServiceDecision {
	readonly verdict: ServiceVerdict;
	readonly origin: Origin;
	readonly frontend?: Frontend;
	/** The source lies in none of the frontend's source ranges. */
	readonly outsideSourceRanges?: true;
}

/**
 * The meaning of a model, packet by packet: what every backend (nftables, eBPF) must do.
 * `nodeAddresses` are the addresses of this node in canonical text.
 */
export function evaluate(
	model: ServicesModel,
	packet: ServicePacket,
	nodeAddresses: readonly string[],
): ServiceDecision {
	const origin = originOf(model, packet.from, nodeAddresses);
	const frontend =
		model.frontends.get(addressFrontendKey(packet.to, packet.protocol, packet.port)) ??
		nodePortOf(model, packet, nodeAddresses);
	if (frontend === undefined) return { origin, verdict: withoutFrontend(model, packet.to) };
	if (frontend.type === 'load-balancer-ip' && frontend.sourceRanges?.some(inRange(packet.from)) === false) {
		return { origin, frontend, outsideSourceRanges: true, verdict: { type: 'drop' } };
	}
	return { origin, frontend, verdict: verdictOf(model, frontend.actions[origin], packet.from) };
}

function originOf(model: ServicesModel, from: string, nodeAddresses: readonly string[]): Origin {
	if (model.settings.podRanges?.some(inRange(from)) === true) return 'pod';
	return nodeAddresses.includes(from) ? 'node' : 'outside';
}

function nodePortOf(
	model: ServicesModel,
	{ to, protocol, port }: ServicePacket,
	nodeAddresses: readonly string[],
): Frontend | undefined {
	const { family } = parseAddress(to);
	const answers = model.settings.nodePortAddresses[family];
	const hit =
		answers.type === 'all-local' ? nodeAddresses.includes(to) && !isLoopback(to) : answers.addresses.includes(to);
	return hit ? model.frontends.get(nodePortFrontendKey(family, protocol, port)) : undefined;
}

function withoutFrontend(model: ServicesModel, to: string): ServiceVerdict {
	if (model.clusterIps.has(to)) return { type: 'reject' };
	return { type: model.settings.serviceRanges.some(inRange(to)) ? 'drop' : 'untouched' };
}

function verdictOf(model: ServicesModel, action: FrontendAction, from: string): ServiceVerdict {
	if (action.type !== 'dnat') return action;
	const backends = model.pools.get(action.pool)?.backends ?? [];
	return {
		type: 'dnat',
		backends,
		masquerade: action.masquerade || backends.some(({ address }) => address === from),
	};
}

const inRange = (address: string) => {
	const parsed = parseAddress(address);
	return (prefix: string): boolean => prefixContains(parsePrefix(prefix), parsed);
};
