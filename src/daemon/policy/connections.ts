import type { PlannedConnectionView, PlanView } from '../../control/index.ts';
import { formatAddress, inSlices, type Steps } from '../../core/index.ts';
import { Conntrack, type Flow } from '../../linux/index.ts';
import {
	type PolicyCalculator,
	type PolicyKey,
	type PolicyModel,
	PolicyTracer,
	ProtocolNumber,
	type ResolvedEnd,
	UnknownEndError,
} from '../../policy/index.ts';

/** Entries that are looked at, and changes that are returned. */
export const connectionLimits = { mostFlows: 50_000, mostChanges: 200 };

export interface ConnectionQuestion {
	readonly calculator: PolicyCalculator;
	readonly before: ReadonlyMap<PolicyKey, PolicyModel>;
	readonly after: ReadonlyMap<PolicyKey, PolicyModel>;
	readonly uplink: string;
}

/**
 * The connections of this node that other policies would decide differently. @throws NetlinkError,
 * SystemCallError
 */
export async function changedConnections(question: ConnectionQuestion): Promise<NonNullable<PlanView['connections']>> {
	const conntrack = new Conntrack();
	try {
		const flows: Flow[] = [];
		let total = 0;
		for (const family of ['ipv4', 'ipv6'] as const)
			await conntrack.list(family, (flow) => {
				total++;
				if (flows.length < connectionLimits.mostFlows) flows.push(flow);
				return false;
			});
		return { total, ...(await inSlices(compare(flows, question))) };
	} finally {
		conntrack.close();
	}
}

/** The verdicts of both sets of policies for each connection; each step is one connection. */
export function* compare(
	flows: readonly Flow[],
	{ calculator, before, after, uplink }: ConnectionQuestion,
): Steps<Omit<NonNullable<PlanView['connections']>, 'total'>> {
	const sides = [new Judge(calculator, before, uplink), new Judge(calculator, after, uplink)] as const;
	const changes: PlannedConnectionView[] = [];
	let changed = 0;
	let looked = 0;
	for (const flow of flows) {
		yield;
		const [was, is] = sides.map((side) => side.verdict(flow));
		if (was === undefined || is === undefined) continue;
		looked++;
		if (was.action === is.action) continue;
		changed++;
		if (changes.length >= connectionLimits.mostChanges) continue;
		const { protocol, sourcePort } = flow.original;
		changes.push({
			from: was.from,
			to: was.to,
			protocol: protocolName(protocol),
			sourcePort,
			port: flow.original.icmp === undefined ? flow.reply.sourcePort : 0,
			before: was.action,
			after: is.action,
		});
	}
	return { looked, changed, changes };
}

const protocolName = (number: number): string =>
	Object.entries(ProtocolNumber).find(([, value]) => value === number)?.[0] ?? String(number);

/** One set of policies. */
class Judge {
	readonly #tracer: PolicyTracer;
	readonly #uplink: string;
	readonly #ends = new Map<string, ResolvedEnd | undefined>();

	constructor(calculator: PolicyCalculator, models: ReadonlyMap<PolicyKey, PolicyModel>, uplink: string) {
		this.#tracer = new PolicyTracer(calculator, models);
		this.#uplink = uplink;
	}

	/**
	 * Policy sees the source before and the destination after translation. `undefined`: neither end
	 * is of the cluster, or one is just changing.
	 */
	verdict({ original, reply }: Flow): { from: string; to: string; action: 'allowed' | 'denied' } | undefined {
		const [from, to] = [this.#end(formatAddress(original.source)), this.#end(formatAddress(reply.source))];
		if (from === undefined || to === undefined) return undefined;
		if (from.place.type === 'outside' && to.place.type === 'outside') return undefined;
		const { protocol, sourcePort, icmp } = original;
		const { deniedBySender, deniedByReceiver } = this.#tracer.journey(
			from,
			to,
			{
				protocol,
				sourcePort,
				destinationPort: icmp === undefined ? reply.sourcePort : 0,
				...(icmp === undefined ? {} : { icmp: { type: icmp.type, code: icmp.code } }),
			},
			this.#uplink,
		);
		return { from: from.name, to: to.name, action: deniedBySender || deniedByReceiver ? 'denied' : 'allowed' };
	}

	#end(address: string): ResolvedEnd | undefined {
		if (this.#ends.has(address)) return this.#ends.get(address);
		let end: ResolvedEnd | undefined;
		try {
			end = this.#tracer.resolve({ type: 'address', address });
		} catch (error) {
			if (!(error instanceof UnknownEndError)) throw error;
		}
		this.#ends.set(address, end);
		return end;
	}
}
