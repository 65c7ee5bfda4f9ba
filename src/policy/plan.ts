import type { PolicyCalculator } from './calculation/calculator.ts';
import type { NamedPort } from './convert/resources.ts';
import type { PolicyModel } from './model.ts';
import { type PolicyKey, ProtocolNumber } from './rules.ts';
import { PolicyTracer, type ResolvedEnd, UnknownEndError } from './trace.ts';

/** A connection that another set of policies would decide differently. */
export interface PlannedChange {
	/** Pods that stand for all with the same labels, namespace and service account. */
	readonly from: string;
	readonly to: string;
	readonly protocol: 'TCP' | 'UDP' | 'ICMP';
	/** 0 for ICMP. */
	readonly port: number;
	readonly before: 'allowed' | 'denied';
	readonly after: 'allowed' | 'denied';
}

export interface PlanOptions {
	readonly uplink: string;
	/** Kinds of pods that are compared with each other, at most. */
	readonly mostKinds: number;
	/** Changes that are returned, at most. */
	readonly mostChanges: number;
}

export interface Plan {
	readonly changes: readonly PlannedChange[];
	/** Kinds of pods: labels, namespace and service account. */
	readonly kinds: number;
	/** Kinds that were compared; fewer than `kinds` where there are too many. */
	readonly compared: number;
	readonly connections: number;
	/** Changes in all, those beyond `mostChanges` too. */
	readonly changed: number;
}

type Probe = Pick<PlannedChange, 'protocol' | 'port'>;

/**
 * Which connections between pods change with other policies. One pod of each kind is asked for all;
 * probes are the ports that policies and pods of a pair name, one port that none names, and ICMP.
 */
export function plan(
	calculator: PolicyCalculator,
	before: ReadonlyMap<PolicyKey, PolicyModel>,
	after: ReadonlyMap<PolicyKey, PolicyModel>,
	{ uplink, mostKinds, mostChanges }: PlanOptions,
): Plan {
	const kinds = [...calculator.kindsOfPods()];
	const models = (key: PolicyKey) => [before.get(key), after.get(key)].filter((model) => model !== undefined);
	const tracers = [new PolicyTracer(calculator, before), new PolicyTracer(calculator, after)] as const;
	const ends = kinds.slice(0, mostKinds).flatMap((name) => {
		try {
			const [first, second] = tracers.map((tracer) => tracer.resolve({ type: 'pod', name }));
			return first === undefined || second === undefined ? [] : [{ name, first, second }];
		} catch (error) {
			if (error instanceof UnknownEndError) return [];
			throw error;
		}
	});
	const changes: PlannedChange[] = [];
	let connections = 0;
	let changed = 0;
	for (const from of ends) {
		for (const to of ends) {
			// The same policies on both sides decide alike: nothing to ask.
			if (from.name === to.name || (sameStacks(from) && sameStacks(to) && sameRules(before, after, [from, to])))
				continue;
			const ports = calculator.pod(to.name)?.ports ?? [];
			for (const probe of probesOf([...keysOf(from), ...keysOf(to)].flatMap(models), ports)) {
				connections++;
				const was = verdict(tracers[0], from.first, to.first, probe, uplink);
				const is = verdict(tracers[1], from.second, to.second, probe, uplink);
				if (was === is) continue;
				changed++;
				if (changes.length < mostChanges)
					changes.push({ from: from.name, to: to.name, ...probe, before: was, after: is });
			}
		}
	}
	return { changes, kinds: kinds.length, compared: ends.length, connections, changed };
}

interface ComparedEnd {
	readonly first: ResolvedEnd;
	readonly second: ResolvedEnd;
}

const sameStacks = ({ first, second }: ComparedEnd): boolean =>
	first.endpoint?.ingress.id === second.endpoint?.ingress.id &&
	first.endpoint?.egress.id === second.endpoint?.egress.id;

/** Stacks name policies: their rules may differ all the same. */
function sameRules(
	before: ReadonlyMap<PolicyKey, PolicyModel>,
	after: ReadonlyMap<PolicyKey, PolicyModel>,
	ends: readonly ComparedEnd[],
): boolean {
	for (const { first } of ends)
		for (const stack of [first.endpoint?.ingress, first.endpoint?.egress])
			for (const { policies } of stack?.tiers ?? [])
				for (const key of policies) if (before.get(key) !== after.get(key)) return false;
	return true;
}

/** Policies of an end, with either set. */
function* keysOf({ first, second }: ComparedEnd): Iterable<PolicyKey> {
	for (const { endpoint } of [first, second])
		for (const stack of [endpoint?.ingress, endpoint?.egress])
			for (const { policies } of stack?.tiers ?? []) yield* policies;
}

/** A port that no rule is expected to name, as a stand-in for all others. */
const otherPort = 9;
/** Of each protocol, for one pair. */
const mostPorts = 16;

function probesOf(models: readonly PolicyModel[], named: readonly NamedPort[]): readonly Probe[] {
	const tcp = new Set<number>([otherPort]);
	const udp = new Set<number>([otherPort]);
	const add = (protocol: number | undefined, port: number) => (protocol === ProtocolNumber.UDP ? udp : tcp).add(port);
	for (const { protocol, port } of named) add(protocol, port);
	for (const { ingress = [], egress = [] } of models)
		for (const { protocol, destination } of [...ingress, ...egress])
			for (const { first } of [...(destination.ports?.ranges ?? []), ...(destination.notPorts?.ranges ?? [])])
				add(protocol, first);
	return [
		...[...tcp].slice(0, mostPorts).map((port) => ({ protocol: 'TCP' as const, port })),
		...[...udp].slice(0, mostPorts).map((port) => ({ protocol: 'UDP' as const, port })),
		{ protocol: 'ICMP', port: 0 },
	];
}

function verdict(
	tracer: PolicyTracer,
	from: ResolvedEnd,
	to: ResolvedEnd,
	{ protocol, port }: Probe,
	uplink: string,
): 'allowed' | 'denied' {
	const icmp = protocol === 'ICMP';
	const number = icmp
		? to.address.includes(':')
			? ProtocolNumber.ICMPv6
			: ProtocolNumber.ICMP
		: ProtocolNumber[protocol];
	const { deniedBySender, deniedByReceiver } = tracer.journey(
		from,
		to,
		{
			protocol: number,
			sourcePort: icmp ? 0 : 40_000,
			destinationPort: port,
			...(icmp ? { icmp: { type: to.address.includes(':') ? 128 : 8, code: 0 } } : {}),
		},
		uplink,
	);
	return deniedBySender || deniedByReceiver ? 'denied' : 'allowed';
}
