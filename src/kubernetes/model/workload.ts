import { AddressError, canonicalAddress } from '../../core/index.ts';
import { arrayAt, objectAt, textAt } from '../json/index.ts';
import type { Labels } from '../selector/evaluate.ts';
import type { Resource } from './resource.ts';

/** A pod that has addresses of its own, as Calico's WorkloadEndpoint has it. */
export interface Workload {
	/** `namespace/name`. */
	readonly name: string;
	/** The pod's, and Calico's own: `projectcalico.org/namespace`, `orchestrator`, `serviceaccount`. Those of its namespace and service account (`pcns.`, `pcsa.`) are not here. */
	readonly labels: Labels;
	/** The first of each family, canonical. */
	readonly addresses: readonly string[];
}

/** Reads a Pod. `undefined`: it is over, has no address (yet, or any more), or has those of its node. */
export function toWorkload({ name, namespace, labels, annotations, raw }: Resource): Workload | undefined {
	const phase = textAt(raw, 'status', 'phase');
	if (phase === 'Succeeded' || phase === 'Failed' || objectAt(raw, 'spec')['hostNetwork'] === true) return undefined;
	// The plugin tells its addresses before the kubelet does, and takes them back before the pod is gone.
	const told = annotations['cni.projectcalico.org/podIPs'] ?? annotations['cni.projectcalico.org/podIP'];
	const texts = told?.split(',') ?? [textAt(raw, 'status', 'podIP') ?? '', ...arrayAt(raw, 'status', 'podIPs').map((entry) => textAt(entry, 'ip') ?? '')];
	const canonical = texts.flatMap((text) => addressIn(text.replace(/\/\d+$/, '').trim()));
	const addresses = [canonical.find((address) => !address.includes(':')), canonical.find((address) => address.includes(':'))].filter(
		(address) => address !== undefined,
	);
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
