/** A pod of a cluster under many policies of all shapes that Kubernetes has. */
import type { JsonObject } from '../../src/json/index.ts';
import { defaultNodeSettings, type NodePolicy, PolicyCalculator, PolicyFeed } from '../../src/policy/index.ts';

const applications = 400;
const podsOfAll = 2000;
/** Many policies name it, and only the last one allows it to the sender. */
export const probedPort = 8080;
const ports = [80, 443, 5432, 8080, 9090] as const;

/** Addresses of the two pods of this node that exchange packets. */
export interface Ends {
	readonly from: string;
	readonly to: string;
}

const pod = (name: string, node: string, address: string, labels: Readonly<Record<string, string>>): JsonObject => ({
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { name, namespace: 'ns', uid: name, labels: { ...labels } },
	spec: { nodeName: node, containers: [{ ports: [{ name: 'http', containerPort: 8080, protocol: 'UDP' }] }] },
	status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }] },
});

const udp = (port: number | string): JsonObject => ({ protocol: 'UDP', port });

/** Of ten policies, six name one application, two a network, one a namespace, one a named port. */
function ingressRule(index: number): JsonObject {
	const port = udp(ports[index % ports.length] ?? 80);
	const application = { matchLabels: { app: `app-${(index * 7) % applications}` } };
	switch (index % 10) {
		case 0:
		case 1: {
			const network = `10.${100 + (index >> 8)}.${index & 255}`;
			return { from: [{ ipBlock: { cidr: `${network}.0/24`, except: [`${network}.128/25`] } }], ports: [port] };
		}
		case 2:
			return {
				from: [{ namespaceSelector: { matchLabels: { team: `team-${index}` } } }, { podSelector: application }],
				ports: [port],
			};
		case 3:
			return { from: [{ podSelector: application }], ports: [udp('http'), port] };
		default:
			return { from: [{ podSelector: application }], ports: [port] };
	}
}

/**
 * `count` policies that select the receiver. Some name the sender's application, for another port;
 * only the last one allows its packets to `probedPort`.
 */
export function mixedPolicy(count: number, { from, to }: Ends): NodePolicy {
	const calculator = new PolicyCalculator({ node: 'here', settings: defaultNodeSettings });
	const feed = new PolicyFeed(calculator);
	feed.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns', labels: { team: 'own' } } });
	for (let index = 0; index < podsOfAll; index++)
		feed.put(
			pod(`p${index}`, 'there', `10.3.${index >> 8}.${index & 255}`, {
				app: `app-${index % applications}`,
				[`role-${index % 3}`]: 'yes',
			}),
		);
	feed.put(pod('a', 'here', from, { app: 'app-28', client: 'yes' }));
	feed.put(pod('b', 'here', to, { server: 'yes' }));
	for (let index = 0; index < count; index++)
		feed.put({
			apiVersion: 'networking.k8s.io/v1',
			kind: 'NetworkPolicy',
			metadata: { name: `p${String(index).padStart(5, '0')}`, namespace: 'ns' },
			spec: {
				podSelector: { matchLabels: { server: 'yes' } },
				ingress: [
					index < count - 1
						? ingressRule(index)
						: {
								from: [{ podSelector: { matchLabels: { client: 'yes' } } }],
								ports: [udp(probedPort)],
							},
				],
			},
		});
	calculator.takeChange();
	return calculator.state;
}
