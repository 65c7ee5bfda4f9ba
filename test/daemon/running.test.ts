import test from 'ava';
import { describePeerChange } from '../../src/bgp/index.ts';
import { diffConfig, parseConfig } from '../../src/config/index.ts';
import { peerOptionsOf } from '../../src/daemon/peer-options.ts';
import { afterReload, planReload } from '../../src/daemon/running.ts';

const file = (peer: string, rest = '', more = '') =>
	parseConfig(
		`bgp: { asNumber: 64512, ${more} peers: [ { name: tor, address: 10.0.0.1, asNumber: 64999${peer} } ] }\n${rest}`,
		'x.yaml',
	);
const policies = 'policies: { p: {}, q: { otherwise: accept } }';

/** Changes every key of a peer: the effect in the schema must equal the effect in the speaker. */
const keys: readonly { key: string; before?: string; rest?: string }[] = [
	...[
		'description: x',
		'enabled: false',
		'port: 1790',
		'localAddress: 10.0.0.2',
		'device: eth0',
		'localAsNumber: 64513',
		'passive: true',
		'families: [ipv4]',
	],
	...[
		'holdTimeSeconds: 30',
		'connectRetrySeconds: 5',
		'multihopTtl: 3',
		'ttlSecurityHops: 1',
		'reflectorClient: true',
		'routeServerClient: true',
		'secondBestPath: true',
		'nextHopMode: self',
	],
	...[
		'nextHopSelf: { ipv4: 10.0.0.9 }',
		'allowOwnAs: 1',
		'removePrivateAs: true',
		'replaceOwnAs: true',
		'noPrependInbound: true',
		'dualAs: true',
		'enforceFirstAs: false',
		'role: customer',
		'strictRole: true',
		'extendedNextHop: true',
	],
	...[
		'importPolicies: [p]',
		'exportPolicies: [q]',
		'addPath: { receive: true }',
		'addPath: { limit: 2 }',
		'gracefulRestart: { enabled: false }',
	],
	...[
		'gracefulRestart: { restartSeconds: 60 }',
		'gracefulRestart: { staleSeconds: 60 }',
		'gracefulRestart: { longLivedStaleSeconds: 60 }',
		'maxPrefix: { limit: 5 }',
	],
].map((key) => ({ key }));
for (const { key } of keys) {
	test(`the schema and the speaker agree on the effect of changing ${key}`, (t) => {
		const [before, after] = [file('', policies), file(`, ${key}`, policies)];
		const [change] = diffConfig(before, after);
		const [was, becomes] = [before, after].map(
			(config) => config.bgp?.peers.map((peer) => peerOptionsOf(config, peer, new Map()))[0],
		);
		if (was === undefined || becomes === undefined) return t.fail('there is one peer');
		return t.is(String(change?.effect), describePeerChange(was, becomes).effect);
	});
}

test('a changed policy is a change of the peers that have it', (t) => {
	const [before, after] = [
		file(', importPolicies: [p]', policies),
		file(', importPolicies: [p]', 'policies: { p: { otherwise: accept }, q: { otherwise: accept } }'),
	];
	const plan = planReload('x.yaml', true, before, after, (name) => ({
		peer: name,
		effect: 'routes',
		fields: [{ field: 'importPolicies', effect: 'routes', why: 'policy' }],
	}));
	t.deepEqual(
		plan.changes.map(({ what, name, effect }) => [what, name, effect]),
		[
			['policy', 'p', 'routes'],
			['peer', 'tor', 'routes'],
		],
	);
	t.deepEqual(plan.resets, []);
});

test('a reset reports its reason', (t) => {
	const [before, after] = [
		file(''),
		file(', holdTimeSeconds: 30, gracefulRestart: { restartSeconds: 60 }, device: eth0, description: x'),
	];
	const [was, becomes] = [before, after].map(
		(config) => config.bgp?.peers.map((peer) => peerOptionsOf(config, peer, new Map()))[0],
	);
	if (was === undefined || becomes === undefined) return t.fail('there is one peer');
	const { changes } = planReload('x.yaml', true, before, after, () => describePeerChange(was, becomes));
	return t.deepEqual(Object.fromEntries(changes.flatMap(({ keys }) => keys).map(({ key, why }) => [key, why])), {
		holdTimeSeconds: 'resets the session: it is part of OPEN, once per session',
		'gracefulRestart.restartSeconds': 'resets the session: it is part of OPEN, once per session',
		device: 'resets the session: it is a property of the TCP connection',
		description: undefined,
	});
});

test('an option that needs a restart keeps its running value, and is reported again at the next reload', (t) => {
	const before = file('');
	const after = parseConfig(
		'bgp: { asNumber: 64513, clientToClientReflection: false, inSyncTimeoutSeconds: 9 }\ncontrol: { group: adm }\nlog: { level: debug }\n',
		'x.yaml',
	);
	const running = afterReload(before, after);
	t.is(running.bgp?.asNumber, 64513);
	t.is(running.bgp?.inSyncTimeoutSeconds, 60);
	t.false(Object.hasOwn(running.control, 'group'));
	t.is(running.log.level, 'debug');
	t.deepEqual(running.bgp?.peers, []);
	t.deepEqual(
		diffConfig(running, after).map(({ name, effect }) => [name, effect]),
		[
			['bgp.clientToClientReflection', 'restart'],
			['bgp.inSyncTimeoutSeconds', 'restart'],
			['control.group', 'restart'],
		],
	);
	t.true(Object.isFrozen(running.bgp));
});

const identities = [
	{
		title: 'a changed AS number resets the peers that receive it',
		bgp: 'asNumber: 64513',
		effect: 'reset',
		resets: ['a'],
	},
	{
		title: 'a changed router ID resets every peer',
		bgp: 'asNumber: 64512, routerId: 10.0.0.9',
		effect: 'reset',
		resets: ['a', 'b'],
	},
	{
		title: 'becoming a reflector resets no peer',
		bgp: 'asNumber: 64512, clusterId: 10.0.0.9',
		effect: 'routes',
		resets: [],
	},
	{
		title: 'a changed port resets no peer',
		bgp: 'asNumber: 64512, listen: { port: 1179 }',
		effect: 'live',
		resets: [],
	},
] as const;
for (const { title, bgp, effect, resets } of identities) {
	test(title, (t) => {
		const peers =
			'peers: [ { name: a, address: 10.0.0.1, asNumber: 1 }, { name: b, address: 10.0.0.2, asNumber: 1, localAsNumber: 7 } ]';
		const [before, after] = ['asNumber: 64512', bgp].map((text) => parseConfig(`bgp: { ${text}, ${peers} }`, 'x.yaml'));
		if (before === undefined || after === undefined) return t.fail();
		const plan = planReload('x.yaml', true, before, after, () => undefined);
		t.deepEqual(
			plan.changes.map((change) => change.effect),
			[effect],
		);
		t.deepEqual(plan.resets, resets);
	});
}
