/**
 * The chains that packets enter first: established connections, what a node lets through by itself,
 * dispatch by interface. Pure.
 */
import type { FailsafePort, NodeSettings } from '../../policy/index.ts';
import { basePrefix, type ChainSpec, chainNamed } from '../table.ts';
import { allowStatements, cutConnection, Mark } from './chains.ts';
import { familyOfPrefix, type SetNames } from './match.ts';

/** Verdict maps from an interface to the chain of its endpoint. */
export const dispatchMaps = [
	'from-workload',
	'to-workload',
	'host-in',
	'host-out',
	'host-forward-in',
	'host-forward-out',
	'host-before-dnat',
	'host-untracked-in',
	'host-untracked-out',
] as const;
export type DispatchMap = (typeof dispatchMaps)[number];

/** Sets of interface and address that pods may send from. */
export const sourceSets = { ipv4: 'workload-sources-4', ipv6: 'workload-sources-6' } as const;

export interface BaseOptions {
	readonly settings: NodeSettings;
	readonly setName: SetNames['of'];
	/** Interfaces of pods begin with this; one that is not known is cut off. */
	readonly workloadPrefix: string;
	/** Chains for interfaces that have no host endpoint of their own, by map. */
	readonly wildcard: ReadonlyMap<DispatchMap, string>;
	/** There are host endpoints. */
	readonly hosts: boolean;
	/** Interfaces whose packets have `Mark.untracked` where they are not to be tracked. */
	readonly marksUntracked: readonly string[];
}

/** ND and MLD of pods with their router: without them no packet flows. */
const neighbourDiscovery = 'meta nfproto ipv6 meta l4proto 58 @th,0,8 { 130-133, 135-136 } accept';
const established = 'ct state established,related accept';
/** Nearly all packets end at this rule. */
const uncut = `ct state established,related ct mark and ${cutConnection} == 0 accept`;
const cut = `ct mark and ${cutConnection} == ${cutConnection} counter drop`;
const marked = (bit: number) => `meta mark and ${bit} == ${bit}`;

/** All base chains of a node. */
export function baseChains(options: BaseOptions): ChainSpec[] {
	const { settings, hosts, workloadPrefix } = options;
	const workload = `"${workloadPrefix}*"`;
	const invalid = settings.dropInvalid ? ['ct state invalid drop'] : [];
	const base = (name: string, hook: string, rules: readonly string[]) =>
		chainNamed(`${basePrefix}${name}`, rules, `type filter hook ${hook}; policy accept;`);
	const fromWorkload = [
		...(['ipv4', 'ipv6'] as const).map((family) => {
			const word = family === 'ipv4' ? 'ip' : 'ip6';
			return `meta nfproto ${family} iifname . ${word} saddr != @${sourceSets[family]} counter drop`;
		}),
		...(settings.allowIpipFromWorkloads ? [] : ['meta l4proto 4 counter drop']),
		...(settings.allowVxlanFromWorkloads ? [] : [`meta l4proto 17 th dport ${settings.vxlanPort} counter drop`]),
		'iifname vmap @from-workload',
		'counter drop',
	];
	return [
		base('from-forward', 'forward priority -20', [
			uncut,
			`iifname != ${workload} accept`,
			cut,
			...invalid,
			...fromWorkload,
		]),
		base('to-forward', 'forward priority -10', [
			uncut,
			`oifname != ${workload} accept`,
			cut,
			...invalid,
			'oifname vmap @to-workload',
			'counter drop',
		]),
		base('from-input', 'input priority -20', [
			uncut,
			`iifname != ${workload} accept`,
			cut,
			...invalid,
			neighbourDiscovery,
			...fromWorkload,
		]),
		...(settings.endpointToHostAction === 'drop'
			? [
					base('to-host', 'input priority -10', [
						`iifname != ${workload} accept`,
						established,
						neighbourDiscovery,
						'counter drop',
					]),
				]
			: []),
		...(hosts ? hostChains(options, base) : []),
	];
}

type Base = (name: string, hook: string, rules: readonly string[]) => ChainSpec;

function hostChains(options: BaseOptions, base: Base): ChainSpec[] {
	const { settings, setName, workloadPrefix, wildcard, marksUntracked } = options;
	const byPrograms = marksUntracked.map((name) => `iifname "${name}" ${marked(Mark.untracked)} notrack accept`);
	const inside = [`iifname { "lo", "${workloadPrefix}*" } accept`];
	const outside = [`oifname { "lo", "${workloadPrefix}*" } accept`];
	const fallback = (map: DispatchMap) => {
		const chain = wildcard.get(map);
		return chain === undefined ? [] : [`goto ${chain}`];
	};
	const inbound = failsafeTexts(settings.failsafeInbound, 'saddr', 'dport', 'accept');
	const outbound = failsafeTexts(settings.failsafeOutbound, 'daddr', 'dport', 'accept');
	const allowed = `${marked(Mark.allowedBeforeDnat)} accept`;
	return [
		base('untracked-in', 'prerouting priority -300', [
			...inside,
			...inbound,
			...failsafeTexts(settings.failsafeOutbound, 'saddr', 'sport', 'accept'),
			...byPrograms,
			'iifname vmap @host-untracked-in',
		]),
		base('untracked-out', 'output priority -300', [
			...outside,
			...outbound,
			...failsafeTexts(settings.failsafeInbound, 'daddr', 'sport', 'accept'),
			'oifname vmap @host-untracked-out',
		]),
		base('before-dnat', 'prerouting priority -150', [
			'iifname "lo" accept',
			'ct state established,related,untracked accept',
			'iifname vmap @host-before-dnat',
			...fallback('host-before-dnat'),
		]),
		base('host-forward-in', 'forward priority 0', [
			'ct state established,related,untracked accept',
			allowed,
			'iifname vmap @host-forward-in',
			...fallback('host-forward-in'),
		]),
		base('host-forward-out', 'forward priority 10', [
			'ct state established,related,untracked accept',
			allowed,
			'oifname vmap @host-forward-out',
			...fallback('host-forward-out'),
		]),
		base('host-in', 'input priority 0', [
			...inside,
			'ct state established,related,untracked accept',
			allowed,
			...(settings.dropInvalid ? ['ct state invalid drop'] : []),
			...tunnelTexts(settings, setName, 'saddr'),
			...inbound,
			'iifname vmap @host-in',
			...fallback('host-in'),
		]),
		// The way out is known for certain only behind DNAT: what starts here is marked, and judged in
		// postrouting.
		base('host-mark', 'output priority 0', [`meta mark set meta mark or ${Mark.fromHost}`]),
		base('host-out', 'postrouting priority -150', [
			`${marked(Mark.fromHost)} jump ${hostOut(settings, setName, outside, outbound, fallback('host-out')).name}`,
		]),
		hostOut(settings, setName, outside, outbound, fallback('host-out')),
	];
}

function hostOut(
	settings: NodeSettings,
	setName: SetNames['of'],
	outside: readonly string[],
	outbound: readonly string[],
	fallback: readonly string[],
): ChainSpec {
	return chainNamed('host-egress', [
		...outside,
		'ct state established,related,untracked accept',
		...tunnelTexts(settings, setName, 'daddr'),
		...outbound,
		'oifname vmap @host-out',
		...fallback,
	]);
}

/** IP in IP and VXLAN between the nodes of the cluster; IP in IP of others is dropped. */
function tunnelTexts({ nodes, vxlanPort }: NodeSettings, setName: SetNames['of'], side: 'saddr' | 'daddr'): string[] {
	const nodesOf = (['ipv4', 'ipv6'] as const).flatMap((family) => {
		const name = setName(nodes, family);
		return name === undefined ? [] : [{ family, text: `${family === 'ipv4' ? 'ip' : 'ip6'} ${side} @${name}` }];
	});
	return [
		...nodesOf.filter(({ family }) => family === 'ipv4').map(({ text }) => `meta l4proto 4 ${text} accept`),
		...(side === 'saddr' ? ['meta l4proto 4 counter drop'] : []),
		...nodesOf.map(({ text }) => `meta l4proto 17 th dport ${vxlanPort} ${text} accept`),
	];
}

/** Before DNAT, failsafe ports are allowed like what the endpoint's policy allows. */
export const failsafesBeforeDnat = ({ failsafeInbound }: NodeSettings): string[] =>
	failsafeTexts(failsafeInbound, 'saddr', 'dport', allowStatements['pre-dnat']);

function failsafeTexts(
	ports: readonly FailsafePort[],
	side: 'saddr' | 'daddr',
	port: 'sport' | 'dport',
	statement: string,
): string[] {
	return ports.map(({ protocol, port: number, net }) => {
		const from = net === undefined ? '' : ` ${familyOfPrefix(net) === 'ipv4' ? 'ip' : 'ip6'} ${side} ${net}`;
		return `meta l4proto ${protocol} th ${port} ${number}${from} ${statement}`;
	});
}
