import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'ava';
import type { ControlClient, PeersView } from '../../src/control/index.ts';
import type { FibView } from '../../src/core/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces, watchDeletions } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

const routes = () =>
	ip('route show proto 80')
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '')
		.sort();

const kernelRoutes = (daemon: ControlClient) => daemon.ask('fib', {});
async function metrics({ socket }: RunningDaemon): Promise<string> {
	const response = await new Promise<IncomingMessage>((resolve, reject) =>
		get({ socketPath: socket, path: '/metrics' }, resolve).on('error', reject),
	);
	return text(response);
}
const installed = (number: number) => (answer: FibView) =>
	answer.routes.filter(({ state }) => state === 'installed').length === number;

kernelTest(
	`routes stay in the kernel through SIGTERM, kill -9 and restarts, and leave it when they are withdrawn${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.1/24']);
		const [node, other] = [new RunningDaemon(), new RunningDaemon()];
		const peer = (name: string, own: string, address: string) =>
			`peers: [ { name: ${name}, address: ${address}, port: 1790, localAddress: ${own}, asNumber: 64512, connectRetrySeconds: 1 } ]`;
		const originates = (prefixes: string) =>
			other.configure(
				`asNumber: 64512\nrouterId: 10.0.0.2\nlisten: { address: 127.0.0.3, port: 1790 }\n${peer('node', '127.0.0.3', '127.0.0.2')}\noriginate: [ ${prefixes} ]`,
			);
		node.configure(
			`asNumber: 64512\nrouterId: 10.0.0.1\nlisten: { address: 127.0.0.2, port: 1790 }\n${peer('other', '127.0.0.2', '127.0.0.3')}\noriginate: [ 192.168.1.0/26 ]`,
			'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]',
		);
		const [far, further] = [
			'{ prefix: 192.168.2.0/26, nextHop: 10.0.1.9 }',
			'{ prefix: 192.168.3.0/26, nextHop: 10.0.1.9 }',
		];
		originates(`${far}, ${further}`);
		await Promise.all([node.start(t), other.start(t)]);
		await node.until('the routes are installed', kernelRoutes, installed(3));
		const full = [
			'192.168.2.0/26 via 10.0.1.9 dev up0 metric 1024',
			'192.168.3.0/26 via 10.0.1.9 dev up0 metric 1024',
			'blackhole 192.168.1.0/26 metric 1024',
		];
		t.deepEqual(routes(), full);

		const deleted = watchDeletions(t);
		const events: string[] = [];
		for (const signal of ['SIGTERM', 'SIGKILL', 'SIGUSR2'] as const) {
			node.signal(signal);
			await node.ended();
			t.deepEqual(routes(), full, `after ${signal}`);
			await node.start(t);
			const view = await node.until('in sync again', kernelRoutes, ({ inSync }) => inSync);
			events.push(`${signal}: ${view.routes.map(({ state }) => state).join(' ')}`);
			t.deepEqual(routes(), full, `after the restart that followed ${signal}`);
			// If neighbours still hold the routes, the OPEN after the restart has the R bit
			// (restarted) and the F bit (forwarding preserved). RFC 4724 §3.
			const said = await other.until(
				'it is back',
				(daemon) => daemon.ask('peer', { peer: 'node' }),
				({ state }) => state === 'established',
			);
			const capability = said.capabilities?.received.find((text) => text.startsWith('graceful-restart')) ?? '';
			t.is(capability.includes('restarting'), signal !== 'SIGTERM', capability);
			t.is(capability.includes('ipv4 forwarding'), signal !== 'SIGTERM', capability);
		}
		t.deepEqual(events, [
			'SIGTERM: installed installed installed',
			'SIGKILL: installed installed installed',
			'SIGUSR2: installed installed installed',
		]);

		t.deepEqual(deleted(), [], 'no route was away for a moment');

		originates(far);
		t.is((await other.cli('reload')).code, 0);
		await node.until('the withdrawn route is gone', kernelRoutes, installed(2));
		t.deepEqual(
			routes(),
			full.filter((line) => !line.startsWith('192.168.3.')),
		);
		t.is(deleted().length, 1);
		t.true(((await node.ask('peers')) as PeersView).peers.every(({ state }) => state === 'established'));
		t.is((await node.cli('fib', '--diff')).code, 0);
	},
);

kernelTest(
	`while a route of BIRD in a pool exists no route is written, status and log give the reason, and writing resumes automatically${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.1/24']);
		ip('route add 192.168.9.0/26 via 10.0.1.9 proto bird');
		const node = new RunningDaemon();
		node.configure(
			'asNumber: 64512\nrouterId: 10.0.0.1\nlisten: { address: 127.0.0.2, port: 1790 }\noriginate: [ 192.168.1.0/26 ]\ninSyncTimeoutSeconds: 1',
			'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]',
		);
		await node.start(t);
		const view = await node.until('the refusal is seen', kernelRoutes, ({ refusal }) => refusal !== undefined);
		t.is(view.refusal?.seen, 'kernel');
		const complete = await node.until('complete', kernelRoutes, ({ waitingFor }) => waitingFor.length === 0);
		t.false(complete.inSync);
		t.deepEqual(routes(), []);
		t.regex(
			(await node.cli('status')).stdout,
			/nothing is written: BIRD programs routes of the pools on this node: 192\.168\.9\.0\/26/,
		);
		t.regex((await node.cli('fib')).stdout, /Nothing is written: BIRD[\s\S]*What to do: stop BIRD/);
		t.regex(await metrics(node), /\nbgpmesh_fib_refused\{seen="kernel"\} 1\n/);
		ip('route flush proto bird');
		await node.until('it goes on', kernelRoutes, installed(1));
		t.deepEqual(routes(), ['blackhole 192.168.1.0/26 metric 1024']);
		t.regex(await metrics(node), /\nbgpmesh_fib_refused\{seen="kernel"\} 0\n/);
		// A BIRD route that appears later also pauses the writing: installed routes stay.
		ip('route add 192.168.9.0/26 via 10.0.1.9 proto bird');
		await node.until('the refusal is seen again', kernelRoutes, ({ refusal }) => refusal !== undefined);
		t.deepEqual(routes(), ['blackhole 192.168.1.0/26 metric 1024']);
	},
);
