import { imageNames } from './images.ts';

/** The namespace of all pods of the run. */
export const namespace = 'chaos';

/** The Deployment whose pods come and go on a node. */
export const crowdNames = (node: string): string => `crowd-${node}`;

/** Sleeps; needs no API server to start, since it has no token. */
const sleeper = {
	automountServiceAccountToken: false,
	enableServiceLinks: false,
	terminationGracePeriodSeconds: 0,
	containers: [{ name: 'sleeper', image: imageNames.pause }],
};

/**
 * On each node a pod to send from, and a Deployment of sleeping pods. A policy selects each of
 * them, so that each has rules in the kernel. Pure.
 */
export function chaosManifests(nodes: readonly string[]): string {
	const items = [
		{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
		{
			apiVersion: 'networking.k8s.io/v1',
			kind: 'NetworkPolicy',
			metadata: { name: 'all-pods', namespace },
			spec: { podSelector: {}, ingress: [{ from: [{ namespaceSelector: {} }] }] },
		},
		...nodes.flatMap((node) => [
			{
				apiVersion: 'v1',
				kind: 'Pod',
				metadata: { name: `client-${node}`, namespace },
				spec: {
					nodeName: node,
					terminationGracePeriodSeconds: 0,
					containers: [{ name: 'client', image: imageNames.agnhost, args: ['pause'] }],
				},
			},
			{
				apiVersion: 'apps/v1',
				kind: 'Deployment',
				metadata: { name: crowdNames(node), namespace },
				spec: {
					replicas: 8,
					selector: { matchLabels: { crowd: node } },
					template: {
						metadata: { labels: { crowd: node } },
						spec: { ...sleeper, nodeSelector: { 'kubernetes.io/hostname': node } },
					},
				},
			},
		]),
	];
	return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** A pod that the kubelet reads from its folder. Pure. */
export const staticPod = (): string =>
	JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'static', namespace }, spec: sleeper });
