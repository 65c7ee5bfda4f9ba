import { arrayAt, isObject, type JsonObject, objectAt } from '../json/index.ts';

/** Of a Pod what `toPodFacts` reads: the rest is most of it. */
export function prunePolicyPod(pod: JsonObject): JsonObject {
	const spec = objectAt(pod, 'spec');
	const status = objectAt(pod, 'status');
	const ports = (name: string) =>
		arrayAt(spec, name).map((container) => ({ ports: isObject(container) ? container['ports'] : undefined }));
	return {
		metadata: prunedMetadata(pod, ['cni.projectcalico.org/podIP', 'cni.projectcalico.org/podIPs']),
		spec: {
			nodeName: spec['nodeName'],
			hostNetwork: spec['hostNetwork'],
			serviceAccountName: spec['serviceAccountName'],
			initContainers: ports('initContainers'),
			containers: ports('containers'),
		},
		status: { phase: status['phase'], podIP: status['podIP'], podIPs: status['podIPs'] },
	};
}

/** Of a Node its addresses, those in annotations too. */
export const prunePolicyNode = (node: JsonObject): JsonObject => ({
	metadata: prunedMetadata(
		node,
		Object.keys(objectAt(node, 'metadata', 'annotations')).filter((name) => name.startsWith('projectcalico.org/')),
	),
	status: { addresses: arrayAt(node, 'status', 'addresses') },
});

/** Of an object whose labels alone matter: Namespace and ServiceAccount. */
export const pruneLabelled = (object: JsonObject): JsonObject => ({ metadata: prunedMetadata(object, []) });

/** Of an EndpointSlice what `toEndpointSlice` reads. */
export const prunePolicySlice = (slice: JsonObject): JsonObject => ({
	metadata: prunedMetadata(slice, []),
	addressType: slice['addressType'],
	endpoints: arrayAt(slice, 'endpoints').map((endpoint) => ({
		addresses: isObject(endpoint) ? endpoint['addresses'] : undefined,
	})),
	ports: slice['ports'],
});

/** A policy or set without what servers write into metadata. */
export const pruneSpecified = (object: JsonObject): JsonObject => ({
	metadata: prunedMetadata(object, []),
	spec: object['spec'],
});

function prunedMetadata(object: JsonObject, annotations: readonly string[]): JsonObject {
	const { name, namespace, uid, resourceVersion, generation, deletionTimestamp, labels } = objectAt(object, 'metadata');
	const given = objectAt(object, 'metadata', 'annotations');
	const kept = Object.fromEntries(
		annotations.filter((key) => Object.hasOwn(given, key)).map((key) => [key, given[key]]),
	);
	return {
		name,
		namespace,
		uid,
		resourceVersion,
		generation,
		deletionTimestamp,
		labels,
		...(Object.keys(kept).length === 0 ? {} : { annotations: kept }),
	};
}
