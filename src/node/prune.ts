import { arrayAt, type JsonObject, objectAt, textAt } from '../json/index.ts';
import { networkConditionType } from './network-condition.ts';

/**
 * Reduces a Node to the fields for `toNodeFacts` and the network condition: the list of images and
 * the other conditions are most of its size.
 */
export function pruneNode(node: JsonObject): JsonObject {
	return {
		metadata: withoutManagedFields(node),
		spec: { podCIDRs: arrayAt(node, 'spec', 'podCIDRs') },
		status: {
			addresses: arrayAt(node, 'status', 'addresses'),
			conditions: arrayAt(node, 'status', 'conditions').filter(
				(condition) => textAt(condition, 'type') === networkConditionType,
			),
		},
	};
}

/** Reduces a CalicoNodeStatus to its request: the reported status may be large. */
export const pruneStatusRequest = (request: JsonObject): JsonObject => ({
	metadata: withoutManagedFields(request),
	spec: objectAt(request, 'spec'),
});

/** Reduces a Pod to metadata, phase and the fields for `toWorkload`. */
export const prunePod = (pod: JsonObject): JsonObject => ({
	metadata: withoutManagedFields(pod),
	spec: {
		hostNetwork: objectAt(pod, 'spec')['hostNetwork'] === true,
		serviceAccountName: textAt(pod, 'spec', 'serviceAccountName') ?? '',
	},
	status: {
		phase: textAt(pod, 'status', 'phase') ?? '',
		podIP: textAt(pod, 'status', 'podIP') ?? '',
		podIPs: arrayAt(pod, 'status', 'podIPs'),
	},
});

function withoutManagedFields(object: JsonObject): JsonObject {
	const { managedFields: _, ...metadata } = objectAt(object, 'metadata');
	return metadata;
}
