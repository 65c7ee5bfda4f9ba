import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import type { AddressGrantsView, ControlClient } from '../../src/control/index.ts';
import { calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { startEmptyKubeServer } from '../support/kube-server.ts';
import { enterRouting, ip, ipAt, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;
const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];
const devices = { ipv4: 'vxlan.calico', ipv6: 'vxlan-v6.calico' } as const;
const hub = { ipv4: '10.0.1.1', ipv6: 'fd00:1::1' } as const;
const lengths = { ipv4: 24, ipv6: 64 } as const;

interface TestNode {
	readonly name: string;
	readonly daemon: RunningDaemon;
	/** The process whose network namespace is the node's. */
	readonly pid: number;
	readonly addresses: Readonly<Record<Family, string>>;
	/** Of a pod of the node; on the node's loopback. */
	readonly pod: Record<Family, string>;
}

/** A namespace of its own for a node, IPv6 addresses usable at once. */
function enterNode(t: ExecutionContext): number {
	enterRouting();
	writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0');
	const holder = spawn('sleep', ['600'], { stdio: 'ignore', env: systemEnvironment() });
	t.teardown(() => holder.kill());
	return holder.pid ?? 0;
}

/** Three nodes on one segment, whose switch is this process's namespace. */
function buildNodes(t: ExecutionContext): readonly TestNode[] {
	const nodes = ['a', 'b', 'c'].map((letter, at) => ({
		name: `node-${letter}`,
		daemon: new RunningDaemon(),
		pid: enterNode(t),
		addresses: { ipv4: `10.0.1.${at + 2}`, ipv6: `fd00:1::${at + 2}` },
		pod: { ipv4: '', ipv6: '' },
	}));
	enterNode(t);
	ip('link add br0 type bridge');
	ip('link set br0 up');
	for (const family of families) ip(`addr add ${hub[family]}/${lengths[family]} dev br0`);
	for (const { name, pid, addresses } of nodes) {
		ip(`link add ${name} type veth peer name eth0`);
		ip(`link set eth0 netns ${pid}`);
		ip(`link set ${name} master br0 up`);
		ipAt(pid, 'link set eth0 up');
		for (const family of families) ipAt(pid, `addr add ${addresses[family]}/${lengths[family]} dev eth0`);
	}
	return nodes;
}

const inNode = (pid: number, ...words: string[]) =>
	execFileSync('nsenter', ['-t', String(pid), '-n', ...words], { encoding: 'utf8', env: systemEnvironment() });

/** Established sessions, by the address of the neighbour. */
const established = async ({ daemon }: TestNode): Promise<readonly string[]> =>
	daemon.until(
		'the peers',
		async (control) => {
			const { peers } = await control.ask('peers', {});
			return peers.flatMap(({ address, state }) => (state === 'established' ? [address] : []));
		},
		() => true,
	);

/** Pings of a pod's address from another one, until `stop`; resolves with the sequence numbers. */
function startPings(
	t: ExecutionContext,
	from: TestNode,
	to: TestNode,
	family: Family,
): { readonly stop: () => Promise<readonly number[]> } {
	const [source, target] = [from.pod[family], to.pod[family]];
	const child = spawn('nsenter', ['-t', String(from.pid), '-n', 'ping', '-n', '-i', '0.05', '-I', source, target], {
		stdio: ['ignore', 'pipe', 'inherit'],
		env: systemEnvironment(),
	});
	t.teardown(() => child.kill('SIGKILL'));
	let text = '';
	child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
		text += chunk;
	});
	return {
		async stop() {
			child.kill('SIGINT');
			await once(child, 'close');
			return [...text.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence));
		},
	};
}

const cniAdd = (name: string) => ({
	network: 'pods',
	containerId: `container-of-${name}`,
	ifname: 'eth0',
	pod: { namespace: 'default', name: `pod-of-${name}` },
	families: [...families],
	ipv4Pools: [],
	ipv6Pools: [],
});

/** Starts the daemons, and gives each node a pod of both families. */
async function startDaemons(t: ExecutionContext, nodes: readonly TestNode[]) {
	const folder = nodes[0]?.daemon.folder ?? '';
	const { kubeconfig, client } = await startEmptyKubeServer(t, folder, hub.ipv4);
	for (const { name, addresses } of nodes)
		await client.create(coreKinds.nodes, {
			apiVersion: 'v1',
			kind: 'Node',
			metadata: { name },
			status: { addresses: families.map((family) => ({ type: 'InternalIP', address: addresses[family] })) },
		});
	for (const [name, cidr, blockSize] of [
		['pods4', '10.20.0.0/16', 26],
		['pods6', 'fd20::/112', 122],
	] as const)
		await client.create(kinds.pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name },
			spec: { cidr, blockSize, nodeSelector: 'all()', ipipMode: 'Never', vxlanMode: 'Always' },
		});
	await client.create(kinds.bgpConfigurations, {
		apiVersion: layout,
		kind: 'BGPConfiguration',
		metadata: { name: 'default' },
		spec: { asNumber: 64512, nodeToNodeMeshEnabled: true },
	});
	for (const { name, daemon, pid } of nodes) {
		writeFileSync(
			daemon.configFile,
			`node: ${name}\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\nbgp: { asNumber: 64512, inSyncTimeoutSeconds: 1 }\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n`,
		);
		daemon.runAs(['nsenter', '-t', String(pid), '-n'], 0);
	}
	await Promise.all(nodes.map(({ daemon }) => daemon.start(t)));
	for (const { name, daemon, pid, pod } of nodes) {
		t.is(daemon.exitCode, undefined, daemon.log);
		await daemon.until(
			'addresses can be given',
			(control) => control.ask('cniStatus', {}).catch(() => ({ ready: false })),
			({ ready }) => ready,
		);
		const { addresses } = (await daemon.until(
			'addresses are given',
			(control: ControlClient) => control.ask('cniAdd', { request: cniAdd(name) }),
			() => true,
		)) as AddressGrantsView;
		t.deepEqual(addresses.map(({ family }) => family).sort(), [...families]);
		for (const { family, address } of addresses) {
			pod[family] = address;
			ipAt(pid, `addr add ${address}/${family === 'ipv4' ? 32 : 128} dev lo`);
		}
	}
	return client;
}

kernelTest(
	`three nodes of both families: sessions, routes and pings over VXLAN of both, and another IPv6 address of a node loses nothing${note}`,
	async (t) => {
		const nodes = buildNodes(t);
		const client = await startDaemons(t, nodes);
		const [a, b, c] = nodes;
		if (a === undefined || b === undefined || c === undefined) throw new RangeError('three nodes');
		const pairs = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => ({ from, to })));

		for (const node of nodes) {
			const others = nodes.filter((other) => other !== node);
			const expected = others.flatMap(({ addresses }) => Object.values(addresses)).sort();
			await node.daemon.until(
				'a session with each node over each family',
				async () => (await established(node)).toSorted().join(),
				(found) => found === expected.join(),
			);
			for (const family of families)
				await eventually(
					`${node.name} has a route to each block through the tunnel of ${family}`,
					() =>
						ipAt(node.pid, `-${family === 'ipv4' ? 4 : 6} route show proto 80`)
							.split('\n')
							.filter((line) => line.includes(`dev ${devices[family]}`) && line.includes('onlink')).length ===
						others.length,
				);
		}
		for (const { from, to } of pairs)
			for (const family of families) {
				// Neighbours and the guard of the other node may follow a moment later.
				const reaches = () => {
					try {
						inNode(from.pid, 'ping', '-c', '1', '-W', '2', '-I', from.pod[family], to.pod[family]);
						return true;
					} catch {
						return false;
					}
				};
				await eventually(`${from.name} reaches the pod of ${to.name} over ${family}`, reaches);
			}

		// Node b gets another IPv6 address, the old one stays until no node uses it.
		const pings = pairs.flatMap(({ from, to }) => families.map((family) => startPings(t, from, to, family)));
		const [before, after] = [b.addresses.ipv6, 'fd00:1::33'];
		ipAt(b.pid, `addr add ${after}/64 dev eth0`);
		await client.patch(
			coreKinds.nodes,
			b.name,
			{ metadata: { annotations: { 'projectcalico.org/IPv6Address': `${after}/64` } } },
			'application/merge-patch+json',
		);
		const entries = ({ pid }: TestNode) =>
			inNode(pid, 'bridge', 'fdb', 'show', 'dev', devices.ipv6) + ipAt(pid, `-d link show ${devices.ipv6}`);
		const uses = (text: string, address: string) => text.split(/\s+/).includes(address);
		for (const node of nodes)
			await node.daemon.until(
				`${node.name} uses the new address alone`,
				async () => [entries(node), await established(node)] as const,
				([text, sessions]) =>
					uses(text, after) &&
					!uses(text, before) &&
					(node === b || sessions.includes(after)) &&
					!sessions.includes(before),
			);
		t.deepEqual((await established(b)).toSorted(), [a, c].flatMap(({ addresses }) => Object.values(addresses)).sort());
		ipAt(b.pid, `addr del ${before}/64 dev eth0`);
		for (const { from, to } of pairs)
			for (const family of families)
				inNode(from.pid, 'ping', '-c', '1', '-W', '20', '-I', from.pod[family], to.pod[family]);
		for (const [index, { stop }] of pings.entries()) {
			const { from, to } = pairs[index >> 1] ?? { from: a, to: b };
			const which = `${families[index % 2]} from ${from.name} to ${to.name}`;
			const seen = new Set(await stop());
			const last = Math.max(...seen);
			t.true(last > 20, `${which}: ${last} packets`);
			const lost = Array.from({ length: last }, (_, at) => at + 1).filter((sequence) => !seen.has(sequence));
			t.deepEqual(lost, [], which);
		}
		for (const { daemon } of nodes) {
			const { problems } = (await daemon.ask('status')) as { readonly problems: readonly unknown[] };
			t.deepEqual(problems, []);
		}
	},
);
