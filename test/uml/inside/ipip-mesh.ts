/**
 * Inside user-mode-linux: three nodes with programmed kernels, and pods that communicate. Prints
 * one line of JSON for each statement.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { FibView } from '../../../src/core/index.ts';
import type { TunnelPool } from '../../../src/encapsulation/index.ts';
import { type NodeCommand, runNode } from './node.ts';
import { buildTopology, type NodePlan, nodes, run, runIn } from './topology.ts';

const pool: TunnelPool = { cidr: '192.168.0.0/16' as TunnelPool['cidr'], ipipMode: 'CrossSubnet', natOutgoing: false };

/** A node's programming process, in its namespace. */
class NodeProcess {
	readonly plan: NodePlan;
	log = '';
	#child: ChildProcess;
	#lines: Interface;
	/** Created at once: an exit before the wait is not reported again. */
	#ended: Promise<unknown>;

	constructor(plan: NodePlan) {
		this.plan = plan;
		this.#child = spawn('ip', ['netns', 'exec', plan.name, process.execPath, process.argv[1] ?? '', 'node'], {
			stdio: ['pipe', 'pipe', 'pipe'],
		});
		this.#ended = once(this.#child, 'exit');
		this.#child.stderr?.on('data', (chunk) => {
			this.log += chunk;
		});
		// The end is reported by 'exit'.
		this.#child.stdin?.on('error', () => {});
		if (this.#child.stdout === null) throw new Error('no output');
		this.#lines = createInterface({ input: this.#child.stdout });
	}

	async tell(command: NodeCommand): Promise<FibView> {
		this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
		const answer = await Promise.race([once(this.#lines, 'line'), this.#ended.then(() => undefined)]);
		if (answer === undefined) throw new Error(`node ${this.plan.name} ended: ${this.log}`);
		return (JSON.parse(String(answer[0])) as { view: FibView }).view;
	}

	/** `ip netns exec` became the process itself. */
	async kill(): Promise<void> {
		this.#child.kill('SIGKILL');
		await this.#ended;
	}

	start(pools: readonly TunnelPool[] = [pool]): Promise<FibView> {
		return this.tell({ type: 'start', pools, tunnelAddress: this.plan.tunnelAddress, blocks: [this.plan.block] });
	}

	/** The blocks of all the others. */
	learn(): Promise<FibView> {
		return this.tell({
			type: 'routes',
			changes: nodes
				.filter(({ name }) => name !== this.plan.name)
				.map(({ block, address }) => ({ prefix: block, nextHop: address })),
		});
	}
}

/** `undefined`: correct; otherwise the error. */
type Statement = { readonly title: string; readonly check: () => Promise<string | undefined> };

const lines = (text: string): string[] =>
	text
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '');
const routesOf = (node: string): string[] => lines(runIn(node, 'ip route show proto 80')).sort();
const expectEqual = (actual: unknown, expected: unknown): string | undefined =>
	JSON.stringify(actual) === JSON.stringify(expected)
		? undefined
		: `${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`;

/** Packets sent and lost. */
function ping(from: string, to: string, more = '-c 3 -i 0.05'): string {
	try {
		const [, sent, received] =
			/(\d+) packets transmitted, (\d+) received/.exec(runIn(from, `ping -W 2 ${more} ${to}`)) ?? [];
		return sent === received ? 'all' : `${received} of ${sent}`;
	} catch (error) {
		return `none: ${String(error)}`;
	}
}

const tunnelledPackets = (node: string): number => {
	const [link] = JSON.parse(runIn(node, 'ip -s -j link show tunl0')) as [{ stats64: { tx: { packets: number } } }];
	return link.stats64.tx.packets;
};

const [planA, planB, planC] = nodes as [NodePlan, NodePlan, NodePlan];
let a: NodeProcess;
let b: NodeProcess;
let c: NodeProcess;

const expectedA = [
	`192.168.2.0/26 via 10.0.1.3 dev eth0 metric 1024`,
	`192.168.3.0/26 via 10.0.2.2 dev tunl0 metric 1024 onlink`,
	`blackhole 192.168.1.0/26 metric 1024`,
];

/** Waits for an expected state; the parent process ends a wait in vain. */
async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

const statements: readonly Statement[] = [
	{
		title: 'direct in the subnet, through tunl0 across, a blackhole for the own block',
		async check() {
			for (const node of [a, b, c]) {
				await node.start();
				await node.learn();
				await node.tell({ type: 'in-sync' });
			}
			return expectEqual(routesOf('a'), expectedA);
		},
	},
	{
		title: 'tunl0 has the tunnel address and an MTU of 20 less than the wire',
		async check() {
			const [link] = JSON.parse(runIn('a', 'ip -j addr show dev tunl0')) as [
				{ mtu: number; flags: string[]; addr_info: { local: string; prefixlen: number }[] },
			];
			return expectEqual(
				[link.mtu, link.flags.includes('UP'), link.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`)],
				[1480, true, ['192.168.1.0/32']],
			);
		},
	},
	{
		title: 'pods in one subnet reach each other without the tunnel',
		async check() {
			const before = tunnelledPackets('a');
			return expectEqual([ping('pod-a', planB.pod), tunnelledPackets('a') - before], ['all', 0]);
		},
	},
	{
		title: 'pods across subnets reach each other through the tunnel, over a router without routes to pods',
		async check() {
			const before = tunnelledPackets('a');
			const podRoutes = lines(runIn('router', 'ip route show')).filter((line) => line.includes('192.168.'));
			return expectEqual([ping('pod-a', planC.pod), tunnelledPackets('a') - before, podRoutes], ['all', 3, []]);
		},
	},
	{
		title: 'a node reaches a pod across subnets under its tunnel address',
		check: async () =>
			expectEqual(
				[ping('a', planC.pod), runIn('a', `ip route get ${planC.pod}`).includes('src 192.168.1.0')],
				['all', true],
			),
	},
	{
		title: 'a packet of the tunnel’s MTU passes whole, one byte more does not',
		// 28 bytes are the headers of IP and ICMP.
		check: async () =>
			expectEqual(
				[
					ping('pod-a', planC.pod, '-c 2 -i 0.05 -M do -s 1452'),
					ping('pod-a', planC.pod, '-c 1 -M do -s 1453').slice(0, 4),
				],
				['all', 'none'],
			),
	},
	{
		title: 'an address of the own block without a pod is answered by the blackhole, not sent in a loop',
		async check() {
			const text = (() => {
				try {
					return runIn('a', 'ip route get 192.168.1.33');
				} catch (error) {
					return String(error);
				}
			})();
			return /Invalid argument|blackhole/.test(text) ? undefined : text;
		},
	},
	{
		title: 'routes of others are not touched',
		async check() {
			runIn('a', 'ip route add 192.168.77.0/26 via 10.0.1.1 proto static');
			runIn('a', 'ip route add 192.168.78.0/26 via 10.0.1.1 proto bird metric 1024');
			const before = lines(runIn('a', 'ip route show')).filter((line) => !line.includes('proto 80'));
			await a.tell({
				type: 'routes',
				changes: [
					{ prefix: '192.168.77.0/26', nextHop: '10.0.2.2' },
					{ prefix: '192.168.78.0/26', nextHop: '10.0.2.2' },
				],
			});
			await a.tell({ type: 'routes', changes: [{ prefix: '192.168.77.0/26' }, { prefix: '192.168.78.0/26' }] });
			const after = lines(runIn('a', 'ip route show')).filter((line) => !line.includes('proto 80'));
			return expectEqual(after, before);
		},
	},
	{
		title:
			'kill -9 of the programming process leaves the routes, and a restart loses no packet and writes nothing anew',
		async check() {
			const pinging = spawn('ip', ['netns', 'exec', 'pod-a', 'ping', '-q', '-i', '0.05', '-c', '150', planC.pod], {
				stdio: ['ignore', 'pipe', 'inherit'],
			});
			const pinged = once(pinging, 'exit');
			let output = '';
			pinging.stdout.on('data', (chunk) => {
				output += chunk;
			});
			await a.kill();
			const left = routesOf('a');
			const monitor = spawn('ip', ['netns', 'exec', 'a', 'ip', 'monitor', 'route'], {
				stdio: ['ignore', 'pipe', 'inherit'],
			});
			let changes = '';
			monitor.stdout.on('data', (chunk) => {
				changes += chunk;
			});
			a = new NodeProcess(planA);
			await a.start();
			await a.learn();
			await a.tell({ type: 'in-sync' });
			await pinged;
			monitor.kill();
			return expectEqual(
				[left, routesOf('a'), /(\d+ received)/.exec(output)?.[1], changes],
				[expectedA, expectedA, '150 received', ''],
			);
		},
	},
	{
		title: 'a route that a former life left is swept when all is in sync, not before',
		async check() {
			await a.kill();
			runIn('a', 'ip route add 192.168.99.0/26 via 10.0.1.3 metric 1024 proto 80');
			a = new NodeProcess(planA);
			await a.start();
			await a.learn();
			const before = routesOf('a').filter((line) => line.startsWith('192.168.99.')).length;
			await a.tell({ type: 'in-sync' });
			return expectEqual([before, routesOf('a')], [1, expectedA]);
		},
	},
	{
		title: 'a tunl0 that another program changes is set up again, with its routes',
		async check() {
			runIn('a', 'ip addr flush dev tunl0');
			runIn('a', 'ip addr add 172.20.0.1/24 dev tunl0');
			runIn('a', 'ip link set tunl0 mtu 1000');
			runIn('a', 'ip link set tunl0 down');
			await until(
				() =>
					routesOf('a').length === expectedA.length && runIn('a', 'ip addr show dev tunl0').includes('192.168.1.0/32'),
			);
			await a.tell({ type: 'look' });
			const text = runIn('a', 'ip addr show dev tunl0');
			return expectEqual(
				[routesOf('a'), text.includes('172.20.0.1'), text.includes('mtu 1480'), ping('pod-a', planC.pod)],
				[expectedA, false, true, 'all'],
			);
		},
	},
	{
		title: 'a smaller wire makes a smaller tunnel',
		async check() {
			runIn('a', 'ip link set eth0 mtu 1400');
			await until(() => runIn('a', 'ip link show tunl0').includes('mtu 1380'));
			runIn('a', 'ip link set eth0 mtu 1500');
			await until(() => runIn('a', 'ip link show tunl0').includes('mtu 1480'));
			return undefined;
		},
	},
	{
		title: 'with ipipMode Always the tunnel is used in the subnet too, with Never the way leads over the router',
		async check() {
			await a.kill();
			a = new NodeProcess(planA);
			await a.start([{ ...pool, ipipMode: 'Always' }]);
			await a.learn();
			const always = routesOf('a').filter((line) => line.includes('tunl0')).length;
			await a.kill();
			a = new NodeProcess(planA);
			await a.start([{ ...pool, ipipMode: 'Never' }]);
			await a.learn();
			await a.tell({ type: 'in-sync' });
			return expectEqual([always, routesOf('a')[1]], [2, '192.168.3.0/26 via 10.0.1.1 dev eth0 metric 1024']);
		},
	},
	{
		title: 'without nftables the missing guard is reported once, and everything else works',
		async check() {
			const said = c.log.split('\n').filter((line) => line.includes('"rules":"guard"'));
			return expectEqual([said.length, said[0]?.includes('"warn"')], [1, true]);
		},
	},
];

async function main(): Promise<void> {
	buildTopology();
	[a, b, c] = [new NodeProcess(planA), new NodeProcess(planB), new NodeProcess(planC)];
	for (const { title, check } of statements) {
		const problem = await check().catch((error: unknown) =>
			error instanceof Error ? (error.stack ?? error.message) : String(error),
		);
		process.stdout.write(`${JSON.stringify({ title, problem })}\n`);
	}
	run('true');
	process.exit(0);
}

if (process.argv[2] === 'node') await runNode();
else await main();
