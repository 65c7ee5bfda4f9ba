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

/** Of a Pod its metadata, and whether it is over. */
export const prunePod = (pod: JsonObject): JsonObject => ({ metadata: withoutManagedFields(pod), status: { phase: textAt(pod, 'status', 'phase') ?? '' } });

function withoutManagedFields(object: JsonObject): JsonObject {
	const { managedFields: _, ...metadata } = objectAt(object, 'metadata');
	return metadata;
}
