import type { PodFacts } from '../../ipam/index.ts';
import { arrayAt, isArray, type JsonObject, type JsonValue, objectAt, parseJson, textAt } from '../../kubernetes/index.ts';

/** Where a plugin that attaches pods to several networks (Multus) says what each gave; the second is its old name. Network Plumbing Working Group, de-facto standard v1.3 §5. */
const networkStatus = ['k8s.v1.cni.cncf.io/network-status', 'k8s.v1.cni.cncf.io/networks-status'];

/** Of a Pod what tells whether it still has its addresses. Pure. */
export function podFacts(pod: JsonObject): PodFacts & { readonly hostNetwork: boolean } {
	const status = objectAt(pod, 'status');
	const several = arrayAt(status, 'podIPs').flatMap((entry) => textAt(entry, 'ip') ?? []);
	const single = textAt(status, 'podIP');
	const own = several.length > 0 ? several : single === undefined ? [] : [single];
	const phase = textAt(status, 'phase');
	return {
		node: textAt(pod, 'spec', 'nodeName'),
		// While the pod has none of its own it is not up, whatever else is said.
		addresses: own.length === 0 ? [] : [...new Set([...own, ...ofOtherNetworks(objectAt(pod, 'metadata', 'annotations'))])],
		finished: phase === 'Succeeded' || phase === 'Failed',
		hostNetwork: objectAt(pod, 'spec')['hostNetwork'] === true,
	};
}

/** The status has the addresses of the default network alone. What can't be read says nothing. */
function ofOtherNetworks(annotations: JsonObject): readonly string[] {
	return networkStatus.flatMap((key) => {
		const networks = list(textAt(annotations, key));
		return networks.flatMap((network) => arrayAt(network, 'ips').filter((address): address is string => typeof address === 'string'));
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
