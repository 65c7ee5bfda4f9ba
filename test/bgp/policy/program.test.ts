import test from 'ava';
import type { PathAttributes } from 'bgp-packet';
import fc from 'fast-check';
import type { Policy, PolicyMatch, PolicyOperation } from '../../../src/bgp/model/policy.ts';
import { compilePattern } from '../../../src/bgp/policy/matches.ts';
import { PolicyProgram } from '../../../src/bgp/policy/program.ts';
import type { PolicyInput } from '../../../src/bgp/policy/state.ts';
import { CommunityError } from '../../../src/bgp/policy/text.ts';
import { parsePrefix, prefixKey } from '../../../src/core/index.ts';

const octets = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
/** rt:65000:100, and a link bandwidth, which is non-transitive. */
const target = octets('0002fde800000064');
const bandwidth = octets('4004fde84b3ebc20');

const attributes: PathAttributes = {
	origin: 'igp',
	asPath: [{ type: 'sequence', asNumbers: [64999, 65001, 65002] }],
	nextHop: Uint8Array.of(10, 0, 1, 1),
	med: 5,
	localPref: 200,
	communities: [65000 * 65536 + 100],
	largeCommunities: [[65000, 1, 2]],
	extendedCommunities: [target, bandwidth],
};

const input: PolicyInput = {
	attributes: () => attributes,
	family: 'ipv4',
	source: 'external',
	sourcePeer: 'tor',
	peerType: 'internal',
	interfaceName: () => 'eth0',
	priority: 512,
};

/** The result of a program for a prefix: the resulting route, or `reject`. */
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

const acceptRest = { terms: [], otherwise: 'accept' } as const;
const rejectRest = { terms: [], otherwise: 'reject' } as const;
const rejecting = { match: {}, action: 'reject', operations: [] } as const;

const p = prefixKey;
const matches: readonly {
	readonly match: PolicyMatch;
	readonly yes?: readonly string[];
	readonly no?: readonly string[];
}[] = [
	{ match: {}, yes: ['10.0.0.0/8', '2001:db8::/32'] },
	{ match: { family: 'ipv6' }, yes: ['2001:db8::/32'], no: ['10.0.0.0/8'] },
	{
		match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'equal' }] },
		yes: ['10.1.0.0/16'],
		no: ['10.1.0.0/24', '10.0.0.0/8', '2001:db8::/32'],
	},
	{
		match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'not-equal' }] },
		yes: ['10.1.0.0/24'],
		no: ['10.1.0.0/16', '2001:db8::/32'],
	},
	{
		match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in' }] },
		yes: ['10.1.0.0/16', '10.1.255.255/32'],
		no: ['10.0.0.0/8', '10.2.0.0/24'],
	},
	{
		match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in', length: { min: 24, max: 26 } }] },
		yes: ['10.1.0.0/24', '10.1.0.64/26'],
		no: ['10.1.0.0/16', '10.1.0.0/27'],
	},
	{
		match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in', length: { min: 8 } }] },
		yes: ['10.1.0.0/16'],
		no: ['10.0.0.0/8'],
	},
	{
		match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'not-in' }] },
		yes: ['10.0.0.0/8', '10.2.0.0/24'],
		no: ['10.1.0.0/24', '2001:db8::/32'],
	},
	{
		match: { prefixes: [{ prefix: p('2001:db8::/32'), operator: 'in' }] },
		yes: ['2001:db8:1::/48'],
		no: ['2001:db9::/32', '10.0.0.0/8'],
	},
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
	{ match: { extendedCommunities: ['rt:65000:100'] }, yes: ['10.0.0.0/8'] },
	{ match: { extendedCommunities: ['0x4004fde84b3ebc20', '0002FDE800000064'] }, yes: ['10.0.0.0/8'] },
	{ match: { extendedCommunities: ['rt:65000:100', 'rt:65000:101'] }, no: ['10.0.0.0/8'] },
	{ match: { extendedCommunities: ['rt:65000L:100'] }, no: ['10.0.0.0/8'] },
	{ match: { extendedCommunities: ['ro:65000:100'] }, no: ['10.0.0.0/8'] },
	{ match: { asPathPrefix: [64999, 65001] }, yes: ['10.0.0.0/8'] },
	{ match: { asPathPrefix: [65001] }, no: ['10.0.0.0/8'] },
	{ match: { asPathMatches: '^64999( |$)' }, yes: ['10.0.0.0/8'] },
	{ match: { communityCount: { min: 1 } }, yes: ['10.0.0.0/8'] },
	{ match: { communityCount: { min: 100 } }, no: ['10.0.0.0/8'] },
	{ match: { largeCommunityCount: { max: 1 } }, yes: ['10.0.0.0/8'] },
	{ match: { largeCommunityCount: { max: 0 } }, no: ['10.0.0.0/8'] },
	{ match: { extendedCommunityCount: { min: 1, max: 9 } }, yes: ['10.0.0.0/8'] },
	{ match: { extendedCommunityCount: { min: 10 } }, no: ['10.0.0.0/8'] },
	{ match: { asPathLength: { min: 3, max: 3 } }, yes: ['10.0.0.0/8'] },
	{ match: { asPathLength: { max: 2 } }, no: ['10.0.0.0/8'] },
	{ match: { originAs: [65002] }, yes: ['10.0.0.0/8'] },
	{ match: { originAs: [64999] }, no: ['10.0.0.0/8'] },
	{ match: { nextHop: [p('10.0.1.0/24')] }, yes: ['10.0.0.0/8'] },
	{ match: { med: { min: 5, max: 5 }, localPref: { min: 200 } }, yes: ['10.0.0.0/8'] },
	{ match: { localPref: { min: 201 } }, no: ['10.0.0.0/8'] },
	{ match: { peers: ['tor'] }, yes: ['10.0.0.0/8'] },
	{ match: { peers: ['other'] }, no: ['10.0.0.0/8'] },
	{ match: { interface: 'eth0' }, yes: ['10.0.0.0/8'] },
	{ match: { interface: 'eth*' }, yes: ['10.0.0.0/8'] },
	{ match: { interface: 'eth?' }, yes: ['10.0.0.0/8'] },
	{ match: { interface: '*' }, yes: ['10.0.0.0/8'] },
	{ match: { interface: 'eth?0' }, no: ['10.0.0.0/8'] },
	{ match: { interface: 'th*' }, no: ['10.0.0.0/8'] },
	{ match: { interface: 'eth' }, no: ['10.0.0.0/8'] },
	{ match: { interface: 'e.h0' }, no: ['10.0.0.0/8'] },
	{ match: { interface: 'eth0', communities: ['no-export'] }, no: ['10.0.0.0/8'] },
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
	{
		operation: { type: 'add-community', value: '65000:101' },
		result: { communities: [65000 * 65536 + 100, 65000 * 65536 + 101] },
	},
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
	{
		operation: { type: 'set-large-communities', values: ['1:2:3', '1:2:3'] },
		result: { largeCommunities: [[1, 2, 3]] },
	},
	{ operation: { type: 'add-extended-community', value: 'rt:65000:100' }, result: {} },
	{
		operation: { type: 'add-extended-community', value: 'rt:4200000000:7' },
		result: { extendedCommunities: [target, bandwidth, octets('0202fa56ea000007')] },
	},
	{
		operation: { type: 'remove-extended-community', value: '0x4004fde84b3ebc20' },
		result: { extendedCommunities: [target] },
	},
	{ operation: { type: 'remove-extended-community', value: 'rt:1:1' }, result: {} },
	{
		operation: { type: 'set-extended-communities', values: ['ro:10.0.0.1:2', 'ro:10.0.0.1:2'] },
		result: { extendedCommunities: [octets('01030a0000010002')] },
	},
	{
		operation: { type: 'prepend-as-path', asNumbers: [7, 7] },
		result: { asPath: [{ type: 'sequence', asNumbers: [7, 7, 64999, 65001, 65002] }] },
	},
	{ operation: { type: 'prepend-as-path', asNumbers: [] }, result: {} },
	{
		operation: { type: 'prepend-as-path', asNumbers: Array.from({ length: 300 }, () => 7) },
		result: {
			asPath: [
				{ type: 'sequence', asNumbers: Array.from({ length: 255 }, () => 7) },
				{ type: 'sequence', asNumbers: Array.from({ length: 45 }, () => 7) },
				{ type: 'sequence', asNumbers: [64999, 65001, 65002] },
			],
		},
	},
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

test('an attribute emptied by an operation is removed', (t) => {
	const removing: PolicyOperation[] = [
		{ type: 'remove-community', value: '65000:100' },
		{ type: 'remove-large-community', value: '65000:1:2' },
		{ type: 'set-extended-communities', values: [] },
		{ type: 'set-med', value: undefined },
	];
	const state = ask(new PolicyProgram([policy({}, removing)]), '10.0.0.0/8');
	const { communities: _c, largeCommunities: _l, extendedCommunities: _e, med: _m, ...rest } = attributes;
	t.deepEqual(state === 'reject' ? undefined : state.attributes, rest);
});

test('terms and policies are evaluated in order; a term that continues changes the input of the later ones', (t) => {
	const first: Policy = {
		name: 'first',
		terms: [
			{
				match: { prefixes: [{ prefix: p('10.1.0.0/16'), operator: 'in' }] },
				action: 'continue',
				operations: [{ type: 'add-community', value: '65000:7' }],
			},
			{ match: { communities: ['65000:7'] }, action: 'continue', operations: [{ type: 'set-priority', value: 100 }] },
		],
		otherwise: 'next',
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
	const decide = (prefix: string) =>
		verdict.type === 'by-prefix' ? verdict.decide(parsePrefix(prefix).bytes, 24) : undefined;
	t.is(decide('10.1.2.0/24'), decide('10.1.3.0/24'), 'one outcome is one object, however often it is asked');
});

test('attributes are not decoded for a policy that only matches prefixes', (t) => {
	const program = new PolicyProgram([policy({ prefixes: [{ prefix: p('10.0.0.0/8'), operator: 'in' }] })]);
	const never = () => t.fail();
	t.not(ask(program, '10.1.0.0/16', { attributes: never as unknown as () => PathAttributes }), 'reject');
	t.false(program.readsAttributes);
});

test('an invalid community is reported', (t) => {
	t.throws(() => new PolicyProgram([policy({ communities: ['65536:1'] })]), { instanceOf: CommunityError });
	t.throws(() => new PolicyProgram([policy({}, [{ type: 'add-large-community', value: '1:2' }])]), {
		instanceOf: CommunityError,
	});
	t.throws(() => new PolicyProgram([policy({ extendedCommunities: ['rt:1'] })]), { instanceOf: CommunityError });
	t.throws(() => new PolicyProgram([policy({}, [{ type: 'add-extended-community', value: '65000:1' }])]), {
		instanceOf: CommunityError,
	});
});

const chains: readonly {
	readonly title: string;
	readonly policies: readonly Omit<Policy, 'name'>[];
	readonly accepted: boolean;
}[] = [
	{
		title: 'a policy without a decision passes the route to the next one',
		policies: [{ terms: [], otherwise: 'next' }, acceptRest],
		accepted: true,
	},
	{
		title: 'a route without any decision is rejected',
		policies: [
			{ terms: [], otherwise: 'next' },
			{ terms: [], otherwise: 'next' },
		],
		accepted: false,
	},
	{ title: 'the default of a policy before the last one decides', policies: [rejectRest, acceptRest], accepted: false },
	{
		title: 'the default of the first policy decides before a term of the second',
		policies: [acceptRest, { terms: [rejecting], otherwise: 'next' }],
		accepted: true,
	},
	{
		title: 'a term of the first policy decides for all',
		policies: [{ terms: [rejecting], otherwise: 'next' }, acceptRest],
		accepted: false,
	},
];
for (const { title, policies, accepted } of chains) {
	test(title, (t) => {
		const program = new PolicyProgram(policies.map((one, index) => ({ ...one, name: `${index}` })));
		t.is(ask(program, '10.0.0.0/8') !== 'reject', accepted);
	});
}

test('added extended communities are present, removed ones are not, the others stay', (t) => {
	const value = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`);
	fc.assert(
		fc.property(fc.uniqueArray(value, { maxLength: 6 }), value, fc.boolean(), (present, one, add) => {
			const given: PathAttributes = {
				...attributes,
				extendedCommunities: present.map((text) => octets(text.slice(2))),
			};
			const type = add ? 'add-extended-community' : 'remove-extended-community';
			const state = ask(new PolicyProgram([policy({}, [{ type, value: one }])]), '10.0.0.0/8', {
				attributes: () => given,
			});
			const result =
				state === 'reject'
					? []
					: (state.attributes.extendedCommunities ?? []).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`);
			const others = present.filter((text) => text !== one);
			t.deepEqual(
				result.filter((text) => text !== one),
				others,
			);
			t.is(result.includes(one), add);
			const after = new PolicyProgram([policy({ extendedCommunities: [one] })]);
			t.is(state !== 'reject' && ask(after, '10.0.0.0/8', { attributes: () => state.attributes }) !== 'reject', add);
		}),
	);
});

const patterns: readonly {
	readonly pattern: string;
	readonly yes?: readonly string[];
	readonly no?: readonly string[];
}[] = [
	{ pattern: '*', yes: ['', 'eth0', 'a\nb'] },
	{ pattern: '?', yes: ['a'], no: ['', 'ab'] },
	{ pattern: '*.cali?', yes: ['x.cali1', '.calia'], no: ['xcali1', 'x.cali', 'x.cali12'] },
	{ pattern: 'a\\*b', yes: ['a*b'], no: ['axb', 'ab'] },
	{ pattern: 'wg0+[x](y)', yes: ['wg0+[x](y)'], no: ['wg00x'] },
	{ pattern: '', yes: [''], no: ['eth0'] },
];
for (const { pattern, yes = [], no = [] } of patterns) {
	test(`the pattern ${JSON.stringify(pattern)} matches names as in BIRD`, (t) => {
		const holds = compilePattern(pattern);
		for (const name of yes) t.true(holds(name), name);
		for (const name of no) t.false(holds(name), name);
	});
}
