import test from 'ava';
import fc from 'fast-check';
import { type PeerOptions, peerDefaults } from '../../src/bgp/index.ts';
import type { Config } from '../../src/config/index.ts';
import { ClusterFollower, clusterSessions, routesMeanwhile } from '../../src/daemon/follower.ts';
import { type PeerPlan, planPeers, sessionKey } from '../../src/daemon/peer-plan.ts';
import type { Rooms } from '../../src/daemon/rooms.ts';
import type { ClusterState } from '../../src/node/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';

const route = (address: string, gateway: string) => ({ address, gateway, resource: 'tor' });
const session = (name: string, address: string, more: Partial<PeerOptions> = {}): PeerOptions => ({
	...peerDefaults,
	name,
	address,
	asNumber: 64512,
	...more,
});

test('the route to a peer stays until its session ends, and a new gateway applies at once', (t) => {
	const before = [route('10.9.0.1', '10.0.1.1'), route('10.9.0.2', '10.0.1.1'), route('10.9.0.3', '10.0.1.1')];
	t.deepEqual(routesMeanwhile([route('10.9.0.1', '10.0.1.9')], before, ['10.9.0.1', '10.9.0.2']), [
		route('10.9.0.1', '10.0.1.9'),
		route('10.9.0.2', '10.0.1.1'),
	]);
	t.deepEqual(routesMeanwhile([], before, []), []);
});

test('sessions to an address in the file belong to the file, and so does the route to it', (t) => {
	const config = { bgp: { peers: [{ address: '10.9.0.1' }] } } as unknown as Pick<Config, 'bgp'>;
	const topology = {
		peers: [session('Global_10_9_0_1', '10.9.0.1'), session('Global_10_9_0_2', '10.9.0.2')],
		peerRoutes: [route('10.9.0.1', 'x'), route('10.9.0.2', 'y')],
	};
	const { peers, peerRoutes } = clusterSessions(config, topology);
	t.deepEqual([peers.map(({ name }) => name), peerRoutes], [['Global_10_9_0_2'], [route('10.9.0.2', 'y')]]);
	t.deepEqual(clusterSessions(config, undefined), { peers: [], peerRoutes: [] });
});

test('a new session is added, an old one removed, and the others are not changed', (t) => {
	const current = new Map(
		['1', '2'].map((host) => [
			`Local_Workload_10_65_0_${host}`,
			session(`Local_Workload_10_65_0_${host}`, `10.65.0.${host}`),
		]),
	);
	const plan = planPeers(current, [
		session('Local_Workload_10_65_0_2', '10.65.0.2'),
		session('Local_Workload_10_65_0_3', '10.65.0.3'),
	]);
	t.deepEqual(
		[plan.add.map(({ name }) => name), plan.remove],
		[['Local_Workload_10_65_0_3'], ['Local_Workload_10_65_0_1']],
	);
	t.deepEqual(plan.update, [session('Local_Workload_10_65_0_2', '10.65.0.2')]);
});

const named = (...sessions: PeerOptions[]) => new Map(sessions.map((options) => [options.name, options]));
const shape = ({ replace, update, add, remove }: PeerPlan) => ({
	replace,
	update: update.map(({ name, port }) => `${name} ${port}`),
	add: add.map(({ name, port }) => `${name} ${port}`),
	remove,
});

test('a session whose port changes is the same session', (t) => {
	const plan = planPeers(named(session('Mesh_b', '10.0.1.3')), [session('Mesh_b', '10.0.1.3', { port: 178 })]);
	t.deepEqual(shape(plan), { replace: [], update: ['Mesh_b 178'], add: [], remove: [] });
});

test('two sessions to one address with different ports are two sessions', (t) => {
	const tors = [
		session('Global_tor_port_1179', '10.0.1.254', { port: 1179 }),
		session('Global_tor_port_2179', '10.0.1.254', { port: 2179 }),
	];
	t.deepEqual(shape(planPeers(new Map(), tors)).add, ['Global_tor_port_1179 1179', 'Global_tor_port_2179 2179']);
	t.deepEqual(shape(planPeers(named(...tors), tors.slice(1))).remove, ['Global_tor_port_1179']);
});

test('a name that another session needs is released before that session is added', (t) => {
	const plan = planPeers(named(session('Mesh_b', '10.0.1.3')), [
		session('Global_b_port_179', '10.0.1.3'),
		session('Mesh_b', '10.0.1.3', { port: 178 }),
	]);
	t.deepEqual(shape(plan), {
		replace: ['Mesh_b'],
		update: [],
		add: ['Global_b_port_179 179', 'Mesh_b 178'],
		remove: [],
	});
});

test('for any change, a plan leads to the desired sessions, and no step meets a used name or key', (t) => {
	const anySessions = fc
		.uniqueArray(
			fc.record({
				address: fc.constantFrom('10.0.0.1', '10.0.0.2'),
				port: fc.constantFrom(179, 178, 177),
				name: fc.constantFrom('a', 'b', 'c', 'd'),
			}),
			{ maxLength: 6, selector: ({ address, port }) => `${address} ${port}` },
		)
		.map((rows) => rows.filter(({ name }, index) => rows.findIndex((other) => other.name === name) === index))
		.map((rows) => rows.map(({ name, address, port }) => session(name, address, { port })));
	fc.assert(
		fc.property(anySessions, anySessions, (before, after) => {
			const plan = planPeers(named(...before), after);
			const running = named(...before);
			for (const name of plan.replace) running.delete(name);
			for (const options of plan.update) {
				t.true(running.has(options.name));
				running.set(options.name, options);
			}
			for (const options of plan.add) {
				t.false(running.has(options.name));
				running.set(options.name, options);
			}
			for (const name of plan.remove) t.true(running.delete(name));
			const keys = [...running.values()].map(sessionKey);
			t.deepEqual(keys.sort(), after.map(sessionKey).sort());
		}),
		{ numRuns: 2000 },
	);
});

test('after a failed step the others are done, the failure is reported, and the step is retried until it succeeds', async (t) => {
	const clock = new FakeClock();
	const log = recordingLogger();
	const running = new Map<string, PeerOptions>();
	let refuses = true;
	const speaker = {
		identity: { asNumber: 64512, routerId: 1, clusterId: undefined },
		listening: [{ address: '0.0.0.0', port: 179 }],
		setIdentity: () => [],
		peerOptions: (name: string) => running.get(name),
		peer: () => undefined,
		addPeer(options: PeerOptions) {
			if (refuses && options.name === 'b') throw new Error('no');
			running.set(options.name, options);
		},
		updatePeer: (options: PeerOptions) => void running.set(options.name, options),
		removePeer: (name: string) => void running.delete(name),
	};
	const originated: string[] = [];
	const rib = { originate: (prefix: string) => void originated.push(prefix), withdrawOrigin() {}, waitingFor: [] };
	const planes = { apply() {}, whenIdle: async () => {} };
	const rooms = { speaker, rib, planes, kernel: undefined } as unknown as Rooms;
	const state = (...names: string[]) =>
		({
			topology: {
				asNumber: 64512,
				routerId: '0.0.0.1',
				listenAddress: '0.0.0.0',
				listenPort: 179,
				peers: names.map((name, index) => session(name, `10.0.0.${index + 1}`)),
				peerRoutes: [],
				nodeAddresses: new Set(),
			},
			pools: [],
			blocks: ['10.1.0.0/26'],
		}) as unknown as ClusterState;
	const config = { pools: [], ipip: {} } as unknown as Config;
	const follower = new ClusterFollower(config, state(), { node: 'a', rooms, clock, log, announced: () => {} });
	await follower.apply(state('a', 'b', 'c'));
	t.deepEqual([...running.keys()], ['a', 'c']);
	t.deepEqual(
		follower.problems.map(({ step, error }) => `${step}: ${error}`),
		['peer b: add: no'],
	);
	refuses = false;
	clock.advance(5000);
	await follower.apply(state('a', 'b', 'c'));
	t.deepEqual([...running.keys()].sort(), ['a', 'b', 'c']);
	t.deepEqual(follower.problems, []);
	follower.stop();
});
