import { arrayAt, type JsonObject, objectAt, textAt } from '../../kubernetes/index.ts';
import { networkConditionType } from './network-condition.ts';

/** Of a Node only what `toNodeFacts` reads, and what it says of the network: the list of images and the other conditions are most of it. */
export function pruneNode(node: JsonObject): JsonObject {
	return {
		metadata: withoutManagedFields(node),
		spec: { podCIDRs: arrayAt(node, 'spec', 'podCIDRs') },
		status: {
			addresses: arrayAt(node, 'status', 'addresses'),
			conditions: arrayAt(node, 'status', 'conditions').filter((condition) => textAt(condition, 'type') === networkConditionType),
		},
	};
}

/** Of a CalicoNodeStatus what it asks: what it was told may be large. */
export const pruneStatusRequest = (request: JsonObject): JsonObject => ({ metadata: withoutManagedFields(request), spec: objectAt(request, 'spec') });

/** Of a Pod its metadata, whether it is over, and what `toWorkload` reads. */
export const prunePod = (pod: JsonObject): JsonObject => ({
	metadata: withoutManagedFields(pod),
	spec: { hostNetwork: objectAt(pod, 'spec')['hostNetwork'] === true, serviceAccountName: textAt(pod, 'spec', 'serviceAccountName') ?? '' },
	status: { phase: textAt(pod, 'status', 'phase') ?? '', podIP: textAt(pod, 'status', 'podIP') ?? '', podIPs: arrayAt(pod, 'status', 'podIPs') },
});

function withoutManagedFields(object: JsonObject): JsonObject {
	const { managedFields: _, ...metadata } = objectAt(object, 'metadata');
	return metadata;
}
