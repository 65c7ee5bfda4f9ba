/** `connect()` of TCP from a pod to a service whose endpoint is another pod of the node, with policy at both. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addQuietNamespace, addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside, namespacePath } from '../../lab/frames/sockets.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { openNftables } from '../../lab/policy-table/frames-backend.ts';
import { openSocketMaps, SocketServices } from '../../src/ebpf/index.ts';
import { check, libc, loadRuleset, networkNamespaceCookie, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesServices } from '../../src/nftables/index.ts';
import { type DirectionPolicy, defaultNodeSettings, type NodePolicy, type Policy } from '../../src/policy/index.ts';
import { type ConnectResult, cloneNewNet, clusterIpOf, connects, modelOf } from './connect.ts';

/** `ebpf-redirect`: with `ebpf.podRedirect`. */
export type PodConnectResult = Omit<ConnectResult, 'way'> & {
	readonly way: 'endpoint' | 'nftables' | 'ebpf' | 'ebpf-redirect';
};

const pods = [
	{ name: 'a', address: '10.1.0.9', near: '02:00:00:00:00:0a' },
	{ name: 'b', address: '10.1.0.1', near: '02:00:00:00:00:0b' },
] as const;
const port = 8080;
const gateway = '169.254.1.1';

const policy: Policy = {
	...{ key: 'network-policy/ns/web', kind: 'network-policy', namespace: 'ns', name: 'web', staged: false, egress: [] },
	ingress: [
		{
			...{ action: 'allow', protocol: 6, source: {}, origin: 'ingress[0]' },
			destination: { ports: { ranges: [{ first: port, last: port }], sets: [] } },
		},
	],
};

function nodePolicy(): NodePolicy {
	const direction = (toward: 'ingress' | 'egress'): DirectionPolicy => ({
		...{ id: `d${toward}`, direction: toward, profiles: [], otherwise: 'allow' },
		tiers: toward === 'egress' ? [] : [{ tier: 'default', defaultAction: 'deny', policies: [policy.key] }],
	});
	const workloads = pods.map(({ name, address }) => ({
		...{ type: 'workload' as const, key: `ns/${name}`, interfaceName: `cali${name}`, addresses: [address] },
		...{ ingress: direction('ingress'), egress: direction('egress') },
	}));
	const { nodes } = defaultNodeSettings;
	return {
		...{ node: 'here', hosts: new Map(), settings: defaultNodeSettings },
		workloads: new Map(workloads.map((one) => [one.key, one])),
		policies: new Map([[policy.key, policy]]),
		sets: new Map([[nodes, { id: nodes, type: 'nets', meaning: 'nodes', members: new Set<string>() }]]),
	};
}

/** All ways one after the other; each stands alone. */
export async function benchPodConnect({
	connections,
	services,
}: {
	readonly connections: number;
	readonly services: number;
}): Promise<PodConnectResult[]> {
	const [, cgroupRoot] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
	if (cgroupRoot === undefined) throw new Error('no cgroup2 is mounted');
	const prefix = `bmd${process.pid}`;
	const [node, cgroup] = [`${prefix}n`, join(cgroupRoot, prefix)];
	const [from, to] = pods.map(({ name }) => `${prefix}${name}`) as [string, string];
	const own = openSync('/proc/thread-self/ns/net', 'r');
	addRouterNamespace(node);
	for (const { name, address, near } of pods) {
		addQuietNamespace(`${prefix}${name}`);
		ipBatch([`link add cali${name} address ${near} netns ${node} type veth peer name eth0 netns ${prefix}${name}`]);
		ipBatch([`link set cali${name} up`, `route add ${address}/32 dev cali${name}`], node);
		ipBatch(
			[
				...[
					'link set lo up',
					'link set eth0 up',
					`addr add ${address}/32 dev eth0`,
					`route add ${gateway}/32 dev eth0`,
				],
				...[`neigh replace ${gateway} lladdr ${near} dev eth0 nud permanent`, `route add default via ${gateway}`],
			],
			`${prefix}${name}`,
		);
	}
	const script = `require('node:net').createServer((s) => s.destroy()).listen({ port: ${port}, host: '${pods[1].address}', backlog: 4096 }, () => console.log('listens'))`;
	const server = spawn('ip', ['netns', 'exec', to, process.execPath, '-e', script], {
		...{ stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() },
	});
	mkdirSync(cgroup);
	try {
		await once(server.stdout, 'data');
		const there = openSync(namespacePath(from), 'r');
		check('setns', libc().setns(there, cloneNewNet));
		closeSync(there);
		writeFileSync(join(cgroup, 'cgroup.procs'), String(process.pid));
		const model = modelOf(services);
		const target = clusterIpOf(services + 1);
		const measure = async (way: PodConnectResult['way'], address: string, toPort: number) => {
			await connects(address, toPort, Math.min(200, connections));
			return { way, count: connections, ...(await connects(address, toPort, connections)) };
		};
		const results: PodConnectResult[] = [await measure('endpoint', pods[1].address, port)];
		const rules = inside(node, () => new NftablesServices({ load: (text) => inside(node, () => loadRuleset(text)) }));
		await rules.sync(model);
		try {
			const nftables = openNftables(node);
			await nftables.kernel.sync(nodePolicy());
			results.push(await measure('nftables', target, 80));
			nftables.close();
			const maps = openSocketMaps(undefined, { frontends: services + 64, backends: services + 64, sockets: 65_536 });
			const sockets = new SocketServices({ maps, cgroup, nodeCookie: inside(node, networkNamespaceCookie) });
			sockets.sync(model);
			sockets.attach();
			for (const redirect of [false, true]) {
				const ebpf = openEbpf(node, 'best', { redirect });
				try {
					await ebpf.kernel.sync(nodePolicy());
					results.push(await measure(redirect ? 'ebpf-redirect' : 'ebpf', target, 80));
				} finally {
					ebpf.close();
				}
			}
			sockets.close();
			for (const map of maps.values()) map.close();
		} finally {
			rules.close();
		}
		return results;
	} finally {
		server.kill('SIGKILL');
		writeFileSync(join(cgroupRoot, 'cgroup.procs'), String(process.pid));
		check('setns', libc().setns(own, cloneNewNet));
		closeSync(own);
		rmdirSync(cgroup);
		for (const namespace of [node, from, to]) removeNamespace(namespace);
	}
}
