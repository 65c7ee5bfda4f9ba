import test from 'ava';
import type { ControlClient, PeersView, ReloadView, RoutesView, StatusView } from '../../src/control/index.ts';
import type { ExplanationView } from '../../src/core/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { loopbackAddress, testPort } from '../support/loopback.ts';

const node = (address: string, identifier: string, peers: string, originate = '', more = '') =>
	`asNumber: 64512\nrouterId: ${identifier}\nlisten: { address: ${address}, port: ${testPort} }\npeers: [ ${peers} ]\noriginate: [ ${originate} ]\n${more}`;
const peer = (name: string, own: string, address: string, more = '') =>
	`{ name: ${name}, address: ${address}, port: ${testPort}, localAddress: ${own}, asNumber: 64512, connectRetrySeconds: 1${more} }`;
const established = (name: string) => (answer: PeersView) =>
	answer.peers.some((view) => view.name === name && view.state === 'established');
const allPeers = (daemon: ControlClient) => daemon.ask('peers', {});
const allRoutes = (daemon: ControlClient) => daemon.ask('routes', {});
// The shapes are those of the control socket.
const routesOf = (answer: unknown) => (answer as RoutesView).routes;

test('two daemons exchange their blocks, and the commands show it', async (t) => {
	const [one, two] = [new RunningDaemon(), new RunningDaemon()];
	const [oneAddress, twoAddress] = [loopbackAddress(), loopbackAddress()];
	one.configure(
		node(
			oneAddress,
			'10.0.0.1',
			peer('two', oneAddress, twoAddress),
			'192.168.1.0/26, { prefix: 192.168.1.64/26, communities: [no-export], med: 7 }',
		),
	);
	two.configure(node(twoAddress, '10.0.0.2', peer('one', twoAddress, oneAddress), '192.168.2.0/26'));
	await Promise.all([one.start(t), two.start(t)]);

	await two.until('the session is up', allPeers, established('one'));
	await two.until('the routes are there', allRoutes, (answer) => routesOf(answer).length === 3);
	const routes = routesOf(await two.ask('routes', '192.168.1.64/26'));
	t.like(routes, [
		{
			prefix: '192.168.1.64/26',
			nextHop: oneAddress,
			source: 'internal',
			peer: 'one',
			best: true,
			med: 7,
			localPref: 100,
			communities: ['65535:65281'],
		},
	]);

	// By an address, as in a query for the route to a pod.
	const explanation = (await two.ask('explain', '192.168.1.7')) as ExplanationView;
	t.is(explanation.prefix, '192.168.1.0/26' as never);
	t.is(routesOf(await two.ask('routes', '--received', 'one')).length, 2);
	t.is(routesOf(await two.ask('routes', '--advertised', oneAddress)).length, 1);
	t.like((await two.ask('status')) as StatusView, {
		asNumber: 64512,
		routerId: '10.0.0.2',
		peers: { configured: 1, established: 1 },
		fib: { enabled: false },
		rib: { inSync: true },
	});
	t.regex((await two.cli('peers')).stdout, /^one +127\S+ +64512 +internal +Established/m);
	t.is((await two.cli('routes', '10.9.9.0/24')).code, 1);
	t.is((await two.cli('peers', 'absent')).code, 1);

	// A peer is disabled with a text, and enabled again.
	const text = 'back at 14:00';
	t.is((await two.cli('peer', 'disable', 'one', '--text', text)).stdout, 'one disabled\n');
	// RFC 8538 §3: between speakers that restart gracefully the CEASE is wrapped, so that routes
	// are not held.
	await eventually('the text has arrived', () =>
		/notification received .*code=6 subcode=9 .*Administrative Shutdown.* text="back at 14:00"/.test(one.log),
	);
	t.is((await two.cli('peer', 'refresh', 'one')).code, 1);
	t.is((await two.cli('peer', 'enable', 'one')).code, 0);
	await two.until('the session is up again', allPeers, established('one'));
	t.is((await two.cli('peer', 'refresh', 'one')).stdout, 'one asked for all its routes\n');
	t.is((await two.cli('peer', 'reset', 'one', '--soft')).code, 0);

	// SIGTERM: CEASE, administrative shutdown.
	one.signal('SIGTERM');
	await one.ended();
	t.is(one.exitCode, 0);
	const left = await two.until(
		'the neighbour has gone',
		(daemon) => daemon.ask('peer', { peer: 'one' }),
		(answer) => answer.state !== 'established',
	);
	t.like(left.lastNotificationReceived, { code: 6, subcode: 9 });
	t.regex(left.lastNotificationReceived?.name ?? '', /Administrative Shutdown/);
	t.is((await one.cli('peers')).code, 3);
});

test('a reload adds a peer without touching the session that is up, and a broken file changes nothing', async (t) => {
	const [one, two, three] = [new RunningDaemon(), new RunningDaemon(), new RunningDaemon()];
	const [a, b, c] = [loopbackAddress(), loopbackAddress(), loopbackAddress()];
	one.configure(node(a, '10.0.0.1', peer('two', a, b), '192.168.1.0/26'));
	two.configure(node(b, '10.0.0.2', peer('one', b, a)));
	three.configure(node(c, '10.0.0.3', peer('one', c, a)));
	await Promise.all([one.start(t), two.start(t), three.start(t)]);
	const before = await one.until('the session is up', allPeers, established('two'));

	one.configure(node(a, '10.0.0.1', `${peer('two', a, b)}, ${peer('three', a, c)}`, '192.168.1.0/26, 192.168.1.64/26'));
	const dry = (await one.ask('reload', '--dry-run')) as ReloadView;
	t.like(dry, {
		dryRun: true,
		resets: [],
		changes: [
			{ change: 'added', what: 'peer', name: 'three' },
			{ change: 'added', what: 'origin', name: '192.168.1.64/26' },
		],
	});
	t.is(((await one.ask('peers')) as PeersView).peers.length, 1);
	t.is((await one.cli('reload')).code, 0);
	const after = await one.until('the new session is up', allPeers, established('three'));
	const [was, is] = [before, after].map(({ peers }) => peers.find(({ name }) => name === 'two'));
	t.is(is?.state, was?.state);
	t.is(is?.establishedCount, 1);
	await two.until('the new block is there', allRoutes, (answer) => routesOf(answer).length === 2);

	// The reload reports the reset, and performs it.
	one.configure(
		node(a, '10.0.0.1', `${peer('two', a, b, ', holdTimeSeconds: 30')}, ${peer('three', a, c)}`, '192.168.1.0/26'),
	);
	t.deepEqual(((await one.ask('reload')) as ReloadView).resets, ['two']);
	const again = await one.until(
		'the changed session is up again',
		allPeers,
		(answer) =>
			established('two')(answer) &&
			answer.peers.some(({ name, holdTimeSeconds }) => name === 'two' && holdTimeSeconds === 30),
	);
	t.is(again.peers.find(({ name }) => name === 'three')?.establishedCount, 1);

	one.configure('asNumber: 0');
	const refused = await one.cli('reload');
	t.is(refused.code, 1);
	t.regex(refused.stderr, /bgpmeshd.yaml:3:13: bgp.asNumber: found 0, expected an AS number/);
	one.signal('SIGHUP');
	const status = await one.until(
		'the refusal is in the status',
		(daemon) => daemon.ask('status', {}),
		(answer) => answer.config.lastReloadError !== undefined,
	);
	t.regex(status.config.lastReloadError?.message ?? '', /bgp.asNumber/);
	t.is(((await one.ask('peers')) as PeersView).peers.filter(({ state }) => state === 'established').length, 2);
	t.regex(one.log, /error configuration refused, the running one stays/);
});

test('the state of a killed daemon is taken over; a second daemon is refused', async (t) => {
	const one = new RunningDaemon();
	const address = loopbackAddress();
	one.configure(node(address, '10.0.0.1', ''));
	await one.start(t);
	const second = new RunningDaemon();
	Object.assign(second, { socket: one.socket });
	second.configure(node(loopbackAddress(), '10.0.0.9', ''));
	await second.start(t);
	t.is(second.exitCode, 1);
	t.regex(second.log, /another daemon answers at/);

	one.signal('SIGKILL');
	await one.ended();
	t.is((await one.cli('status')).code, 3);
	await one.start(t);
	t.is((await one.cli('status')).code, 0);
	one.signal('SIGINT');
	await one.ended();
	t.is(one.exitCode, 0);
});

test('a daemon with an invalid configuration reports the error and exits with code 2', async (t) => {
	const one = new RunningDaemon();
	one.configure('asNumber: x');
	await one.start(t);
	t.is(one.exitCode, 2);
	t.is(
		one.log,
		`${one.configFile}:3:13: bgp.asNumber: found 'x', expected an AS number, 1 to 4294967294 except 65535, or asdot such as 1.10\n`,
	);
});
