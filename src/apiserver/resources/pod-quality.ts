import { arrayAt, type JsonObject, objectAt } from '../../json/index.ts';

/** The resources that count; a zero quantity counts as absent. */
const counted = ['cpu', 'memory'];
const isSome = (amount: unknown): boolean =>
	amount !== undefined && amount !== null && !/^0*\.?0+[a-zA-Z]*$/.test(String(amount));

/**
 * The QoS class of a pod. BestEffort: no requests and no limits; Guaranteed: every container has
 * CPU and memory limits equal to its requests; else Burstable.
 */
export function qosClass(pod: JsonObject): 'BestEffort' | 'Burstable' | 'Guaranteed' {
	const containers = [...arrayAt(pod, 'spec', 'containers'), ...arrayAt(pod, 'spec', 'initContainers')].map(
		(container) => ({
			limits: objectAt(container, 'resources', 'limits'),
			requests: objectAt(container, 'resources', 'requests'),
		}),
	);
	const asks = containers.some(({ limits, requests }) =>
		counted.some((name) => isSome(limits[name]) || isSome(requests[name])),
	);
	if (!asks) return 'BestEffort';
	const bound = containers.every(({ limits, requests }) =>
		counted.every((name) => isSome(limits[name]) && (requests[name] ?? limits[name]) === limits[name]),
	);
	return bound ? 'Guaranteed' : 'Burstable';
}
