import { AddressError, canonicalAddress } from '../../core/index.ts';
import { arrayAt, objectAt, textAt } from '../../json/index.ts';
import type { Labels } from '../../selector/index.ts';
import type { Resource } from './resource.ts';

/** A pod with its own addresses, in the form of Calico's WorkloadEndpoint. */
export interface Workload {
	/** `namespace/name`. */
	readonly name: string;
	/**
	 * The pod's labels and Calico's: `projectcalico.org/namespace`, `orchestrator`,
	 * `serviceaccount`. Labels of the namespace and the service account (`pcns.`, `pcsa.`) are not
	 * included.
	 */
	readonly labels: Labels;
	/** The first address of each family, canonical. */
	readonly addresses: readonly string[];
}

/**
 * Reads a Pod. `undefined`: it has finished, has no address (yet, or any more), or uses the host
 * network.
 */
export function toWorkload({ name, namespace, labels, annotations, raw }: Resource): Workload | undefined {
	const phase = textAt(raw, 'status', 'phase');
	if (phase === 'Succeeded' || phase === 'Failed' || objectAt(raw, 'spec')['hostNetwork'] === true) return undefined;
	// The CNI plugin's annotation has the addresses earlier than the kubelet's status, and is
	// emptied before the pod is removed.
	const told = annotations['cni.projectcalico.org/podIPs'] ?? annotations['cni.projectcalico.org/podIP'];
	const texts = told?.split(',') ?? [
		textAt(raw, 'status', 'podIP') ?? '',
		...arrayAt(raw, 'status', 'podIPs').map((entry) => textAt(entry, 'ip') ?? ''),
	];
	const canonical = texts.flatMap((text) => addressIn(text.replace(/\/\d+$/, '').trim()));
	const addresses = [
		canonical.find((address) => !address.includes(':')),
		canonical.find((address) => address.includes(':')),
	].filter((address) => address !== undefined);
	if (addresses.length === 0) return undefined;
	const account = textAt(raw, 'spec', 'serviceAccountName');
	return {
		name: `${namespace ?? ''}/${name}`,
		labels: {
			...labels,
			'projectcalico.org/namespace': namespace ?? '',
			'projectcalico.org/orchestrator': 'k8s',
			...(account === undefined || account === '' ? {} : { 'projectcalico.org/serviceaccount': account }),
		},
		addresses,
	};
}

function addressIn(text: string): string[] {
	try {
		return text === '' ? [] : [canonicalAddress(text)];
	} catch (error) {
		if (error instanceof AddressError) return [];
		throw error;
	}
}
