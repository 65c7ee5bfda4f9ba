import test from 'ava';

import { collisionSurvivor, isReplaced } from '../../../src/bgp/fsm/collision.ts';

const rows = [
	{
		title: '[C67] the higher identifier keeps its own connection: ours',
		local: 0x0a000002,
		peer: 0x0a000001,
		localAs: 1,
		peerAs: 2,
		survivor: 'outgoing',
	},
	{
		title: '[C67] the higher identifier keeps its own connection: theirs',
		local: 0x0a000001,
		peer: 0x0a000002,
		localAs: 2,
		peerAs: 1,
		survivor: 'incoming',
	},
	{
		title: '[C67] identifiers compare unsigned',
		local: 0xe0000001,
		peer: 0x0a000001,
		localAs: 1,
		peerAs: 2,
		survivor: 'outgoing',
	},
	{
		title: '[C69] of equal identifiers the larger AS counts: ours',
		local: 7,
		peer: 7,
		localAs: 4200000001,
		peerAs: 65001,
		survivor: 'outgoing',
	},
	{
		title: '[C69] of equal identifiers the larger AS counts: theirs',
		local: 7,
		peer: 7,
		localAs: 65001,
		peerAs: 4200000001,
		survivor: 'incoming',
	},
] as const;

for (const { title, local, peer, localAs, peerAs, survivor } of rows) {
	test(title, (t) => {
		const ours = { localRouterId: local, peerRouterId: peer, localAsNumber: localAs, peerAsNumber: peerAs };
		const theirs = { localRouterId: peer, peerRouterId: local, localAsNumber: peerAs, peerAsNumber: localAs };
		t.is(collisionSurvivor(ours), survivor);
		// An outgoing connection here is incoming there: both keep the same connection.
		t.not(collisionSurvivor(theirs), survivor);
	});
}

const withRestart = {
	families: [
		{
			family: 'ipv4',
			addPathReceive: false,
			addPathSend: false,
			extendedNextHop: false,
			gracefulRestart: { forwarding: true },
			longLivedStaleSeconds: 0,
		},
	],
} as const;

for (const { title, session, replaced } of [
	{
		title: 'the peer opens another connection: it has restarted',
		session: { negotiated: withRestart, direction: 'incoming', establishedForMs: 1 },
		replaced: true,
	},
	{
		title: 'the peer’s connection began together with ours',
		session: { negotiated: withRestart, direction: 'outgoing', establishedForMs: 1 },
		replaced: false,
	},
	{
		title: 'the peer opens a connection long after ours',
		session: { negotiated: withRestart, direction: 'outgoing', establishedForMs: 10_000 },
		replaced: true,
	},
	{
		title: 'no graceful restart',
		session: { negotiated: { families: [] }, direction: 'incoming', establishedForMs: 10_000 },
		replaced: false,
	},
] as const)
	test(`[C210] an established session ${replaced ? 'is replaced' : 'stays'}: ${title}`, (t) =>
		t.is(isReplaced(session), replaced));
