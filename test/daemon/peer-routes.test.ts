import { spawn } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import type { ControlClient } from '../../src/control/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { KubeNode } from '../support/kube-node.ts';
import { enterRouting, ip, ipAt, link, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

/**
 * A top-of-rack router at 10.9.0.1 behind a plain router with two links to the node: 10.0.1.1 and
 * 10.0.3.1. The node, whose namespace this process is in, has no default route.
 */
async function build(t: ExecutionContext): Promise<{ readonly tor: RunningDaemon; readonly node: KubeNode }> {
	enterRouting();
	ip('addr add 10.9.0.1/32 dev lo');
	const tor = new RunningDaemon();
	tor.configure(
		[
			'asNumber: 64999',
			'routerId: 10.9.0.1',
			'ebgpRequiresPolicy: false',
			'listen: { address: 10.9.0.1, port: 179 }',
			'peers: [ { name: node, address: 10.0.1.2, localAddress: 10.9.0.1, asNumber: 64512, multihopTtl: 255, passive: true } ]',
			'originate: [ 10.50.0.0/24 ]',
		].join('\n'),
	);
	await tor.start(t);
	enterRouting();
	const router = spawn('sleep', ['600'], { stdio: 'ignore', env: systemEnvironment() });
	t.teardown(() => router.kill());
	const between = router.pid ?? 0;
	enterRouting();
	link(between, ['up0', '10.0.1.2/24'], ['r0', '10.0.1.1/24']);
	link(between, ['up1', '10.0.3.2/24'], ['r1', '10.0.3.1/24']);
	link(tor.pid, ['r9', '10.8.0.1/24'], ['t0', '10.8.0.2/24'], between);
	ipAt(between, 'route add 10.9.0.1 via 10.8.0.2');
	ipAt(tor.pid, 'route add default via 10.8.0.1');
	const node = new KubeNode('node-a');
	await node.start(t, {
		address: '10.0.1.2/24',
		bgp: '{ asNumber: 64512, listen: { address: 10.0.1.2, port: 179 } }',
		rest: 'fib: { enabled: true }',
	});
	return { tor, node };
}

const ours = () =>
	ip('route show proto 80')
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '')
		.sort();
const peers = async (daemon: ControlClient) => (await daemon.ask('peers', {})).peers;
const spec = { peerIP: '10.9.0.1', asNumber: 64999 };

kernelTest(
	`a peer behind a gateway is reached, through the new gateway when that changes, and its route is removed after its session${note}`,
	async (t) => {
		const { tor, node } = await build(t);
		await node.peer('tor', { ...spec, reachableBy: '10.0.1.1' });
		const first = await node.daemon.until(
			'the session is established',
			peers,
			([peer]) => peer?.state === 'established',
		);
		await node.daemon.until(
			'what lies behind the peer is in the kernel',
			async () => ours(),
			(routes) => routes.length === 2,
		);
		t.deepEqual(ours(), ['10.50.0.0/24 via 10.0.1.1 dev up0 metric 1024', '10.9.0.1 via 10.0.1.1 dev up0 metric 1024']);
		const shown = await node.daemon.until(
			'the reason is shown',
			(daemon) => daemon.ask('fib', {}),
			({ routes }) => routes.length === 2,
		);
		t.is(shown.routes.find(({ prefix }) => prefix === '10.9.0.1/32')?.reason, 'reachableBy of BGPPeer tor');

		await node.peer('tor', { ...spec, reachableBy: '10.0.3.1' });
		await node.daemon.until(
			'both go by the other gateway',
			async () => ours(),
			(routes) => routes.every((route) => route.includes('via 10.0.3.1')),
		);
		t.deepEqual(ours(), ['10.50.0.0/24 via 10.0.3.1 dev up1 metric 1024', '10.9.0.1 via 10.0.3.1 dev up1 metric 1024']);
		const second = await node.daemon.until('the session is there', peers, ([peer]) => peer !== undefined);
		t.is(second[0]?.since, first[0]?.since);

		await node.removePeer('tor');
		await node.daemon.until('the peer is gone', peers, (answer) => answer.length === 0);
		await node.daemon.until(
			'its route is gone',
			async () => ours(),
			(routes) => routes.length === 0,
		);
		// The peer received the NOTIFICATION, which used the route.
		const [told] = await tor.until('the session is over', peers, ([peer]) => peer?.state !== 'established');
		t.is(told?.lastNotificationReceived?.code, 6, JSON.stringify(told));
	},
);

kernelTest(`a missing gateway is reported in status and log, and used once it is present${note}`, async (t) => {
	const { node } = await build(t);
	await node.peer('tor', { ...spec, reachableBy: '10.7.0.1' });
	const { problems } = await node.daemon.until(
		'status has it',
		(daemon) => daemon.ask('status', {}),
		({ problems }) => problems.some(({ id }) => id === 'peer-route-failed'),
	);
	t.regex(
		problems.map(({ reason }) => reason).join('\n'),
		/no route to 10\.9\.0\.1\/32 via 10\.7\.0\.1 \(reachableBy of BGPPeer tor\): /,
	);
	t.regex(node.daemon.log, /the kernel refused a route.*10\.9\.0\.1\/32/);
	t.deepEqual(ours(), []);
	ip('addr add 10.7.0.2/24 dev up1');
	await node.daemon.until(
		'the route stands',
		async () => ours(),
		(routes) => routes.length === 1,
	);
	t.deepEqual(ours(), ['10.9.0.1 via 10.7.0.1 dev up1 metric 1024']);
});

kernelTest(
	`the route of a peer stays through a restart and is removed if the peer was removed meanwhile${note}`,
	async (t) => {
		const { node } = await build(t);
		await node.peer('tor', { ...spec, reachableBy: '10.0.1.1' });
		await node.daemon.until('the session is established', peers, ([peer]) => peer?.state === 'established');
		node.daemon.signal('SIGKILL');
		await node.daemon.ended();
		t.true(ours().includes('10.9.0.1 via 10.0.1.1 dev up0 metric 1024'));
		await node.removePeer('tor');
		await node.daemon.start(t);
		await node.daemon.until(
			'what is not wanted any more is swept',
			async () => ours(),
			(routes) => routes.length === 0,
		);
		t.pass();
	},
);
