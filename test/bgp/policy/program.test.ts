import test from 'ava';
import type { PathAttributes } from 'bgp-packet';
import { PolicyProgram } from '../../../src/bgp/policy/program.ts';
import type { PolicyInput } from '../../../src/bgp/policy/state.ts';
import { CommunityError } from '../../../src/bgp/policy/text.ts';
import type { Policy, PolicyMatch, PolicyOperation } from '../../../src/bgp/policy/types.ts';
import { parsePrefix, prefixKey } from '../../../src/core/index.ts';

const attributes: PathAttributes = {
	origin: 'igp',
	asPath: [{ type: 'sequence', asNumbers: [64999, 65001, 65002] }],
	nextHop: Uint8Array.of(10, 0, 1, 1),
	med: 5,
	localPref: 200,
	communities: [65000 * 65536 + 100],
	largeCommunities: [[65000, 1, 2]],
};

const input: PolicyInput = { attributes: () => attributes, family: 'ipv4', source: 'external', sourcePeer: 'tor', peerType: 'internal', priority: 512 };

/** What a program says of a prefix: the route as it is then, or `reject`. */
function ask(program: PolicyProgram, prefix: string, given: Partial<PolicyInput> = {}) {
	const { family, bytes, length } = parsePrefix(prefix);
	const verdict = program.ask({ ...input, family, ...given });
	const { accepted, state } = verdict.type === 'decided' ? verdict : verdict.decide(bytes, length);
	return accepted ? state : 'reject';
}

const policy = (match: PolicyMatch, operations: readonly PolicyOperation[] = []): Policy => ({
	name: 'test',
	terms: [{ match, action: 'accept', operations }],
	otherwise: 'reject',
});

const p = prefixKey;
const matches: readonly { readonly match: PolicyMatch; readonly yes?: readonly string[]; readonly no?: readonly string[] }[] = [
	{ match: {}, yes: ['10.0.0.0/8', '2001:db8::/32'] },
	{ match: { family: 'ipv6' }, yes: ['2001:db8::/32'], no: ['10.0.0.0/8'] },
	{ match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'equal' }] }, yes: ['10.1.0.0/16'], no: ['10.1.0.0/24', '10.0.0.0/8', '2001:db8::/32'] },
	{ match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'not-equal' }] }, yes: ['10.1.0.0/24'], no: ['10.1.0.0/16', '2001:db8::/32'] },
	{ match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in' }] }, yes: ['10.1.0.0/16', '10.1.255.255/32'], no: ['10.0.0.0/8', '10.2.0.0/24'] },
	{
		match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in', length: { min: 24, max: 26 } }] },
		yes: ['10.1.0.0/24', '10.1.0.64/26'],
		no: ['10.1.0.0/16', '10.1.0.0/27'],
	},
	{ match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in', length: { min: 8 } }] }, yes: ['10.1.0.0/16'], no: ['10.0.0.0/8'] },
	{ match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'not-in' }] }, yes: ['10.0.0.0/8', '10.2.0.0/24'], no: ['10.1.0.0/24', '2001:db8::/32'] },
	{ match: { prefixes: [{ prefix: p('2001:db8::/32'), operator: 'in' }] }, yes: ['2001:db8:1::/48'], no: ['2001:db9::/32', '10.0.0.0/8'] },
	{
		match: {
			prefixes: [
				{ prefix: p('0.0.0.0/0'), operator: 'equal' },
				{ prefix: p('10.1.0.0/16'), operator: 'in' },
			],
		},
		yes: ['0.0.0.0/0', '10.1.2.0/24'],
		no: ['10.2.0.0/16'],
	},
	{ match: { source: 'external' }, yes: ['10.0.0.0/8'] },
	{ match: { source: 'remote' }, yes: ['10.0.0.0/8'] },
	{ match: { source: 'local' }, no: ['10.0.0.0/8'] },
	{ match: { peerType: 'external' }, no: ['10.0.0.0/8'] },
	{ match: { communities: ['65000:100'] }, yes: ['10.0.0.0/8'] },
	{ match: { communities: ['65000:100', 'no-export'] }, no: ['10.0.0.0/8'] },
	{ match: { largeCommunities: ['65000:1:2'] }, yes: ['10.0.0.0/8'] },
	{ match: { asPathPrefix: [64999, 65001] }, yes: ['10.0.0.0/8'] },
	{ match: { asPathPrefix: [65001] }, no: ['10.0.0.0/8'] },
	{ match: { asPathMatches: '^64999( |$)' }, yes: ['10.0.0.0/8'] },
	{ match: { asPathLength: { min: 3, max: 3 } }, yes: ['10.0.0.0/8'] },
	{ match: { asPathLength: { max: 2 } }, no: ['10.0.0.0/8'] },
	{ match: { originAs: [65002] }, yes: ['10.0.0.0/8'] },
	{ match: { originAs: [64999] }, no: ['10.0.0.0/8'] },
	{ match: { nextHop: [p('10.0.1.0/24')] }, yes: ['10.0.0.0/8'] },
	{ match: { med: { min: 5, max: 5 }, localPref: { min: 200 } }, yes: ['10.0.0.0/8'] },
	{ match: { localPref: { min: 201 } }, no: ['10.0.0.0/8'] },
	{ match: { peers: ['tor'] }, yes: ['10.0.0.0/8'] },
	{ match: { peers: ['other'] }, no: ['10.0.0.0/8'] },
	{ match: { priority: 512 }, yes: ['10.0.0.0/8'] },
	{ match: { priority: 1024 }, no: ['10.0.0.0/8'] },
];
for (const { match, yes = [], no = [] } of matches) {
	test(`matches ${JSON.stringify(match)}`, (t) => {
		const program = new PolicyProgram([policy(match)]);
		for (const prefix of yes) t.not(ask(program, prefix), 'reject', prefix);
		for (const prefix of no) t.is(ask(program, prefix), 'reject', prefix);
	});
}

const operations: readonly { readonly operation: PolicyOperation; readonly result: Partial<PathAttributes> }[] = [
	{ operation: { type: 'add-community', value: '65000:101' }, result: { communities: [65000 * 65536 + 100, 65000 * 65536 + 101] } },
	{ operation: { type: 'add-community', value: '65000:100' }, result: { communities: [65000 * 65536 + 100] } },
	{ operation: { type: 'set-communities', values: ['no-export'] }, result: { communities: [0xffffff01] } },
	{
		operation: { type: 'add-large-community', value: '1:2:3' },
		result: {
			largeCommunities: [
				[65000, 1, 2],
				[1, 2, 3],
			],
		},
	},
	{ operation: { type: 'prepend-as-path', asNumbers: [7, 7] }, result: { asPath: [{ type: 'sequence', asNumbers: [7, 7, 64999, 65001, 65002] }] } },
	{ operation: { type: 'set-med', value: 9 }, result: { med: 9 } },
	{ operation: { type: 'add-med', value: -10 }, result: { med: 0 } },
	{ operation: { type: 'set-local-pref', value: 50 }, result: { localPref: 50 } },
	{ operation: { type: 'set-origin', value: 'incomplete' }, result: { origin: 'incomplete' } },
	{ operation: { type: 'set-next-hop', value: '10.9.9.9' }, result: { nextHop: Uint8Array.of(10, 9, 9, 9) } },
];
for (const { operation, result } of operations) {
	test(`applies ${JSON.stringify(operation)}`, (t) => {
		const state = ask(new PolicyProgram([policy({}, [operation])]), '10.0.0.0/8');
		if (state === 'reject') return t.fail();
		t.deepEqual(state.attributes, { ...attributes, ...result });
		return t.true(state.changed);
	});
}

test('an attribute that an operation empties is gone', (t) => {
	const removing: PolicyOperation[] = [
		{ type: 'remove-community', value: '65000:100' },
		{ type: 'remove-large-community', value: '65000:1:2' },
		{ type: 'set-med', value: undefined },
	];
	const state = ask(new PolicyProgram([policy({}, removing)]), '10.0.0.0/8');
	const { communities: _c, largeCommunities: _l, med: _m, ...rest } = attributes;
	t.deepEqual(state === 'reject' ? undefined : state.attributes, rest);
});

test('terms are asked in order; one that continues changes what the later ones see; lists of policies are one list', (t) => {
	const first: Policy = {
		name: 'first',
		terms: [
			{ match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in' }] }, action: 'continue', operations: [{ type: 'add-community', value: '65000:7' }] },
			{ match: { communities: ['65000:7'] }, action: 'continue', operations: [{ type: 'set-priority', value: 100 }] },
		],
		otherwise: 'accept',
	};
	const second: Policy = {
		name: 'second',
		terms: [{ match: { communities: ['65000:7'], priority: 100 }, action: 'accept', operations: [] }],
		otherwise: 'reject',
	};
	const program = new PolicyProgram([first, second]);
	const state = ask(program, '10.1.2.0/24');
	t.is(state === 'reject' ? undefined : state.priority, 100);
	t.is(ask(program, '10.2.0.0/24'), 'reject');
	const verdict = program.ask(input);
	const decide = (prefix: string) => (verdict.type === 'by-prefix' ? verdict.decide(parsePrefix(prefix).bytes, 24) : undefined);
	t.is(decide('10.1.2.0/24'), decide('10.1.3.0/24'), 'one outcome is one object, however often it is asked');
});

test('attributes are not made for a policy that looks at prefixes alone', (t) => {
	const program = new PolicyProgram([policy({ prefixes: [{ prefix: p('10.0.0.0/8'), operator: 'in' }] })]);
	const never = () => t.fail();
	t.not(ask(program, '10.1.0.0/16', { attributes: never as unknown as () => PathAttributes }), 'reject');
	t.false(program.readsAttributes);
});

test('what is no community is said so', (t) => {
	t.throws(() => new PolicyProgram([policy({ communities: ['65536:1'] })]), { instanceOf: CommunityError });
	t.throws(() => new PolicyProgram([policy({}, [{ type: 'add-large-community', value: '1:2' }])]), { instanceOf: CommunityError });
});
