import test from 'ava';

import { type EndCause, retention } from '../../../src/bgp/fsm/retention.ts';
import type { NegotiatedFamily } from '../../../src/bgp/index.ts';

const family = (gracefulRestart: NegotiatedFamily['gracefulRestart']): NegotiatedFamily => ({
	family: 'ipv4',
	addPathReceive: false,
	addPathSend: false,
	extendedNextHop: false,
	gracefulRestart,
	longLivedStaleSeconds: 0,
});

/** Columns: without graceful restart, with it, with it and the N bit of both. */
const rows: readonly { title: string; cause: EndCause; kept: readonly [boolean, boolean, boolean] }[] = [
	{ title: '[C204] the loss of TCP', cause: { type: 'tcp-lost' }, kept: [false, true, true] },
	{ title: '[C212] an expired hold timer', cause: { type: 'hold-expired' }, kept: [false, false, true] },
	{ title: '[C75] an expired send hold timer', cause: { type: 'send-hold-expired' }, kept: [false, false, false] },
	{
		title: '[C211][C212] a NOTIFICATION',
		cause: { type: 'notification-received', code: 3, subcode: 1 },
		kept: [false, false, true],
	},
	{
		title: '[C212] a Cease',
		cause: { type: 'notification-received', code: 6, subcode: 4 },
		kept: [false, false, true],
	},
	{
		title: '[C213] a Hard Reset',
		cause: { type: 'notification-received', code: 6, subcode: 9 },
		kept: [false, false, false],
	},
	{
		title: '[C212] a NOTIFICATION by us',
		cause: { type: 'notification-sent', code: 3, subcode: 1 },
		kept: [false, false, true],
	},
	{
		title: '[C213] a Hard Reset by us',
		cause: { type: 'notification-sent', code: 6, subcode: 9 },
		kept: [false, false, false],
	},
	{ title: 'the operator', cause: { type: 'administrative' }, kept: [false, false, false] },
];

for (const { title, cause, kept } of rows) {
	test(`routes after ${title}`, (t) => {
		const outcomes = [
			retention({ families: [family(undefined)], notificationRestart: false }, cause),
			retention({ families: [family({ forwarding: false })], notificationRestart: false }, cause),
			retention({ families: [family({ forwarding: false })], notificationRestart: true }, cause),
		];
		t.deepEqual(
			outcomes.map(({ type }) => type === 'retain'),
			[...kept],
		);
	});
}
