import { must } from '../commands.ts';
import { binary } from './binaries.ts';
import { Checks } from './checks.ts';
import type { RealCluster } from './cluster.ts';
import { wrongDataplaneOf } from './dataplane.ts';
import { imageNames } from './images.ts';
import type { SpecResults } from './specs.ts';
import type { ClusterTopology } from './topology.ts';

const namespace = 'smoke';
const port = 8080;
/** The first node's server responds here, on its node. */
const hostPort = 18_080;

/** A server and a client on each node, and a Service in front of the servers. Pure. */
function smokeManifests(nodes: readonly string[]): string {
	const pod = (role: string, node: string, args: readonly string[], ports: readonly object[] = []) => ({
		apiVersion: 'v1',
		kind: 'Pod',
		metadata: {
			...{ name: `${role}-${node}`, namespace, labels: { role, node } },
			...(ports.length === 0 ? {} : { annotations: { 'kubernetes.io/egress-bandwidth': '100M' } }),
		},
		spec: {
			nodeName: node,
			terminationGracePeriodSeconds: 0,
			containers: [{ name: role, image: imageNames.agnhost, args, ports }],
		},
	});
	const items = [
		{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
		...nodes.flatMap((node) => [
			pod(
				'server',
				node,
				['netexec', `--http-port=${port}`],
				node === nodes[0] ? [{ containerPort: port, hostPort }] : [],
			),
			pod('client', node, ['pause']),
		]),
		{
			apiVersion: 'v1',
			kind: 'Service',
			metadata: { name: 'servers', namespace },
			spec: { selector: { role: 'server' }, ports: [{ port: 80, targetPort: port }] },
		},
	];
	return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** Only the client on `node` may reach the servers. Pure. */
const smokePolicy = (node: string): string =>
	JSON.stringify({
		apiVersion: 'networking.k8s.io/v1',
		kind: 'NetworkPolicy',
		metadata: { name: 'one-client', namespace },
		spec: {
			podSelector: { matchLabels: { role: 'server' } },
			ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client', node } } }] }],
		},
	});

/**
 * Checks the required behaviour of every cluster, in a minute: pods on every node, exec, DNS, a
 * Service, a policy.
 */
export async function runSmoke(
	cluster: RealCluster,
	{ controlPlane: controlPlaneAddress, nodes: addressed }: ClusterTopology,
	progress: (text: string) => void,
): Promise<SpecResults> {
	const { controlPlane, workers, choice } = cluster;
	const nodes = workers.map(({ name }) => name);
	const checks = new Checks(progress);
	const check = checks.check.bind(checks);
	const inClient = (node: string, command: readonly string[]) =>
		controlPlane.try(['-n', namespace, 'exec', `client-${node}`, '--', ...command]);
	const connect = (node: string, target: string) => inClient(node, ['/agnhost', 'connect', target, '--timeout=3s']);
	const reaches = async (node: string, target: string) => {
		const { status, stdout, stderr } = await connect(node, target);
		return status === 0 ? undefined : (stdout + stderr).trim();
	};

	for (const node of nodes)
		await check(`packets of pods of ${node} are judged by ${choice.dataplane}`, async () => {
			const wrong = await wrongDataplaneOf(cluster, node);
			return wrong.length === 0 ? undefined : wrong.join('; ');
		});
	await controlPlane.kubectl(['apply', '-f', '-'], smokeManifests(nodes));
	await check('pods on every node become ready', async () => {
		await controlPlane.kubectl(['-n', namespace, 'wait', 'pod', '--all', '--for=condition=Ready', '--timeout=120s']);
		return undefined;
	});
	const addressOf = async (name: string) =>
		(await controlPlane.kubectl(['-n', namespace, 'get', 'pod', name, '-o', 'jsonpath={.status.podIP}'])).trim();
	await check('the annotations of a pod have its address', async () => {
		const name = `server-${nodes[0]}`;
		const path = '{.metadata.annotations.cni\\.projectcalico\\.org/podIPs}';
		const given = await controlPlane.kubectl(['-n', namespace, 'get', 'pod', name, '-o', `jsonpath=${path}`]);
		return given === `${await addressOf(name)}/32` ? undefined : `podIPs is '${given}'`;
	});
	await check('a hostPort and the bandwidth annotation: the chained plugins', async () => {
		const url = `http://${addressed[0]?.address}:${hostPort}/hostname`;
		const [program = '', ...within] = cluster.withinRouter;
		const name = await must(program, [...within, binary('curl'), '-s', '--max-time', '5', url]);
		if (name !== `server-${nodes[0]}`) return `${url} answers '${name}'`;
		const shaped = (await workers[0]?.exec(['tc', 'qdisc', 'show'])) ?? '';
		return shaped.includes('rate 100Mbit') ? undefined : `no qdisc has the rate: ${shaped}`;
	});
	for (const from of nodes) {
		await check(`kubectl exec in a pod of ${from}`, async () => {
			const { stdout } = await inClient(from, ['hostname']);
			return stdout.trim() === `client-${from}` ? undefined : `hostname is '${stdout.trim()}'`;
		});
		for (const to of nodes)
			await check(`a pod of ${from} reaches a pod of ${to}`, async () =>
				reaches(from, `${await addressOf(`server-${to}`)}:${port}`),
			);
		await check(`a pod of ${from} reaches a Service by its name`, () => reaches(from, `servers.${namespace}:80`));
		await check(`a pod of ${from} reaches the world outside`, () => reaches(from, `${controlPlaneAddress}:6443`));
	}
	const [allowed = '', ...denied] = nodes;
	const target = `${await addressOf(`server-${allowed}`)}:${port}`;
	await controlPlane.kubectl(['apply', '-f', '-'], smokePolicy(allowed));
	for (const node of denied)
		await check(`a policy keeps a pod of ${node} out`, async () => {
			for (let attempt = 0; attempt < 10; attempt++) {
				const { status } = await connect(node, target);
				if (status !== 0) return undefined;
			}
			return 'the connection is still made after ten attempts';
		});
	await check(`a policy lets a pod of ${allowed} in`, () => reaches(allowed, target));
	await controlPlane.kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=90s']);
	return checks.results();
}
