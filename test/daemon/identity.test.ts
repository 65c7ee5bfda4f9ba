import test from 'ava';
import type { SpeakerIdentity } from '../../src/bgp/index.ts';
import type { Config } from '../../src/config/index.ts';
import { ClusterFollower } from '../../src/daemon/follower.ts';
import { identifierText, type RouterIdInputs, routerIdFrom } from '../../src/daemon/identity.ts';
import type { Rooms } from '../../src/daemon/rooms.ts';
import type { ClusterState } from '../../src/node/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';

const base: RouterIdInputs = {
	configured: undefined,
	derived: '10.0.0.77',
	current: '10.0.0.2',
	hasSessions: true,
	addressesOfOthers: () => ['10.0.0.3'],
};

const rules: readonly { readonly title: string; readonly given: Partial<RouterIdInputs>; readonly is?: string }[] = [
	{ title: 'the node has another address: the router ID stays', given: {}, is: '10.0.0.2' },
	{ title: 'the file names one: it counts', given: { configured: '1.1.1.1' }, is: '1.1.1.1' },
	{ title: 'without sessions it follows', given: { hasSessions: false }, is: '10.0.0.77' },
	{
		title: 'another node has taken the old address: it follows, since two nodes must not share one',
		given: { addressesOfOthers: () => ['10.0.0.3', '10.0.0.2'] },
		is: '10.0.0.77',
	},
	{ title: 'the node has no address: nothing new', given: { derived: undefined } },
];

for (const { title, given, is } of rules)
	test(title, (t) => {
		t.is(routerIdFrom({ ...base, ...given }), is);
	});

test('a node that changes its address keeps the router ID of its speaker until another node takes the address', async (t) => {
	let identity: SpeakerIdentity = { asNumber: 64512, routerId: 0x0a000002, clusterId: undefined };
	const speaker = {
		get identity() {
			return identity;
		},
		listening: [{ address: '0.0.0.0', port: 179 }],
		setIdentity: (next: SpeakerIdentity) => {
			identity = next;
			return [];
		},
		peerOptions: () => undefined,
		peer: () => undefined,
		addPeer() {},
		updatePeer() {},
		removePeer() {},
	};
	const rooms = {
		speaker,
		rib: { originate() {}, withdrawOrigin() {}, waitingFor: [] },
		planes: { apply() {}, whenIdle: async () => {} },
		kernel: undefined,
	} as unknown as Rooms;
	const state = (own: string, other: string) =>
		({
			topology: {
				asNumber: 64512,
				routerId: own,
				listenAddress: '0.0.0.0',
				listenPort: 179,
				peers: [{ name: 'b', address: other, port: 179, asNumber: 64512, enabled: true }],
				peerRoutes: [],
				nodeAddresses: new Set([own, other]),
			},
			nodes: [
				{ name: 'a', ipv4: { address: own } },
				{ name: 'b', ipv4: { address: other } },
			],
			pools: [],
			blocks: [],
		}) as unknown as ClusterState;
	const follower = new ClusterFollower({ pools: [], ipip: {} } as unknown as Config, state('10.0.0.2', '10.0.0.3'), {
		node: 'a',
		rooms,
		clock: new FakeClock(),
		log: recordingLogger(),
		announced: () => {},
	});
	await follower.apply(state('10.0.0.77', '10.0.0.3'));
	t.is(identifierText(identity.routerId), '10.0.0.2');
	await follower.apply(state('10.0.0.77', '10.0.0.2'));
	t.is(identifierText(identity.routerId), '10.0.0.77');
	t.deepEqual(follower.problems, []);
	follower.stop();
});
