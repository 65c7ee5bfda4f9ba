import test from 'ava';

import { describePeerChange, type PeerOptions, peerOptions } from '../../../src/bgp/index.ts';

const before = peerOptions({ address: '10.0.0.2', asNumber: 65002 });

const rows: readonly { title: string; change: Partial<PeerOptions>; effect: string; fields: readonly string[] }[] = [
	{ title: 'nothing', change: {}, effect: 'none', fields: [] },
	{
		title: 'equal values with another identity',
		change: { families: ['ipv4', 'ipv6'], addPath: { receive: false, send: false } },
		effect: 'none',
		fields: [],
	},
	{ title: 'a description', change: { description: 'top of rack' }, effect: 'live', fields: ['description'] },
	{ title: 'the MD5 key', change: { md5Key: 'secret' }, effect: 'live', fields: ['md5Key'] },
	{ title: 'the export policies', change: { exportPolicies: [] }, effect: 'routes', fields: ['exportPolicies'] },
	{ title: 'the hold time', change: { holdTimeSeconds: 30 }, effect: 'reset', fields: ['holdTimeSeconds'] },
	{
		title: 'the strongest of several',
		change: { description: 'x', nextHopMode: 'self', asNumber: 65003 },
		effect: 'reset',
		fields: ['asNumber', 'description', 'nextHopMode'],
	},
];

for (const { title, change, effect, fields } of rows) {
	test(`a change of ${title}: ${effect}`, (t) => {
		const described = describePeerChange(before, { ...before, ...change });
		t.is(described.effect, effect as typeof described.effect);
		t.deepEqual(
			described.fields.map(({ field }) => field as string),
			[...fields],
		);
	});
}
