import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'ava';
import type { ControlClient, PeersView, RoutesView, StatusView } from '../../src/control/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces, watchDeletions } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

const prefixes = (answer: RoutesView) => [...new Set(answer.routes.map(({ prefix }) => `${prefix}`))].sort();
const allRoutes = (daemon: ControlClient) => daemon.ask('routes', {}) as Promise<RoutesView>;
const status = (daemon: ControlClient) => daemon.ask('status', {}) as Promise<StatusView>;
async function metrics({ socket }: RunningDaemon): Promise<string> {
	const response = await new Promise<IncomingMessage>((resolve, reject) =>
		get({ socketPath: socket, path: '/metrics' }, resolve).on('error', reject),
	);
	return text(response);
}
/** Own routes in the kernel, as in `ip route`. */
const kernel = () =>
	ip('route show proto 80')
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '')
		.sort();

const speaker = (own: string, identifier: string, peers: string, more = '') =>
	`asNumber: 64512\nrouterId: ${identifier}\nlisten: { address: ${own}, port: 1790 }\npeers: [ ${peers} ]\n${more}`;
const peer = (name: string, own: string, address: string, more = '') =>
	`{ name: ${name}, address: ${address}, port: 1790, localAddress: ${own}, asNumber: 64512, connectRetrySeconds: 1${more} }`;

/**
 * The node in the middle (a reflector with its own links), one that announces routes, one that
 * observes the reflected routes.
 */
function world() {
	const [node, source, watcher] = [new RunningDaemon(), new RunningDaemon(), new RunningDaemon()];
	const [own, from, to] = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
	const client = ', reflectorClient: true';
	return {
		node,
		source,
		watcher,
		configure(
			routes: string,
			{ more = '', rest = 'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]', toWatcher = '', policies = '' } = {},
		) {
			const peers = `${peer('source', own, from, client)}, ${peer('watcher', own, to, `${client}${toWatcher}`)}`;
			node.configure(speaker(own, '10.0.0.1', peers, `clusterId: 10.0.0.1\n${more}`), `${rest}\n${policies}`);
			source.configure(speaker(from, '10.0.0.2', peer('node', from, own), `originate: [ ${routes} ]`));
			watcher.configure(speaker(to, '10.0.0.3', peer('node', to, own)));
		},
	};
}
const via = (prefix: string, nextHop: string) => `{ prefix: ${prefix}, nextHop: ${nextHop} }`;

kernelTest(
	`[C149] a next hop lost with its link removes its routes from neighbours and kernel, and restores them; others stay unchanged${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.1/24']);
		addInterface('up1', ['10.0.2.1/24']);
		const { node, source, watcher, configure } = world();
		configure(
			[via('192.168.1.0/26', '10.0.1.9'), via('192.168.2.0/26', '10.0.2.9'), via('192.168.3.0/26', '10.0.9.9')].join(
				', ',
			),
		);
		await Promise.all([node.start(t), source.start(t), watcher.start(t)]);
		await watcher.until('both are there', allRoutes, (answer) => prefixes(answer).length === 2);
		t.deepEqual(prefixes(await allRoutesOf(watcher)), ['192.168.1.0/26', '192.168.2.0/26']);
		await node.until(
			'the kernel has both',
			() => Promise.resolve(kernel()),
			(lines) => lines.length === 2,
		);

		await watcher.until('End-of-RIB is in, too', status, ({ rib }) => rib.inSync);

		// An unreachable next hop is visible.
		t.regex((await node.cli('explain', '192.168.3.0/26')).stdout, /NEXT_HOP is unreachable/);
		t.regex((await node.cli('routes', '192.168.3.0/26')).stdout, /NEXT_HOP is unreachable/);
		t.deepEqual((await statusOf(node)).nextHops, { tracked: 3, unreachable: ['10.0.9.9'] });
		t.regex((await node.cli('status')).stdout, /Next hops +3, of which not reachable: 10\.0\.9\.9/);
		t.regex(await metrics(node), /\nbgpmesh_next_hops\{reachable="yes"\} 2\nbgpmesh_next_hops\{reachable="no"\} 1\n/);

		const updates = async () => {
			const { peers } = (await watcher.ask('peers')) as PeersView;
			return peers[0]?.messages.received.update ?? 0;
		};
		const before = await updates();
		ip('link set up1 down');
		await watcher.until('one is withdrawn', allRoutes, (answer) => prefixes(answer).join() === '192.168.1.0/26');
		await node.until(
			'it leaves the kernel',
			() => Promise.resolve(kernel()),
			(lines) => lines.length === 1,
		);
		t.is(await updates(), before + 1, 'one withdrawal, nothing else');
		ip('link set up1 up');
		await watcher.until('it is back', allRoutes, (answer) => prefixes(answer).length === 2);
		await node.until(
			'the kernel has it again',
			() => Promise.resolve(kernel()),
			(lines) => lines.length === 2,
		);
		t.is(await updates(), before + 2, 'one announcement, nothing else');

		// A route to the third one appears.
		ip('route add 10.0.9.0/24 via 10.0.1.254');
		await watcher.until('all are there', allRoutes, (answer) => prefixes(answer).length === 3);
		t.deepEqual((await statusOf(node)).nextHops, { tracked: 3, unreachable: [] });
		await node.until(
			'the kernel has all',
			() => Promise.resolve(kernel()),
			(lines) => lines.length === 3,
		);
		t.true(kernel().includes('192.168.3.0/26 via 10.0.1.254 dev up0 metric 1024'), kernel().join());
		t.true(
			((await node.ask('peers')) as PeersView).peers.every(
				({ state, establishedCount }) => state === 'established' && establishedCount === 1,
			),
		);
	},
);

kernelTest(
	`an own route leads to next hops behind it while its own next hop is reachable, and no route leads to its own next hop${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.1/24']);
		const { node, source, watcher, configure } = world();
		// 10.255.0.2 is known only from BGP, like node addresses behind two top-of-rack routers;
		// 10.99.0.0/16 would resolve itself.
		configure(
			[
				via('10.255.0.2/32', '10.0.1.254'),
				via('192.168.1.0/26', '10.255.0.2'),
				via('10.99.0.0/16', '10.99.1.1'),
				via('192.168.2.0/26', '10.99.1.1'),
			].join(', '),
		);
		await Promise.all([node.start(t), source.start(t), watcher.start(t)]);
		await watcher.until('what can be reached is there', allRoutes, (answer) => prefixes(answer).length === 2);
		t.deepEqual(prefixes(await allRoutesOf(watcher)), ['10.255.0.2/32', '192.168.1.0/26']);
		t.deepEqual((await statusOf(node)).nextHops?.unreachable, ['10.99.1.1']);
		await node.until(
			'the kernel has what it can have',
			() => Promise.resolve(kernel()),
			(lines) => lines.length === 2,
		);

		// The kernel's routes are resolved by the same rule as selection.
		t.deepEqual(kernel(), [
			'10.255.0.2 via 10.0.1.254 dev up0 metric 1024',
			'192.168.1.0/26 via 10.0.1.254 dev up0 metric 1024',
		]);

		// At its start the daemon finds the route of its earlier run, and next hops behind it,
		// before a neighbour announces it again.
		const deleted = watchDeletions(t);
		node.signal('SIGKILL');
		await node.ended();
		await node.start(t);
		await node.until('in sync again', status, ({ rib, fib }) => rib.inSync && fib.inSync);
		await watcher.until('all is there again', allRoutes, (answer) => prefixes(answer).length === 2);
		t.deepEqual(deleted(), []);
		ip('link set up0 down');
		await watcher.until('nothing is left', allRoutes, (answer) => prefixes(answer).length === 0);
		ip('link set up0 up');
		await watcher.until('what can be reached is back', allRoutes, (answer) => prefixes(answer).length === 2);
	},
);

for (const { title, given } of [
	{ title: 'fib.enabled: false', given: { rest: 'fib: { enabled: false }' } },
	{ title: 'bgp.nextHopTracking: off', given: { more: 'nextHopTracking: off' } },
]) {
	kernelTest(`with ${title} every next hop counts as reachable, for any kernel routes${note}`, async (t) => {
		enterNewNamespace();
		const { node, source, watcher, configure } = world();
		configure(via('192.168.1.0/26', '10.0.9.9'), given);
		await Promise.all([node.start(t), source.start(t), watcher.start(t)]);
		await watcher.until('it is there', allRoutes, (answer) => prefixes(answer).length === 1);
		t.is((await statusOf(node)).nextHops, undefined);
		t.notRegex((await node.cli('status')).stdout, /Next hops/);
		t.notRegex(await metrics(node), /bgpmesh_next_hops\{/);
	});
}

kernelTest(`a policy refuses routes by the interface to their next hop, and follows its changes${note}`, async (t) => {
	enterNewNamespace();
	addInterface('up0', ['10.0.1.1/24']);
	addInterface('wg0', ['10.0.2.1/24']);
	const { node, source, watcher, configure } = world();
	configure(
		[via('192.168.1.0/26', '10.0.1.9'), via('192.168.2.0/26', '10.0.2.9'), via('192.168.3.0/26', '10.0.3.9')].join(
			', ',
		),
		{
			toWatcher: ', exportPolicies: [ no-wg ]',
			policies:
				'policies: { no-wg: { terms: [ { match: { interface: "wg*" }, action: reject } ], otherwise: accept } }',
		},
	);
	ip('route add 10.0.3.0/24 via 10.0.2.254');
	await Promise.all([node.start(t), source.start(t), watcher.start(t)]);
	await watcher.until('one is there', allRoutes, (answer) => prefixes(answer).join() === '192.168.1.0/26');
	ip('route replace 10.0.3.0/24 via 10.0.1.254');
	await watcher.until(
		'the one that leaves by another interface now is there',
		allRoutes,
		(answer) => prefixes(answer).join() === '192.168.1.0/26,192.168.3.0/26',
	);
	t.is((await allRoutesOf(node)).routes.length, 3, 'refused towards the neighbour, used here');
});

function allRoutesOf(daemon: RunningDaemon): Promise<RoutesView> {
	return daemon.until('it answers', allRoutes, () => true);
}

function statusOf(daemon: RunningDaemon): Promise<StatusView> {
	return daemon.until('it answers', status, () => true);
}
