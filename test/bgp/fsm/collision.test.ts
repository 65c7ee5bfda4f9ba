import test from 'ava';

import { collisionSurvivor } from '../../../src/bgp/fsm/collision.ts';

const rows = [
	{ title: '[C67] the higher identifier keeps what it opened: ours', local: 0x0a000002, peer: 0x0a000001, localAs: 1, peerAs: 2, survivor: 'outgoing' },
	{ title: '[C67] the higher identifier keeps what it opened: theirs', local: 0x0a000001, peer: 0x0a000002, localAs: 2, peerAs: 1, survivor: 'incoming' },
	{ title: '[C67] identifiers compare unsigned', local: 0xe0000001, peer: 0x0a000001, localAs: 1, peerAs: 2, survivor: 'outgoing' },
	{ title: '[C69] of equal identifiers the larger AS counts: ours', local: 7, peer: 7, localAs: 4200000001, peerAs: 65001, survivor: 'outgoing' },
	{ title: '[C69] of equal identifiers the larger AS counts: theirs', local: 7, peer: 7, localAs: 65001, peerAs: 4200000001, survivor: 'incoming' },
] as const;

for (const { title, local, peer, localAs, peerAs, survivor } of rows) {
	test(title, (t) => {
		const ours = { localRouterId: local, peerRouterId: peer, localAsNumber: localAs, peerAsNumber: peerAs };
		const theirs = { localRouterId: peer, peerRouterId: local, localAsNumber: peerAs, peerAsNumber: localAs };
		t.is(collisionSurvivor(ours), survivor);
		// What is outgoing here is incoming there: both keep the same connection.
		t.not(collisionSurvivor(theirs), survivor);
	});
}
