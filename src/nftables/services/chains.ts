/**
 * Chains of services: one for each way to treat a connection, shared by all frontends that are
 * treated so. Pure.
 */
import type { Family } from '../../core/index.ts';
import type {
	FrontendAction,
	NodePortAddresses,
	Origin,
	Pool,
	ServiceOutcome,
	ServicesSettings,
} from '../../services/index.ts';
import { Mark } from '../policy/chains.ts';
import { basePrefix, type ChainSpec, chainNamed, type SetSpec } from '../table.ts';
import {
	clusterIpsSet,
	countedSet,
	type FrontendKind,
	families,
	frontMap,
	hairpinSet,
	headers,
	lookup,
	nodeAddressesSet,
	pickMap,
	pickMapSpec,
	podsSet,
	rangedSet,
	refusedMap,
	serviceRangesSet,
	sizeMap,
	sizeMapSpec,
	sourcesSet,
	stickySet,
	stickySetSpec,
	type Variant,
	variantOf,
} from './names.ts';

/** The chain for something, with all that it needs. */
export interface ChainTree {
	readonly root: ChainSpec;
	readonly chains: readonly ChainSpec[];
	readonly sets: readonly SetSpec[];
}

const protocols = 'meta l4proto { 6, 17, 132 }';
const counts = (outcome: ServiceOutcome): string => `counter name ${outcome}`;
const origins: readonly Origin[] = ['pod', 'node', 'outside'];

/** The actions of a frontend by origin, and the pools that they name. */
export interface Treatment {
	readonly family: Family;
	readonly kind: FrontendKind;
	readonly actions: Readonly<Record<Origin, FrontendAction>>;
	readonly pool: (key: string) => Pool | undefined;
}

/** What the chains of a frontend depend on: frontends with the same key have the same chains. */
export const treatmentKey = ({ family, kind, actions, pool }: Treatment): string =>
	`${family} ${kind} ${origins
		.map((origin) => {
			const action = actions[origin];
			if (action.type !== 'dnat') return action.type;
			const found = pool(action.pool);
			if (found === undefined) return 'none';
			return `${variantOf(found)}-${found.backends.length}-${found.affinityTimeoutSeconds ?? ''}-${action.masquerade}`;
		})
		.join(' ')}`;

/** Both chains of a frontend. */
export interface FrontendTrees {
	readonly translates: ChainTree | undefined;
	readonly refuses: ChainTree | undefined;
}

export const treesOf = (treatment: Treatment): FrontendTrees => ({
	translates: translation(treatment),
	refuses: refusal(treatment),
});

/**
 * The chain that translates, or leaves what must be refused; `undefined`: nothing is translated.
 */
function translation(treatment: Treatment): ChainTree | undefined {
	const trees = byOrigin(treatment.actions, (action) => {
		if (action.type !== 'dnat') return undefined;
		const pool = treatment.pool(action.pool);
		return pool === undefined ? undefined : poolChain(treatment.family, treatment.kind, pool, action.masquerade);
	});
	const all = origins.flatMap((origin) => trees[origin] ?? []);
	if (all.length === 0) return undefined;
	return split(
		treatment.family,
		'n',
		'sv',
		(origin) => {
			const tree = trees[origin];
			return tree === undefined ? 'return' : `goto ${tree.root.name}`;
		},
		all,
	);
}

/** The chain that rejects or drops what is not translated; `undefined`: everything is. */
function refusal({ family, actions }: Treatment): ChainTree | undefined {
	if (origins.every((origin) => actions[origin].type === 'dnat')) return undefined;
	return split(
		family,
		'r',
		'rf',
		(origin) => {
			const { type } = actions[origin];
			return type === 'dnat' ? 'return' : type === 'drop' ? `${counts('dropped')} drop` : `goto ${rejectChain.name}`;
		},
		[{ root: rejectChain, chains: [rejectChain], sets: [] }],
	);
}

/** One statement for each origin; one for all if they are the same. */
function split(
	family: Family,
	_kind: string,
	prefix: string,
	statement: (origin: Origin) => string,
	trees: readonly ChainTree[],
): ChainTree {
	const [pod, node, outside] = [statement('pod'), statement('node'), statement('outside')];
	const rules = [
		...(pod === node && pod === outside ? [] : [`${headers[family]} saddr @${podsSet(family)} ${pod}`]),
		...(node === outside ? [] : [`fib saddr type local ${node}`]),
		outside,
	];
	const root = chainNamed(prefix, rules);
	return {
		root,
		chains: [root, ...trees.flatMap(({ chains }) => chains)],
		sets: trees.flatMap(({ sets }) => sets),
	};
}

function byOrigin<T>(actions: Treatment['actions'], make: (action: FrontendAction) => T): Readonly<Record<Origin, T>> {
	return { pod: make(actions.pod), node: make(actions.node), outside: make(actions.outside) };
}

/** An answer at once: RST for TCP, ICMP port unreachable for the others. */
const rejectChain = chainNamed('reject', [
	`meta l4proto 6 ${counts('rejected')} reject with tcp reset`,
	`${counts('rejected')} reject with icmpx type port-unreachable`,
]);

/** The chain that takes a backend of a pool. */
function poolChain(family: Family, kind: FrontendKind, pool: Pool, masquerade: boolean): ChainTree {
	const variant = variantOf(pool);
	const size = pool.backends.length;
	const inner =
		pool.affinityTimeoutSeconds === undefined
			? randomChain(family, kind, variant, size)
			: stickyChain(family, kind, variant, size, pool.affinityTimeoutSeconds);
	if (!masquerade) return inner;
	const root = chainNamed('mq', [`meta mark set meta mark or ${Mark.masquerade}`, `goto ${inner.root.name}`]);
	return { root, chains: [root, ...inner.chains], sets: inner.sets };
}

function randomChain(family: Family, kind: FrontendKind, variant: Variant, size: number): ChainTree {
	const key = `${lookup(family, kind)} . numgen random mod ${size}`;
	const root = chainNamed('dn', [
		`meta nfproto ${family} ${protocols} ${counts('translated')} dnat ${headers[family]} to ` +
			`${key} map @${sizeMap(family, kind, variant, size)}`,
	]);
	return { root, chains: [root], sets: [sizeMapSpec(family, kind, variant, size)] };
}

/**
 * Session affinity: a set of clients for each backend number, shared by all services. A client that
 * is in one goes to that number and stays; another one draws a number.
 */
function stickyChain(
	family: Family,
	kind: FrontendKind,
	variant: Variant,
	size: number,
	timeoutSeconds: number,
): ChainTree {
	const client = `${headers[family]} saddr . ${lookup(family, kind)}`;
	const numbers = Array.from({ length: size }, (_, index) => index);
	const uses = numbers.map((index) =>
		chainNamed('us', [
			`${protocols} update @${stickySet(family, kind, variant, index)} { ${client} timeout ${timeoutSeconds}s }`,
			`meta nfproto ${family} ${protocols} ${counts('translated')} dnat ${headers[family]} to ` +
				`${lookup(family, kind)} map @${pickMap(family, kind, variant, index)}`,
		]),
	);
	const root = chainNamed('st', [
		...numbers.map((index) => `${client} @${stickySet(family, kind, variant, index)} goto ${uses[index]?.name}`),
		`numgen random mod ${size} vmap { ${numbers.map((index) => `${index} : goto ${uses[index]?.name}`).join(', ')} }`,
	]);
	return {
		root,
		chains: [root, ...uses],
		sets: numbers.flatMap((index) => [
			stickySetSpec(family, kind, variant, index),
			pickMapSpec(family, kind, variant, index),
		]),
	};
}

/** A destination that node ports answer at. */
function nodePortMatch(family: Family, addresses: NodePortAddresses): string {
	const header = headers[family];
	if (addresses.type === 'addresses') return `${header} daddr @${nodeAddressesSet(family)}`;
	return `${header} daddr != ${family === 'ipv4' ? '127.0.0.0/8' : '::1'} fib daddr type local`;
}

/**
 * Base chains that count new connections by frontend: one of the type nat sees the first packet of
 * each, once.
 */
export function countingChains({ nodePortAddresses }: ServicesSettings): ChainSpec[] {
	const rules = families.flatMap((family) => [
		`${protocols} ${lookup(family, 'address')} @${countedSet(family, 'address')}`,
		`${protocols} ${nodePortMatch(family, nodePortAddresses[family])} ${lookup(family, 'port')} ` +
			`@${countedSet(family, 'port')}`,
	]);
	return (['prerouting', 'output'] as const).map((hook) =>
		chainNamed(`${basePrefix}count-${hook}`, rules, `type nat hook ${hook} priority -101; policy accept;`),
	);
}

/** The chains that packets enter first. */
export function baseServiceChains({ nodePortAddresses }: ServicesSettings): ChainSpec[] {
	const each = (make: (family: Family) => readonly string[]) => families.flatMap(make);
	const look = chainNamed(
		'look',
		each((family) => [
			`${protocols} ${lookup(family, 'address')} vmap @${frontMap(family, 'address')}`,
			`${protocols} ${nodePortMatch(family, nodePortAddresses[family])} ${lookup(family, 'port')} ` +
				`vmap @${frontMap(family, 'port')}`,
		]),
	);
	const refuse = chainNamed(
		'refuse',
		each((family) => [
			`${protocols} ${lookup(family, 'address')} vmap @${refusedMap(family, 'address')}`,
			`${protocols} ${nodePortMatch(family, nodePortAddresses[family])} ${lookup(family, 'port')} ` +
				`vmap @${refusedMap(family, 'port')}`,
			`${headers[family]} daddr @${clusterIpsSet(family)} goto ${rejectChain.name}`,
			`${headers[family]} daddr @${serviceRangesSet(family)} ${counts('unused-address')} drop`,
		]),
	);
	const ranges = chainNamed(
		'sources',
		each((family) => [
			`${lookup(family, 'address')} @${rangedSet(family)} ${lookup(family, 'address')} . ` +
				`${headers[family]} saddr != @${sourcesSet(family)} ${counts('source-refused')} drop`,
		]),
	);
	const base = (name: string, hook: string, rules: readonly string[]) =>
		chainNamed(`${basePrefix}${name}`, rules, `type ${hook}; policy accept;`);
	const first = (chain: ChainSpec) => [`ct state new ${protocols} jump ${chain.name}`];
	return [
		rejectChain,
		look,
		refuse,
		ranges,
		base('sources-in', 'filter hook prerouting priority -110', first(ranges)),
		base('sources-out', 'filter hook output priority -110', first(ranges)),
		base('translate-in', 'nat hook prerouting priority -100', [`jump ${look.name}`]),
		base('translate-out', 'nat hook output priority -100', [`jump ${look.name}`]),
		base('refuse-in', 'filter hook prerouting priority -90', [`ct state new jump ${refuse.name}`]),
		base('refuse-out', 'filter hook output priority -90', [`ct state new jump ${refuse.name}`]),
		base('masquerade', 'nat hook postrouting priority 100', [
			`meta mark and ${Mark.masquerade} == ${Mark.masquerade} meta mark set meta mark xor ` +
				`${Mark.masquerade} masquerade fully-random`,
			...families.map(
				(family) =>
					`ct status dnat ${headers[family]} saddr . ${headers[family]} daddr @${hairpinSet(family)} ` +
					'masquerade fully-random',
			),
		]),
	];
}
