import test from 'ava';

import { peerOptions } from '../../../src/bgp/index.ts';
import { eventually } from '../../support/eventually.ts';
import { testPort } from '../../support/loopback.ts';
import { addInterface, enterNewNamespace, noNamespaces } from '../../support/namespace.ts';
import { testSpeaker } from '../../support/speakers.ts';

const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;
if (noNamespaces === undefined) {
	enterNewNamespace();
	addInterface('wire0', ['2001:db8::1/64', '2001:db8::2/64', 'fe80::1/64', 'fe80::2/64']);
}

for (const { title, a, b, options } of [
	{ title: 'global addresses', a: '2001:db8::1', b: '2001:db8::2', options: {} },
	{
		title: 'global addresses, with MD5 and GTSM',
		a: '2001:db8::1',
		b: '2001:db8::2',
		options: { md5Key: 'secret', ttlSecurityHops: 1 },
	},
	{ title: 'link-local addresses of a device', a: 'fe80::1', b: 'fe80::2', options: { device: 'wire0' } },
]) {
	namespaceTest(`[C227][C229] sessions over IPv6: ${title}`, async (t) => {
		// Each listens for both families; the ports differ.
		const side = (own: string, other: string, asNumber: number, port: number, passive: boolean) => {
			const peer = peerOptions({
				address: other,
				asNumber: asNumber === 1 ? 2 : 1,
				localAddress: own,
				port,
				passive,
				...options,
			});
			return testSpeaker(t, { address: '::', port: passive ? testPort + 1 : testPort, asNumber, peers: [peer] });
		};
		const left = side(a, b, 1, testPort + 1, false);
		const right = side(b, a, 2, testPort, true);
		await Promise.all([left.speaker.start(), right.speaker.start()]);
		await eventually('both are established', () =>
			[left, right].every(({ speaker }) => speaker.peers()[0]?.state === 'established'),
		);
		t.is(left.rib.sessions[0]?.negotiated.peerAddress.length, 16);
		await Promise.all([left, right].map(({ speaker }) => speaker.stop({ graceful: false, reason: 'done' })));
	});
}
