import test from 'ava';

import { eventually } from '../../support/eventually.ts';
import { loopbackAddress } from '../../support/loopback.ts';
import { loopbackPeer, testSpeaker } from '../../support/speakers.ts';

const state = ({ speaker }: { speaker: { peers(): { state: string }[] } }): string => speaker.peers()[0]?.state ?? 'none';

const pairs = [
	{ title: 'one side active, the other passive', left: {}, right: { passive: true } },
	{ title: 'both sides active at the same moment', left: {}, right: {} },
] as const;

for (const { title, left, right } of pairs) {
	for (const asNumber of [65001, 65002]) {
		test(`[C73] ${title}: one session, AS ${asNumber} towards 65001`, async (t) => {
			const [leftAddress, rightAddress] = [loopbackAddress(), loopbackAddress()];
			const a = testSpeaker(t, { address: leftAddress, peers: [loopbackPeer(leftAddress, { address: rightAddress, asNumber, ...left })] });
			const b = testSpeaker(t, { asNumber, address: rightAddress, peers: [loopbackPeer(rightAddress, { address: leftAddress, asNumber: 65001, ...right })] });
			await Promise.all([a.speaker.start(), b.speaker.start()]);
			await eventually('both are established', () => state(a) === 'established' && state(b) === 'established');
			await eventually('each side has one session that lives', () =>
				[a, b].every(({ rib }) => rib.sessions.filter(({ ended }) => ended === undefined).length === 1),
			);
			t.true(a.rib.sessions.length <= 2);
		});
	}
}
