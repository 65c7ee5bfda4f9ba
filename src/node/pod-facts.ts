import type { PodFacts } from '../ipam/index.ts';
import { arrayAt, isArray, type JsonObject, type JsonValue, objectAt, parseJson, textAt } from '../json/index.ts';
import { type ApiClient, coreKinds } from '../kubernetes/index.ts';

/**
 * Annotations in which a plugin for several networks (Multus) lists the result of each network; the
 * second is the old name. Network Plumbing Working Group, de-facto standard v1.3 §5.
 */
const networkStatus = ['k8s.v1.cni.cncf.io/network-status', 'k8s.v1.cni.cncf.io/networks-status'];

/** The facts of a Pod of a list. */
export interface ListedPod extends ReturnType<typeof podFacts> {
	/** Deletion has begun. */
	readonly terminating: boolean;
}

/**
 * All pods of the cluster by `NAMESPACE/NAME`; their objects are never in memory together. @throws
 * ApiError, ApiUnreachableError
 */
export async function listPodFacts(client: Pick<ApiClient, 'list'>): Promise<ReadonlyMap<string, ListedPod>> {
	const pods = new Map<string, ListedPod>();
	const take = (pod: JsonObject): void => {
		const terminating = textAt(pod, 'metadata', 'deletionTimestamp') !== undefined;
		const key = `${textAt(pod, 'metadata', 'namespace') ?? ''}/${textAt(pod, 'metadata', 'name') ?? ''}`;
		pods.set(key, { ...podFacts(pod), terminating });
	};
	await client.list(coreKinds.pods, { take });
	return pods;
}

/** The facts of a Pod that determine whether it still owns its addresses. Pure. */
export function podFacts(pod: JsonObject): PodFacts & { readonly hostNetwork: boolean } {
	const status = objectAt(pod, 'status');
	const several = arrayAt(status, 'podIPs').flatMap((entry) => textAt(entry, 'ip') ?? []);
	const single = textAt(status, 'podIP');
	const own = several.length > 0 ? several : single === undefined ? [] : [single];
	const phase = textAt(status, 'phase');
	return {
		node: textAt(pod, 'spec', 'nodeName'),
		// A pod without an address in its status is not up, regardless of its annotations.
		addresses:
			own.length === 0 ? [] : [...new Set([...own, ...ofOtherNetworks(objectAt(pod, 'metadata', 'annotations'))])],
		finished: phase === 'Succeeded' || phase === 'Failed',
		hostNetwork: objectAt(pod, 'spec')['hostNetwork'] === true,
	};
}

/**
 * Addresses of further networks; the status has only those of the default network. Unparsable
 * annotations count as empty.
 */
function ofOtherNetworks(annotations: JsonObject): readonly string[] {
	return networkStatus.flatMap((key) => {
		const networks = list(textAt(annotations, key));
		return networks.flatMap((network) =>
			arrayAt(network, 'ips').filter((address): address is string => typeof address === 'string'),
		);
	});
}

function list(text: string | undefined): readonly JsonValue[] {
	try {
		const value = text === undefined ? undefined : parseJson(text);
		return isArray(value) ? value : [];
	} catch {
		return [];
	}
}
