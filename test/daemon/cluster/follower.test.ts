import test from 'ava';
import { type PeerOptions, peerDefaults } from '../../../src/bgp/index.ts';
import type { Config } from '../../../src/config/index.ts';
import { clusterSessions, planPeers, routesMeanwhile } from '../../../src/daemon/cluster/follower.ts';

const route = (address: string, gateway: string) => ({ address, gateway, resource: 'tor' });
const session = (name: string, address: string, more: Partial<PeerOptions> = {}): PeerOptions => ({ ...peerDefaults, name, address, asNumber: 64512, ...more });

test('the way to a peer stays as long as its session ends, and the new gateway counts at once', (t) => {
	const before = [route('10.9.0.1', '10.0.1.1'), route('10.9.0.2', '10.0.1.1'), route('10.9.0.3', '10.0.1.1')];
	t.deepEqual(routesMeanwhile([route('10.9.0.1', '10.0.1.9')], before, ['10.9.0.1', '10.9.0.2']), [
		route('10.9.0.1', '10.0.1.9'),
		route('10.9.0.2', '10.0.1.1'),
	]);
	t.deepEqual(routesMeanwhile([], before, []), []);
});

test('sessions to an address that the file speaks of are the file’s, and so is the way there', (t) => {
	const config = { bgp: { peers: [{ address: '10.9.0.1' }] } } as unknown as Pick<Config, 'bgp'>;
	const topology = {
		peers: [session('Global_10_9_0_1', '10.9.0.1'), session('Global_10_9_0_2', '10.9.0.2')],
		peerRoutes: [route('10.9.0.1', 'x'), route('10.9.0.2', 'y')],
	};
	const { peers, peerRoutes } = clusterSessions(config, topology);
	t.deepEqual([peers.map(({ name }) => name), peerRoutes], [['Global_10_9_0_2'], [route('10.9.0.2', 'y')]]);
	t.deepEqual(clusterSessions(config, undefined), { peers: [], peerRoutes: [] });
});

test('a session that comes is added, one that goes removed, and the others are not touched', (t) => {
	const current = new Map(['1', '2'].map((host) => [`Local_Workload_10_65_0_${host}`, session(`Local_Workload_10_65_0_${host}`, `10.65.0.${host}`)]));
	const plan = planPeers(current, [session('Local_Workload_10_65_0_2', '10.65.0.2'), session('Local_Workload_10_65_0_3', '10.65.0.3')]);
	t.deepEqual([plan.add.map(({ name }) => name), plan.remove], [['Local_Workload_10_65_0_3'], ['Local_Workload_10_65_0_1']]);
	t.deepEqual(plan.update, [session('Local_Workload_10_65_0_2', '10.65.0.2')]);
});
