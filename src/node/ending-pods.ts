import type { Clock, Logger } from '../core/index.ts';
import { type JsonObject, textAt } from '../json/index.ts';
import { type ApiClient, coreKinds } from '../kubernetes/index.ts';
import { until, within } from './patience.ts';
import { podFacts } from './pod-facts.ts';

/** Longest wait for a list of the node's pods, in milliseconds. */
const listMs = 2000;

/** The pods of a node as the API server has them now. Rejects without an answer in two seconds. */
export const podsOfNode = async (
	client: Pick<ApiClient, 'list'>,
	node: string,
	clock: Clock,
): Promise<readonly JsonObject[]> =>
	(await within(client.list(coreKinds.pods, { fieldSelector: `spec.nodeName=${node}` }), listMs, clock)).items;

/**
 * Addresses of pods in deletion, each with `NAMESPACE/NAME`: the runtime asks for their release
 * soon. Pure.
 */
export function endingAddresses(pods: readonly JsonObject[]): ReadonlyMap<string, string> {
	const ending = new Map<string, string>();
	for (const pod of pods) {
		const { addresses, hostNetwork } = podFacts(pod);
		if (hostNetwork || textAt(pod, 'metadata', 'deletionTimestamp') === undefined) continue;
		const name = `${textAt(pod, 'metadata', 'namespace') ?? ''}/${textAt(pod, 'metadata', 'name') ?? ''}`;
		for (const address of addresses) ending.set(address, name);
	}
	return ending;
}

export interface EndingPodsDependencies {
	/**
	 * The pods of this node, read anew: the event of a deletion may not be in a copy yet. Rejects if
	 * they are not known.
	 */
	readonly pods: () => Promise<readonly JsonObject[]>;
	/** The addresses that are allocated to this node now; empty if they cannot be released. */
	readonly held: () => ReadonlySet<string>;
	readonly clock: Clock;
	readonly log: Logger;
}

/**
 * Waits until the addresses of all pods in deletion are released, at most `mostMs`. A daemon that
 * stops does so first: on a node that is drained, or that its DaemonSet leaves, pods and daemon are
 * deleted together, and no later daemon of this node would perform a release that waits on disk.
 * Never rejects.
 */
export async function untilPodsEnded(
	{ pods, held, clock, log }: EndingPodsDependencies,
	mostMs: number,
): Promise<void> {
	if (held().size === 0) return;
	const endMs = clock.monotonicMs() + mostMs;
	let waits = false;
	for (;;) {
		const ending = endingAddresses(await pods().catch(() => []));
		const waiting = (): readonly string[] => {
			const allocated = held();
			return [...ending].flatMap(([address, name]) => (allocated.has(address) ? [name] : []));
		};
		const first = waiting();
		if (first.length === 0) return;
		if (!waits) log.info('stopping after the deletion of pods', { pods: first });
		waits = true;
		if (await until(() => waiting().length === 0, endMs - clock.monotonicMs(), clock)) continue;
		log.warn('stopping before the deletion of pods: the next daemon on this node releases their addresses', {
			pods: waiting(),
			hint: 'without one, the garbage collector does',
		});
		return;
	}
}
