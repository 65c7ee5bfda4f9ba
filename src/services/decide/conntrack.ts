import type { ServicesDifference } from '../difference.ts';
import {
	addressFrontendKey,
	type Frontend,
	nodePortFrontendKey,
	type ServicePortKey,
	type ServiceProtocol,
	type ServicesModel,
} from '../model.ts';
import { familyOfAddress } from '../resources/addresses.ts';

/**
 * What a decision needs of one entry of the kernel's connection table. Addresses in canonical text.
 */
export interface ConntrackFlow {
	readonly protocol: ServiceProtocol;
	/** Destination of the original direction. */
	readonly originalDestination: string;
	readonly originalPort: number;
	/**
	 * Source of the reply direction: the backend, or the original destination if nothing was
	 * translated.
	 */
	readonly replySource: string;
	readonly replyPort: number;
}

/** What the clean-up needs beside the model. */
export interface ConntrackContext {
	/** `ADDRESS PORT` of each serving endpoint of a service port, terminating ones included. */
	readonly serving: (servicePort: ServicePortKey) => ReadonlySet<string>;
	/** An address of this node; node ports answer there. */
	readonly isNodeAddress: (address: string) => boolean;
}

/**
 * The flows to delete after a change has been programmed: UDP flows to an address and port of a
 * service whose backend serves no more, or that were never translated (kubernetes/kubernetes 48370,
 * 125467, 126130). A sender that keeps its source port would stay in a black hole for ever.
 * Services without any endpoint count, too (139628). TCP and SCTP end by themselves and are left
 * alone, so are flows to endpoints that terminate and still serve.
 */
export function staleFlows<Flow extends ConntrackFlow>(
	model: ServicesModel,
	flows: Iterable<Flow>,
	{ serving, isNodeAddress }: ConntrackContext,
): Flow[] {
	const stale: Flow[] = [];
	for (const flow of flows) {
		if (flow.protocol !== 'udp') continue;
		const frontend = frontendOf(model, flow, isNodeAddress);
		if (frontend === undefined) continue;
		if (!serving(frontend.servicePort).has(`${flow.replySource} ${flow.replyPort}`)) stale.push(flow);
	}
	return stale;
}

/** A change after which flows may be stale; others need no look at the connection table. */
export const mayLeaveStaleFlows = ({ pools, frontends, settings, endedUdp }: ServicesDifference): boolean =>
	settings !== undefined ||
	endedUdp.length > 0 ||
	[...pools.set.map(({ after }) => after), ...pools.removed].some(({ protocol }) => protocol === 'udp') ||
	frontends.set.some(({ after }) => after.protocol === 'udp');

function frontendOf(
	{ frontends }: ServicesModel,
	{ protocol, originalDestination, originalPort }: ConntrackFlow,
	isNodeAddress: (address: string) => boolean,
): Frontend | undefined {
	const atAddress = frontends.get(addressFrontendKey(originalDestination, protocol, originalPort));
	if (atAddress !== undefined || !isNodeAddress(originalDestination)) return atAddress;
	return frontends.get(nodePortFrontendKey(familyOfAddress(originalDestination), protocol, originalPort));
}
