import type { Step } from '../transcript.ts';

const path = (plural: string, name = '') =>
	`/apis/apps/v1/namespaces/default/${plural}${name === '' ? '' : `/${name}`}`;
const labels = { app: 'x' };

const workload = (kind: string, name: string, spec: object, template: object = { metadata: { labels } }) => ({
	apiVersion: 'apps/v1',
	kind,
	metadata: { name, namespace: 'default' },
	spec: {
		selector: { matchLabels: labels },
		...spec,
		template: { spec: { containers: [{ name: 'a', image: 'x:1' }] }, ...template },
	},
});

const withProbes = {
	metadata: { labels },
	spec: {
		initContainers: [{ name: 'i', image: 'x' }],
		containers: [
			{
				name: 'a',
				image: 'x:1',
				env: [{ name: 'NODENAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
				ports: [{ containerPort: 80 }],
				livenessProbe: { httpGet: { path: '/healthz', port: 9179 } },
				startupProbe: { httpGet: { host: '127.0.0.1', path: '/healthz', port: 9179 }, failureThreshold: 9 },
			},
		],
		volumes: [
			{ name: 'c', configMap: { name: 'c' } },
			{ name: 'h', hostPath: { path: '/run' } },
		],
	},
};

/** Without managed fields: kube-apiserver leaves out structs that are always there. */
const filled = ['kind', 'spec', 'status'];

/** DaemonSets and Deployments as manifests: defaults, refusals and changes; without their controllers. */
export const workloads: readonly Step[] = [
	{
		title: 'a DaemonSet gets defaults, and its template those of a pod',
		method: 'POST',
		path: `${path('daemonsets')}?dryRun=All`,
		body: workload('DaemonSet', 'd', {}),
		only: filled,
	},
	{
		title: 'a Deployment gets defaults',
		method: 'POST',
		path: `${path('deployments')}?dryRun=All`,
		body: workload('Deployment', 'd', {}),
		only: filled,
	},
	{
		title: 'a template gets defaults of probes, fields, ports and volumes',
		method: 'POST',
		path: `${path('deployments')}?dryRun=All`,
		body: workload('Deployment', 'p', {}, withProbes),
		only: filled,
	},
	{
		title: 'a strategy keeps what is given',
		method: 'POST',
		path: `${path('deployments')}?dryRun=All`,
		body: workload('Deployment', 's', { replicas: 2, strategy: { rollingUpdate: { maxSurge: 0 } } }),
		only: filled,
	},
	{
		title: 'a strategy without a rolling update',
		method: 'POST',
		path: `${path('daemonsets')}?dryRun=All`,
		body: workload('DaemonSet', 'o', { updateStrategy: { type: 'OnDelete' } }),
		only: filled,
	},
	{
		title: 'a selector has to select the template',
		method: 'POST',
		path: path('daemonsets'),
		body: workload('DaemonSet', 'b', {}, { metadata: { labels: { app: 'y' } } }),
	},
	{
		title: 'an unknown member is refused where fields are validated',
		method: 'POST',
		path: `${path('deployments')}?fieldValidation=Strict`,
		body: workload('Deployment', 'u', { replica: 2 }),
	},
];
