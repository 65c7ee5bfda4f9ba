import test from 'ava';
import { parseAddress, prefixKey } from '../../src/core/index.ts';
import {
	type DirectionPolicy,
	evaluate,
	formatAddressPort,
	type IpSet,
	type Packet,
	type Policy,
	type Rule,
	type RuleBook,
	type TierPolicies,
} from '../../src/policy/index.ts';

const rule = (action: Rule['action'], matches: Partial<Rule> = {}): Rule => ({
	source: {},
	destination: {},
	origin: 'ingress[0]',
	...matches,
	action,
});
const policy = (name: string, ingress: readonly Rule[], staged = false): Policy => ({
	key: `global-network-policy/${name}`,
	kind: 'global-network-policy',
	name,
	staged,
	ingress,
	egress: [],
});
const set = (id: string, type: IpSet['type'], ...members: string[]): IpSet => ({
	id,
	type,
	meaning: id,
	members: new Set(members),
});
const packet = (changes: {
	from?: string;
	to?: string;
	protocol?: number;
	port?: number;
	icmp?: Packet['icmp'];
}): Packet => ({
	source: parseAddress(changes.from ?? '10.0.0.1'),
	destination: parseAddress(changes.to ?? '10.0.0.2'),
	protocol: changes.protocol ?? 6,
	sourcePort: 40000,
	destinationPort: changes.port ?? 80,
	...(changes.icmp === undefined ? {} : { icmp: changes.icmp }),
});

interface Row {
	readonly title: string;
	readonly policies: readonly Policy[];
	/**
	 * Names of policies per tier; a tier whose name ends in `-pass` has the default action pass.
	 */
	readonly tiers: Readonly<Record<string, readonly string[]>>;
	readonly profiles?: readonly string[];
	readonly sets?: readonly IpSet[];
	readonly packet?: Packet;
	readonly otherwise?: DirectionPolicy['otherwise'];
	readonly action: 'allow' | 'deny' | 'continue';
	/** `rule NAME INDEX`, `tier-default TIER`, `profile NAME INDEX` or `end`. */
	readonly decidedBy: string;
	readonly staged?: readonly string[];
	readonly logged?: readonly string[];
}

const allowAll = policy('allow', [rule('allow')]);
const denyAll = policy('deny', [rule('deny')]);
const nothing = policy('nothing', []);
const passAll = policy('pass', [rule('pass')]);
const rows: readonly Row[] = [
	{
		title: 'no tier: the profile decides',
		policies: [allowAll],
		tiers: {},
		profiles: ['allow'],
		action: 'allow',
		decidedBy: 'profile allow 0',
	},
	{ title: 'no tier, no profile: denied', policies: [], tiers: {}, action: 'deny', decidedBy: 'end' },
	{
		title: 'no match: the tier denies',
		policies: [nothing, allowAll],
		tiers: { a: ['nothing'], b: ['allow'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'no match: the default action pass goes to the next tier',
		policies: [nothing, allowAll],
		tiers: { 'a-pass': ['nothing'], b: ['allow'] },
		action: 'allow',
		decidedBy: 'rule allow 0',
	},
	{
		title: 'pass leaves the tier before later policies',
		policies: [passAll, denyAll, allowAll],
		tiers: { a: ['pass', 'deny'], b: ['allow'] },
		action: 'allow',
		decidedBy: 'rule allow 0',
	},
	{
		title: 'pass in the last tier goes to the profiles',
		policies: [passAll, denyAll],
		tiers: { a: ['pass'] },
		profiles: ['deny'],
		action: 'deny',
		decidedBy: 'profile deny 0',
	},
	{
		title: 'a tier with staged policies only does not deny',
		policies: [policy('staged', [rule('deny')], true), allowAll],
		tiers: { a: ['staged'], b: ['allow'] },
		action: 'allow',
		decidedBy: 'rule allow 0',
		staged: ['staged deny'],
	},
	{
		title: 'a staged policy before an enforced one is counted',
		policies: [policy('staged', [rule('deny')], true), allowAll],
		tiers: { a: ['staged', 'allow'] },
		action: 'allow',
		decidedBy: 'rule allow 0',
		staged: ['staged deny'],
	},
	{
		title: 'log is recorded and evaluation continues',
		policies: [policy('log', [rule('log'), rule('deny')])],
		tiers: { a: ['log'] },
		action: 'deny',
		decidedBy: 'rule log 1',
		logged: ['log 0'],
	},
	{
		title: 'a stage without a verdict continues',
		policies: [nothing],
		tiers: { 'a-pass': ['nothing'] },
		otherwise: 'continue',
		action: 'continue',
		decidedBy: 'end',
	},
	{
		title: 'every set must contain the address',
		policies: [policy('p', [rule('allow', { source: { sets: ['x', 'y'] } })])],
		sets: [set('x', 'nets', '10.0.0.0/8'), set('y', 'nets', '10.1.0.0/16')],
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'a large set with a prefix of any length',
		policies: [policy('p', [rule('allow', { source: { sets: ['x'] } })])],
		sets: [set('x', 'nets', ...Array.from({ length: 40 }, (_, at) => `172.16.${at}.0/24`), '8.0.0.0/5')],
		tiers: { a: ['p'] },
		action: 'allow',
		decidedBy: 'rule p 0',
	},
	{
		title: 'a set that excludes',
		policies: [policy('p', [rule('allow', { source: { notSets: ['x'] } })])],
		sets: [set('x', 'nets', '10.0.0.1/32')],
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'a named port or a range',
		policies: [
			policy('p', [
				rule('allow', { protocol: 6, destination: { ports: { ranges: [{ first: 1, last: 2 }], sets: ['web'] } } }),
			]),
		],
		sets: [set('web', 'address-ports', formatAddressPort('10.0.0.2', 6, 80))],
		tiers: { a: ['p'] },
		action: 'allow',
		decidedBy: 'rule p 0',
	},
	{
		title: 'a named port of another address',
		policies: [policy('p', [rule('allow', { protocol: 6, destination: { ports: { ranges: [], sets: ['web'] } } })])],
		sets: [set('web', 'address-ports', formatAddressPort('10.0.0.3', 6, 80))],
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'a service is address, protocol and port',
		policies: [policy('p', [rule('allow', { destination: { addressPortSets: ['svc'] } })])],
		sets: [set('svc', 'address-ports', formatAddressPort('10.0.0.2', 17, 80))],
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'ports excluded',
		policies: [
			policy('p', [
				rule('allow', { protocol: 6, destination: { notPorts: { ranges: [{ first: 80, last: 90 }], sets: [] } } }),
			]),
		],
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'nets of the other family match nothing',
		policies: [policy('p', [rule('allow', { source: { nets: [prefixKey('0.0.0.0/0')] } })])],
		packet: packet({ from: 'fd00::1', to: 'fd00::2' }),
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'ICMP by type',
		policies: [policy('p', [rule('allow', { protocol: 1, icmp: { type: 8 } })])],
		packet: packet({ protocol: 1, icmp: { type: 8, code: 3 } }),
		tiers: { a: ['p'] },
		action: 'allow',
		decidedBy: 'rule p 0',
	},
	{
		title: 'ICMP by type and code',
		policies: [policy('p', [rule('allow', { protocol: 1, icmp: { type: 8, code: 0 } })])],
		packet: packet({ protocol: 1, icmp: { type: 8, code: 3 } }),
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'ICMP type excluded',
		policies: [policy('p', [rule('allow', { protocol: 1, notIcmp: { type: 8 } })])],
		packet: packet({ protocol: 1, icmp: { type: 8, code: 0 } }),
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
	{
		title: 'protocol excluded',
		policies: [policy('p', [rule('allow', { notProtocol: 6 })])],
		tiers: { a: ['p'] },
		action: 'deny',
		decidedBy: 'tier-default a',
	},
];

for (const row of rows) {
	test(`evaluate: ${row.title}`, (t) => {
		const book: RuleBook = {
			policies: new Map(row.policies.map((one) => [one.key, one])),
			sets: new Map((row.sets ?? []).map((one) => [one.id, one])),
		};
		const key = (name: string) => `global-network-policy/${name}`;
		const nameOf = (text: string) => text.slice('global-network-policy/'.length);
		const tiers: TierPolicies[] = Object.entries(row.tiers).map(([tier, names]) => ({
			tier,
			defaultAction: tier.endsWith('-pass') ? 'pass' : 'deny',
			policies: names.map(key),
		}));
		const direction: DirectionPolicy = {
			id: 'd0',
			direction: 'ingress',
			tiers,
			profiles: (row.profiles ?? []).map(key),
			otherwise: row.otherwise ?? 'deny',
		};
		const verdict = evaluate(direction, row.packet ?? packet({}), book);
		const { decision } = verdict;
		const decidedBy =
			decision.type === 'rule' || decision.type === 'profile'
				? `${decision.type} ${nameOf(decision.rule.policy)} ${decision.rule.index}`
				: decision.type === 'tier-default'
					? `tier-default ${decision.tier}`
					: 'end';
		t.is(verdict.action, row.action);
		t.is(decidedBy, row.decidedBy);
		t.deepEqual(
			verdict.staged.map((one) => `${nameOf(one.rule.policy)} ${one.action}`),
			row.staged ?? [],
		);
		t.deepEqual(
			verdict.logged.map((one) => `${nameOf(one.policy)} ${one.index}`),
			row.logged ?? [],
		);
	});
}
