import test from 'ava';
import { type ConfigChange, diffConfig, parseConfig } from '../../src/config/index.ts';

const file = (bgp: string, rest = '') => parseConfig(`bgp: { asNumber: 64512, ${bgp} }\n${rest}`, 'x.yaml');
const tor = (keys: string) => `peers: [ { name: tor, address: 10.0.0.1, asNumber: 64999${keys} } ]`;

const rows: readonly {
	title: string;
	before: ReturnType<typeof file>;
	after: ReturnType<typeof file>;
	changes: readonly ConfigChange[];
}[] = [
	{ title: 'equal files have no difference', before: file(tor('')), after: file(tor('')), changes: [] },
	{
		title: 'an explicit default is no change',
		before: file(tor('')),
		after: file(tor(', port: 179')),
		changes: [],
	},
	{
		title: 'a value that moves into a group is no change',
		before: file(tor(', holdTimeSeconds: 9')),
		after: file(`groups: { g: { holdTimeSeconds: 9 } }, ${tor(', group: g')}`),
		changes: [],
	},
	{
		title: 'a new peer resets no session',
		before: file(''),
		after: file(tor('')),
		changes: [{ type: 'added', what: 'peer', name: 'tor', effect: 'live' }],
	},
	{
		title: 'a removed peer loses its session',
		before: file(tor('')),
		after: file(''),
		changes: [{ type: 'removed', what: 'peer', name: 'tor', effect: 'reset' }],
	},
	{
		title: 'a hold time resets the session',
		before: file(tor('')),
		after: file(tor(', holdTimeSeconds: 9')),
		changes: [
			{
				type: 'changed',
				what: 'peer',
				name: 'tor',
				effect: 'reset',
				keys: [{ key: 'holdTimeSeconds', effect: 'reset', from: 90, to: 9 }],
			},
		],
	},
	{
		title: 'a prefix limit does not reset the session',
		before: file(tor(', maxPrefix: { limit: 10 }')),
		after: file(tor(', maxPrefix: { limit: 20 }')),
		changes: [
			{
				type: 'changed',
				what: 'peer',
				name: 'tor',
				effect: 'routes',
				keys: [{ key: 'maxPrefix.limit', effect: 'routes', from: 10, to: 20 }],
			},
		],
	},
	{
		title: 'of several keys the strongest effect counts',
		before: file(tor('')),
		after: file(tor(', description: x, nextHopMode: self')),
		changes: [
			{
				type: 'changed',
				what: 'peer',
				name: 'tor',
				effect: 'routes',
				keys: [
					{ key: 'nextHopMode', effect: 'routes', from: 'auto', to: 'self' },
					{ key: 'description', effect: 'live', from: undefined, to: 'x' },
				],
			},
		],
	},
	{
		title: 'our AS number resets sessions',
		before: file(''),
		after: parseConfig('bgp: { asNumber: 64513 }', 'x.yaml'),
		changes: [
			{
				type: 'changed',
				what: 'setting',
				name: 'bgp.asNumber',
				effect: 'reset',
				keys: [{ key: 'bgp.asNumber', effect: 'reset', from: 64512, to: 64513 }],
			},
		],
	},
	{
		title: 'the log level applies at once',
		before: file(''),
		after: file('', 'log: { level: debug }'),
		changes: [
			{
				type: 'changed',
				what: 'setting',
				name: 'log.level',
				effect: 'live',
				keys: [{ key: 'log.level', effect: 'live', from: 'info', to: 'debug' }],
			},
		],
	},
	{
		title: 'an added origin',
		before: file(''),
		after: file('originate: [10.1.0.0/26]'),
		changes: [{ type: 'added', what: 'origin', name: '10.1.0.0/26', effect: 'live' }],
	},
	{
		title: 'a policy changes without a reset',
		before: file('', 'policies: { p: {} }'),
		after: file('', 'policies: { p: { otherwise: accept } }'),
		changes: [
			{
				type: 'changed',
				what: 'policy',
				name: 'p',
				effect: 'routes',
				keys: [{ key: 'otherwise', effect: 'routes', from: 'next', to: 'accept' }],
			},
		],
	},
];
for (const { title, before, after, changes } of rows)
	test(title, (t) => t.deepEqual(diffConfig(before, after), changes as ConfigChange[]));
