import test from 'ava';

import { type PeerRangeOptions, type PeerTemplate, peerDefaults } from '../../../src/bgp/index.ts';
import { Ranges } from '../../../src/bgp/speaker/ranges.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';
import { RawPeer } from '../../support/raw-peer.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

const { port: _port, enabled: _enabled, passive: _passive, ...defaults } = peerDefaults;
const template = (asNumber: number): PeerTemplate => ({ ...defaults, asNumber });
const range = (prefix: string, given: Partial<PeerRangeOptions> = {}): PeerRangeOptions => ({
	name: prefix,
	prefix,
	limit: 100,
	peer: template(65001),
	...given,
});

test('the most specific range counts', (t) => {
	const ranges = new Ranges();
	ranges.replace([range('10.0.0.0/8'), range('10.1.0.0/16'), range('fd00::/8')]);
	t.deepEqual(
		['10.1.2.3', '10.2.0.1', '11.0.0.1', 'fd00::1', 'fe80::1'].map((address) => ranges.find(address)?.name),
		['10.1.0.0/16', '10.0.0.0/8', undefined, 'fd00::/8', undefined],
	);
});

const surrounding = (address: string): string => `${address.split('.').slice(0, 3).join('.')}.0/24`;

test('a neighbour from a range is a peer while its session exists', async (t) => {
	const own = loopbackAddress();
	const theirs = loopbackAddress();
	const { speaker, rib } = testSpeaker(t, { address: own, ranges: [range(surrounding(theirs))] });
	await speaker.start();
	t.deepEqual(speaker.peers(), []);
	const raw = await RawPeer.connect(own, testPort, theirs);
	await raw.establish({ asNumber: 65001, routerId: 7 });
	await eventually('it is established', () => speaker.peer(theirs)?.state === 'established');
	t.like(speaker.peer(theirs), { dynamic: true, passive: true, kind: 'internal' });
	raw.close();
	await eventually('it is gone', () => speaker.peers().length === 0);
	t.deepEqual(rib.sessions[0]?.ended, { type: 'forget' });
});

test('a refused neighbour from a range is removed at once', async (t) => {
	const own = loopbackAddress();
	const theirs = loopbackAddress();
	const { speaker } = testSpeaker(t, { address: own, ranges: [range(surrounding(theirs))] });
	await speaker.start();
	const raw = await RawPeer.connect(own, testPort, theirs);
	await raw.receive('open');
	raw.send({ type: 'keepalive' });
	t.is((await raw.receiveNotification()).code, 5);
	t.deepEqual(speaker.peers(), []);
});

test('a full range accepts no neighbour until one is gone', async (t) => {
	const own = loopbackAddress();
	const [first, second] = [loopbackAddress(), loopbackAddress()];
	const { speaker } = testSpeaker(t, { address: own, ranges: [range(surrounding(first), { limit: 1 })] });
	await speaker.start();
	const raw = await RawPeer.connect(own, testPort, first);
	await raw.receive('open');
	const refused = await RawPeer.connect(own, testPort, second);
	const { code, subcode } = await refused.receiveNotification();
	t.deepEqual([code, subcode], [6, 5]);
	raw.close();
	await eventually('the first is gone', () => speaker.peers().length === 0);
	await (await RawPeer.connect(own, testPort, second)).receive('open');
	t.deepEqual(
		speaker.peers().map(({ name }) => name),
		[second],
	);
});

test('removing a range removes its neighbours', async (t) => {
	const own = loopbackAddress();
	const theirs = loopbackAddress();
	const { speaker } = testSpeaker(t, { address: own, ranges: [range(surrounding(theirs))] });
	await speaker.start();
	const raw = await RawPeer.connect(own, testPort, theirs);
	await raw.establish({ asNumber: 65001, routerId: 7 });
	await eventually('it is established', () => speaker.peer(theirs)?.state === 'established');
	speaker.setRanges([]);
	const { code, subcode } = await raw.receiveNotification();
	t.deepEqual([code, subcode], [6, 3]);
	t.deepEqual(speaker.peers(), []);
});

test('a neighbour of a range that becomes a configured peer starts anew', async (t) => {
	const own = loopbackAddress();
	const theirs = loopbackAddress();
	const { speaker } = testSpeaker(t, { address: own, ranges: [range(surrounding(theirs))] });
	await speaker.start();
	const raw = await RawPeer.connect(own, testPort, theirs);
	await raw.establish({ asNumber: 65001, routerId: 7 });
	await eventually('it is established', () => speaker.peer(theirs)?.state === 'established');
	speaker.addPeer(loopbackPeer(own, { address: theirs, asNumber: 65001, passive: true }));
	const { code, subcode } = await raw.receiveNotification();
	t.deepEqual([code, subcode], [6, 6]);
	t.like(speaker.peer(theirs), { dynamic: false, state: 'active' });
	await (await RawPeer.connect(own, testPort, theirs)).establish({ asNumber: 65001, routerId: 7 });
	await eventually('it is established again', () => speaker.peer(theirs)?.state === 'established');
});
