import { parsePrefix, prefixContains } from '../core/index.ts';
import { evaluate, type Packet, type Verdict } from './evaluate.ts';
import {
	type DirectionPolicy,
	type FailsafePort,
	type HostEndpoint,
	type NodePolicy,
	ProtocolNumber,
	portProtocols,
	type WorkloadEndpoint,
} from './rules.ts';

/** One end of a connection. */
export type Place =
	/** A pod with policy; `key` is `NAMESPACE/NAME`. */
	| { readonly type: 'pod'; readonly key: string; readonly node: string }
	/** A node itself, thus also its host-network pods. */
	| { readonly type: 'node'; readonly node: string }
	/** Neither a node nor a pod of this cluster. */
	| { readonly type: 'outside' };

/** Which check of which node a packet meets. */
export type Stage =
	/** doNotTrack of a host endpoint. */
	| 'untracked'
	/** Failsafe ports of a host endpoint. */
	| 'failsafe'
	/** preDNAT of a host endpoint. */
	| 'pre-dnat'
	/** Tunnel packets that a pod sends. */
	| 'tunnel-from-workload'
	/** A pod's own policy. */
	| 'workload'
	/** What a pod may do to its own node. */
	| 'endpoint-to-host'
	/** A node to its own pod. */
	| 'own-pod'
	/** A host endpoint's policy for packets that start or end at the host. */
	| 'host'
	/** A host endpoint's applyOnForward policy. */
	| 'forward';

/** One check and what came of it. */
export interface JourneyStep {
	readonly node: string;
	readonly stage: Stage;
	readonly direction: 'ingress' | 'egress';
	/** `NAMESPACE/NAME` of a pod, name of a HostEndpoint; absent where the node itself decides. */
	readonly endpoint?: string;
	readonly action: Verdict['action'];
	/** Present where policies decided. */
	readonly verdict?: Verdict;
}

/**
 * What the sender's side and the receiver's side do to the first packet of a connection, each
 * without regard to the other.
 */
export interface Journey {
	readonly sender: readonly JourneyStep[];
	readonly receiver: readonly JourneyStep[];
	readonly deniedBySender: boolean;
	readonly deniedByReceiver: boolean;
}

export interface JourneyOptions {
	/** Policies by node; a node that is missing enforces nothing. */
	readonly nodes: ReadonlyMap<string, NodePolicy>;
	/** The interface by which a node reaches others. */
	readonly uplinkOf: (node: string) => string;
}

/**
 * The checks of a connection from one place to another, in the order in which the nodes make them.
 */
export function journey(from: Place, to: Place, packet: Packet, options: JourneyOptions): Journey {
	const [here, there] = [nodeOf(from), nodeOf(to)];
	const sender = here === undefined ? [] : untilDenied(senderSide(here, here === there, from, to, packet, options));
	const receiver =
		there === undefined ? [] : untilDenied(receiverSide(there, here === there, from, to, packet, options));
	return {
		sender,
		receiver,
		deniedBySender: sender.some(({ action }) => action === 'deny'),
		deniedByReceiver: receiver.some(({ action }) => action === 'deny'),
	};
}

const nodeOf = (place: Place): string | undefined => (place.type === 'outside' ? undefined : place.node);

function untilDenied(steps: Iterable<JourneyStep>): readonly JourneyStep[] {
	const result: JourneyStep[] = [];
	for (const step of steps) {
		result.push(step);
		if (step.action === 'deny') break;
	}
	return result;
}

function* senderSide(
	node: string,
	sameNode: boolean,
	from: Place,
	to: Place,
	packet: Packet,
	{ nodes, uplinkOf }: JourneyOptions,
): Iterable<JourneyStep> {
	const state = nodes.get(node);
	if (state === undefined) return;
	const uplink = sameNode && to.type === 'pod' ? undefined : uplinkOf(node);
	if (from.type !== 'pod') {
		// Own pods are always reachable: kubelet probes.
		if (!sameNode) yield* hostEgress(node, state, uplinkOf(node), packet);
		return;
	}
	// A pod's interface has no host endpoint of its own: only the one for every interface applies.
	const everywhere = hostEndpoint(state, undefined);
	const early = yield* preDnat(node, state, everywhere, packet);
	const pod = state.workloads.get(from.key);
	if (pod !== undefined) yield* podEgress(node, state, pod, packet);
	if (to.type === 'node' && sameNode) return;
	if (!early && everywhere !== undefined)
		yield judge(node, 'forward', everywhere.key, everywhere.forward.ingress, packet, state);
	const out = hostEndpoint(state, uplink);
	if (out !== undefined && !early) yield judge(node, 'forward', out.key, out.forward.egress, packet, state);
}

function* receiverSide(
	node: string,
	sameNode: boolean,
	from: Place,
	to: Place,
	packet: Packet,
	{ nodes, uplinkOf }: JourneyOptions,
): Iterable<JourneyStep> {
	const state = nodes.get(node);
	if (state === undefined) return;
	const pod = to.type === 'pod' ? state.workloads.get(to.key) : undefined;
	if (sameNode) {
		if (from.type === 'node') yield { node, stage: 'own-pod', direction: 'ingress', action: 'allow' };
		else if (to.type === 'node') {
			// The host endpoint's ordinary policy is not asked.
			const action = state.settings.endpointToHostAction === 'drop' ? 'deny' : 'allow';
			yield { node, stage: 'endpoint-to-host', direction: 'ingress', action };
		} else if (pod !== undefined) yield judge(node, 'workload', pod.key, pod.ingress, packet, state);
		return;
	}
	const entry = hostEndpoint(state, uplinkOf(node));
	let early = yield* untracked(node, state, entry, 'ingress', packet);
	if (!early) early = yield* preDnat(node, state, entry, packet);
	if (to.type === 'node') {
		if (early || entry === undefined) return;
		if (failsafe(state.settings.failsafeInbound, packet, 'ingress'))
			yield { node, stage: 'failsafe', direction: 'ingress', endpoint: entry.key, action: 'allow' };
		else yield judge(node, 'host', entry.key, entry.normal.ingress, packet, state);
		return;
	}
	if (!early && entry !== undefined) yield judge(node, 'forward', entry.key, entry.forward.ingress, packet, state);
	const everywhere = hostEndpoint(state, undefined);
	if (!early && everywhere !== undefined)
		yield judge(node, 'forward', everywhere.key, everywhere.forward.egress, packet, state);
	if (pod !== undefined) yield judge(node, 'workload', pod.key, pod.ingress, packet, state);
}

function* podEgress(node: string, state: NodePolicy, pod: WorkloadEndpoint, packet: Packet): Iterable<JourneyStep> {
	const { settings } = state;
	const vxlan =
		!settings.allowVxlanFromWorkloads &&
		packet.protocol === ProtocolNumber.UDP &&
		packet.destinationPort === settings.vxlanPort;
	const ipip = !settings.allowIpipFromWorkloads && packet.protocol === ProtocolNumber.IPIP;
	if (vxlan || ipip)
		yield { node, stage: 'tunnel-from-workload', direction: 'egress', endpoint: pod.key, action: 'deny' };
	else yield judge(node, 'workload', pod.key, pod.egress, packet, state);
}

function* hostEgress(node: string, state: NodePolicy, uplink: string, packet: Packet): Iterable<JourneyStep> {
	const exit = hostEndpoint(state, uplink);
	if (exit === undefined) return;
	if (yield* untracked(node, state, exit, 'egress', packet)) return;
	if (failsafe(state.settings.failsafeOutbound, packet, 'egress'))
		yield { node, stage: 'failsafe', direction: 'egress', endpoint: exit.key, action: 'allow' };
	else yield judge(node, 'host', exit.key, exit.normal.egress, packet, state);
}

/**
 * Returns whether the packet is allowed already, so that later stages of host endpoints are not
 * asked.
 */
function* untracked(
	node: string,
	state: NodePolicy,
	endpoint: HostEndpoint | undefined,
	direction: 'ingress' | 'egress',
	packet: Packet,
): Generator<JourneyStep, boolean> {
	const policy = endpoint?.untracked[direction];
	if (endpoint === undefined || policy === undefined || policy.tiers.length === 0) return false;
	const ports = direction === 'ingress' ? state.settings.failsafeInbound : state.settings.failsafeOutbound;
	if (failsafe(ports, packet, direction)) return false;
	const step = judge(node, 'untracked', endpoint.key, policy, packet, state);
	yield step;
	return step.action === 'allow';
}

/**
 * Returns whether the packet is allowed already, so that later stages of host endpoints are not
 * asked.
 */
function* preDnat(
	node: string,
	state: NodePolicy,
	endpoint: HostEndpoint | undefined,
	packet: Packet,
): Generator<JourneyStep, boolean> {
	if (endpoint === undefined || endpoint.preDnat.ingress.tiers.length === 0) return false;
	if (failsafe(state.settings.failsafeInbound, packet, 'ingress')) {
		yield { node, stage: 'failsafe', direction: 'ingress', endpoint: endpoint.key, action: 'allow' };
		return true;
	}
	const step = judge(node, 'pre-dnat', endpoint.key, endpoint.preDnat.ingress, packet, state);
	yield step;
	return step.action === 'allow';
}

function judge(
	node: string,
	stage: Stage,
	endpoint: string,
	policy: DirectionPolicy,
	packet: Packet,
	state: NodePolicy,
): JourneyStep {
	const verdict = evaluate(policy, packet, state);
	return { node, stage, direction: policy.direction, endpoint, action: verdict.action, verdict };
}

/**
 * The endpoint of an interface, else the one for every interface; of pods' interfaces (`undefined`)
 * only the latter.
 */
function hostEndpoint(state: NodePolicy, interfaceName: string | undefined): HostEndpoint | undefined {
	let everywhere: HostEndpoint | undefined;
	for (const host of state.hosts.values()) {
		if (host.interfaceName === interfaceName) return host;
		if (host.interfaceName === '*') everywhere = host;
	}
	return everywhere;
}

/** Is the packet for a failsafe port? The net is the other end's. */
export function failsafe(ports: readonly FailsafePort[], packet: Packet, direction: 'ingress' | 'egress'): boolean {
	const other = direction === 'ingress' ? packet.source : packet.destination;
	return (
		portProtocols.has(packet.protocol) &&
		ports.some(
			({ protocol, port, net }) =>
				protocol === packet.protocol &&
				port === packet.destinationPort &&
				(net === undefined || prefixContains(parsePrefix(net), other)),
		)
	);
}
