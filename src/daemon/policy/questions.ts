import { ControlError, type PlanView, type TraceStepView, type TraceView } from '../../control/index.ts';
import { AddressError, canonicalAddress } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import { NetlinkError, SystemCallError } from '../../linux/index.ts';
import {
	type JourneyStep,
	type PolicyKey,
	type PolicyModel,
	PolicyTracer,
	ProtocolNumber,
	plan,
	policyResourceOf,
	type ResolvedEnd,
	type TraceEnd,
	UnknownEndError,
} from '../../policy/index.ts';
import { parseResources } from '../resource-files.ts';
import { changedConnections } from './connections.ts';
import { policyName } from './names.ts';
import type { OpenedPolicy } from './open.ts';

/** In the form of the endpoint. */
export interface TraceRequest {
	readonly from?: string;
	readonly to?: string;
	readonly protocol?: string;
	readonly port?: number;
}

const protocols: Readonly<Record<string, number>> = {
	tcp: ProtocolNumber.TCP,
	udp: ProtocolNumber.UDP,
	sctp: ProtocolNumber.SCTP,
	icmp: ProtocolNumber.ICMP,
};

/** The verdict of each side for a new connection. @throws ControlError */
export function trace({ side }: OpenedPolicy, request: TraceRequest, uplink: string): TraceView {
	const { from: fromText = '', to: toText = '', port = 0 } = request;
	const name = (request.protocol ?? 'tcp').toLowerCase();
	const protocol = protocols[name];
	if (protocol === undefined)
		throw new ControlError(400, 'bad-protocol', `'${name}' is not a protocol`, 'tcp, udp, sctp or icmp');
	const [fromEnd, toEnd] = [parseEnd(fromText), parseEnd(toText)];
	const family = [fromEnd, toEnd].some((end) => end.type === 'address' && end.address.includes(':')) ? 'ipv6' : 'ipv4';
	const tracer = new PolicyTracer(side.calculator, side.feed.policies);
	const [from, to] = [resolve(tracer, fromEnd, family), resolve(tracer, toEnd, family)];
	const icmp = protocol === ProtocolNumber.ICMP;
	const isIpv6 = to.address.includes(':');
	const { sender, receiver, deniedBySender, deniedByReceiver } = tracer.journey(
		from,
		to,
		{
			protocol: icmp && isIpv6 ? ProtocolNumber.ICMPv6 : protocol,
			sourcePort: icmp ? 0 : 40_000,
			destinationPort: icmp ? 0 : port,
			...(icmp ? { icmp: { type: isIpv6 ? 128 : 8, code: 0 } } : {}),
		},
		uplink,
	);
	const others = [from, to].flatMap(({ place }) =>
		place.type !== 'outside' && place.node !== side.calculator.node ? [place.node] : [],
	);
	return {
		from: endView(from),
		to: endView(to),
		protocol: name,
		port: icmp ? 0 : port,
		allowed: !deniedBySender && !deniedByReceiver,
		steps: [...sender.map((step) => stepView('sender', step)), ...receiver.map((step) => stepView('receiver', step))],
		notes: [
			...[...new Set(others)].map((node) => `host endpoints of node ${node} are not known here and not considered`),
			...wayOut(side.calculator, from, to, uplink),
			...(side.plane.isComplete ? [] : ['not every resource is listed yet']),
			...(side.plane.isEnforcing ? [] : ['this node enforces no network policy']),
		],
	};
}

/**
 * A packet meets the host endpoint of the interface that the routes choose, which is not looked up:
 * where a node has several, the trace names the one that it took.
 */
function wayOut(
	{ node, state }: OpenedPolicy['side']['calculator'],
	from: ResolvedEnd,
	to: ResolvedEnd,
	uplink: string,
): string[] {
	const isHere = ({ place }: ResolvedEnd) => place.type !== 'outside' && place.node === node;
	if (isHere(from) === isHere(to) || from.interfaceName !== undefined || to.interfaceName !== undefined) return [];
	const others = [...state.hosts.values()].filter(({ interfaceName }) => ![uplink, '*'].includes(interfaceName));
	if (others.length === 0) return [];
	return [
		`the interface of the default route, ${uplink}, is taken as the way between ${node} and others; for another one ` +
			`name its host endpoint as the end: ${others.map(({ key }) => key).join(', ')}`,
	];
}

const endView = ({ name, address, place }: ResolvedEnd): TraceView['from'] => ({
	name,
	address,
	...(place.type === 'outside' ? {} : { node: place.node }),
});

function stepView(
	side: TraceStepView['side'],
	{ node, stage, direction, endpoint, action, verdict }: JourneyStep,
): TraceStepView {
	const decision = verdict?.decision;
	return {
		side,
		node,
		stage,
		direction,
		...(endpoint === undefined ? {} : { endpoint }),
		action,
		...(decision === undefined ? {} : { decidedBy: decision.type }),
		...(decision?.type === 'rule' || decision?.type === 'tier-default' ? { tier: decision.tier } : {}),
		...(decision?.type === 'rule' || decision?.type === 'profile'
			? { policy: policyName(decision.rule.policy), rule: decision.rule.origin }
			: {}),
		staged: (verdict?.staged ?? []).map(({ rule, action: would }) => ({
			policy: policyName(rule.policy),
			rule: rule.origin,
			action: would,
		})),
	};
}

function resolve(tracer: PolicyTracer, end: TraceEnd, family: 'ipv4' | 'ipv6'): ResolvedEnd {
	try {
		return tracer.resolve(end, family);
	} catch (error) {
		if (error instanceof UnknownEndError) throw new ControlError(404, 'unknown-end', error.message);
		throw error;
	}
}

/**
 * `NAMESPACE/POD`, `NAMESPACE{label=value,...}`, `node/NAME`, an address or the name of a
 * HostEndpoint. @throws ControlError
 */
function parseEnd(text: string): TraceEnd {
	const hypothetical = /^([^{}/]+)\{([^{}]*)\}$/.exec(text);
	if (hypothetical !== null) {
		const [, namespace = '', list = ''] = hypothetical;
		const labels = Object.fromEntries(
			list
				.split(',')
				.filter((one) => one.trim() !== '')
				.map((one) => {
					const [key = '', ...value] = one.split('=');
					return [key.trim(), value.join('=').trim()];
				}),
		);
		return { type: 'hypothetical', namespace, labels };
	}
	if (text.startsWith('node/')) return { type: 'node', name: text.slice('node/'.length) };
	try {
		return { type: 'address', address: canonicalAddress(text) };
	} catch (error) {
		if (!(error instanceof AddressError)) throw error;
	}
	if (/^[^/\s]+\/[^/\s]+$/.test(text)) return { type: 'pod', name: text };
	// The name of a resource that is in no namespace (RFC 1123 subdomain).
	if (/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(text)) return { type: 'host', name: text };
	throw new ControlError(
		400,
		'bad-end',
		`'${text}' is no end of a connection`,
		'NAMESPACE/POD, NAMESPACE{label=value} for a pod that need not exist, node/NAME, an address, or the name of ' +
			'a HostEndpoint',
	);
}

const planLimits = { mostKinds: 300, mostChanges: 500 };

/**
 * The connections between pods, and those that exist on this node now, whose verdict would change
 * with the policies of a text. @throws
 * ControlError
 */
export async function planView({ side }: OpenedPolicy, text: string, uplink: string): Promise<PlanView> {
	const before = side.feed.policies;
	const after = new Map<PolicyKey, PolicyModel>(before);
	const problems: PlanView['problems'][number][] = [];
	const ignored = new Set<string>();
	for (const object of resourcesIn(text)) {
		const resource = policyResourceOf(object);
		if (resource === undefined) {
			ignored.add(String(object['kind']));
			continue;
		}
		const conversion = resource.convert(object);
		const { namespace, name } = object['metadata'] as { namespace?: string; name: string };
		const subject = `${resource.kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
		for (const problem of conversion.type === 'policy' ? conversion.policy.problems : conversion.problems)
			problems.push({ subject, ...problem });
		if (conversion.type === 'policy') after.set(conversion.policy.key, conversion.policy);
	}
	const connections = await connectionsOr(() =>
		changedConnections({ calculator: side.calculator, before, after, uplink }),
	);
	const { changes, changed, kinds, compared } = plan(side.calculator, before, after, { uplink, ...planLimits });
	return {
		...(typeof connections === 'string' ? {} : { connections }),
		changes,
		changed,
		kindsOfPods: kinds,
		kindsCompared: compared,
		problems,
		notes: [
			...(ignored.size === 0 ? [] : [`only policies are considered, not: ${[...ignored].join(', ')}`]),
			...(compared < kinds ? [`${compared} of ${kinds} kinds of pods are compared`] : []),
			...(typeof connections === 'string' ? [`current connections are not known: ${connections}`] : []),
			...(changed > changes.length ? [`${changed - changes.length} more changes are not listed`] : []),
		],
	};
}

/** The reason where the connection table cannot be read. */
async function connectionsOr<T>(read: () => Promise<T>): Promise<T | string> {
	try {
		return await read();
	} catch (error) {
		if (error instanceof NetlinkError || error instanceof SystemCallError) return error.message;
		throw error;
	}
}

function resourcesIn(text: string): readonly JsonObject[] {
	try {
		return parseResources('the file', text).map(({ object }) => object);
	} catch (error) {
		throw new ControlError(400, 'bad-resources', error instanceof Error ? error.message : String(error));
	}
}
