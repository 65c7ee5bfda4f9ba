/**
 * Many rules in a row as a decision tree: a verdict map leads from the peer's address, or from
 * protocol and destination port, to a chain with those rules that can match there, in their order.
 * The rules keep all their matches, thus leaving out one that cannot match is all that has to be
 * right. Pure.
 */
import { type Family, type Prefix, type PrefixKey, parsePrefix, prefixCovers } from '../../core/index.ts';
import { concatenate, portKey, type SetElement } from '../../linux/index.ts';
import { type Direction, portProtocols } from '../../policy/index.ts';
import { type SetSpec, shortHash } from '../table.ts';
import type { Reach } from './match.ts';
import { followingAddress } from './sets.ts';

/**
 * What a step does to a packet that it matches: it ends with one verdict, or does something else.
 * Steps of one verdict in a row may be evaluated again, or in another order.
 */
export type Effect = 'allow' | 'deny' | 'other';

/** One rule, or a jump to several. */
export interface Step {
	readonly text: string;
	readonly effect: Effect;
	/** A packet that none of them contains cannot match. */
	readonly reaches: readonly Reach[];
}

/** Shape of the tree, and what takes its parts. */
export interface BranchContext {
	readonly direction: Direction;
	/** Rules that a look-up must spare each packet. */
	readonly leastGain: number;
	/** Returns the name of a chain with these rules. */
	chain(prefix: string, rules: readonly string[]): string;
	/** Returns the name of a map. */
	map(map: SetSpec): string;
}

/**
 * A look-up is worth its cost, that of three rules and the memory of its chains, if it spares each
 * packet this many.
 */
export const defaultLeastGain = 8;
/** Ranges that are wider are not looked up by port. */
const widestRange = 16;
/** The chains of all branches hold at most this many rules. */
export const mostCopies = (steps: number): number => 8 * steps + 512;

/**
 * Rules for packets with one of these keys; a range of keys begins at the first and ends before the
 * second.
 */
interface Branch {
	readonly steps: readonly Step[];
	readonly keys: { readonly first: Uint8Array; readonly behind?: Uint8Array }[];
}

/** One map, and the rules for each of its keys. */
interface LookUp {
	/** What is looked up, and the type of a map of it. */
	readonly match: string;
	readonly declaration: string;
	readonly branches: readonly Branch[];
}

/** A way to tell packets apart, and what remains of the rules behind it. */
interface Split {
	readonly lookUps: readonly LookUp[];
	/** For packets whose key is in no map. */
	readonly rest: readonly Step[];
}

/**
 * Rules that have the effect of `steps` one after another and `end` behind them. `jump`: other
 * rules follow; then there is no `end`, and no step has the effect `other`.
 */
export function branch(
	steps: readonly Step[],
	end: readonly string[],
	context: BranchContext,
	type: 'goto' | 'jump' = 'goto',
): readonly string[] {
	const split = bestSplit(steps, context);
	if (split === undefined) return [...steps.map(({ text }) => text), ...end];
	const lookUps = split.lookUps.map(({ match, declaration, branches }) => {
		const elements = branches.flatMap(({ steps: own, keys }): SetElement[] => {
			const chain = context.chain('b', branch(own, end, context));
			return keys.flatMap(({ first, behind }): SetElement[] => [
				{ key: first, data: { type, chain } },
				...(behind === undefined ? [] : [{ key: behind, intervalEnd: true }]),
			]);
		});
		return `${match} vmap @${context.map(mapNamed(declaration, elements))}`;
	});
	return [...lookUps, ...branch(split.rest, end, context, type)];
}

const sizes = ({ lookUps, rest }: Split): number[] => [
	rest.length,
	...lookUps.flatMap(({ branches }) => branches.map(({ steps }) => steps.length)),
];

function bestSplit(steps: readonly Step[], { direction, leastGain }: BranchContext): Split | undefined {
	if (steps.length <= leastGain) return undefined;
	let best: { readonly split: Split; readonly longest: number } | undefined;
	for (const split of [splitByNets(steps, direction), splitByPort(steps)]) {
		if (split === undefined) continue;
		const lengths = sizes(split);
		const longest = Math.max(...lengths);
		if (longest > Math.min(steps.length / 2, steps.length - leastGain)) continue;
		if (lengths.reduce((sum, length) => sum + length, 0) > mostCopies(steps.length)) continue;
		if (best === undefined || longest < best.longest) best = { split, longest };
	}
	return best?.split;
}

/** Branches with the same steps are one. */
class Branches {
	readonly #steps: readonly Step[];
	readonly #byMembers = new Map<string, Branch>();

	constructor(steps: readonly Step[]) {
		this.#steps = steps;
	}

	get all(): readonly Branch[] {
		return [...this.#byMembers.values()];
	}

	/** `members`: indices of steps, ascending. */
	add(members: readonly number[], key: Branch['keys'][number]): void {
		const id = members.join();
		const known = this.#byMembers.get(id);
		if (known !== undefined) known.keys.push(key);
		else this.#byMembers.set(id, { steps: members.map((index) => this.#steps[index] as Step), keys: [key] });
	}
}

export const mergedIndices = (...lists: readonly (readonly number[])[]): number[] =>
	[...new Set(lists.flat())].sort((a, b) => a - b);

/** Indices of steps with a reach for which the predicate holds. */
const indicesOf = (steps: readonly Step[], holds: (reach: Reach) => boolean): number[] =>
	steps.flatMap(({ reaches }, index) => (reaches.some(holds) ? [index] : []));

export const addressWords = {
	ipv4: { word: 'ip', type: 'ipv4_addr' },
	ipv6: { word: 'ip6', type: 'ipv6_addr' },
} as const;

/** By the prefixes that hold the peer's address, of both families. */
function splitByNets(steps: readonly Step[], direction: Direction): Split | undefined {
	const lookUps: LookUp[] = [];
	for (const family of ['ipv4', 'ipv6'] as const) {
		const users = usersOfNets(steps, family);
		if (users.size === 0) continue;
		const everywhere = indicesOf(steps, (reach) => (reach.family ?? family) === family && reach.nets === undefined);
		if (everywhere.length * users.size > mostCopies(steps.length)) return undefined;
		const branches = new Branches(steps);
		for (const { prefixes, ...range } of rangesOf([...users.keys()]))
			branches.add(mergedIndices(everywhere, ...prefixes.map((prefix) => users.get(prefix) ?? [])), range);
		const { word, type } = addressWords[family];
		lookUps.push({
			match: `meta nfproto ${family} ${word} ${direction === 'ingress' ? 'saddr' : 'daddr'}`,
			declaration: `type ${type} : verdict; flags interval;`,
			branches: branches.all,
		});
	}
	if (lookUps.length === 0) return undefined;
	const rest = indicesOf(steps, ({ nets }) => nets === undefined);
	return { lookUps, rest: rest.map((index) => steps[index] as Step) };
}

/** Indices of steps by prefix of the peer. */
function usersOfNets(steps: readonly Step[], family: Family): ReadonlyMap<PrefixKey, readonly number[]> {
	const users = new Map<PrefixKey, number[]>();
	for (const [index, { reaches }] of steps.entries())
		for (const { nets } of reaches.filter((reach) => reach.family === family))
			for (const net of nets ?? []) {
				const known = users.get(net);
				if (known === undefined) users.set(net, [index]);
				else if (known.at(-1) !== index) known.push(index);
			}
	return users;
}

/** Addresses that the same prefixes hold. */
interface AddressRange {
	readonly first: Uint8Array;
	/** Absent: to the last address there is. */
	readonly behind?: Uint8Array;
	/** At least one. */
	readonly prefixes: readonly PrefixKey[];
}

/** The addresses of prefixes of one family, cut at the borders of the prefixes. */
function rangesOf(keys: readonly PrefixKey[]): AddressRange[] {
	const sorted = keys
		.map((key) => ({ key, prefix: parsePrefix(key) }))
		.sort((a, b) => Buffer.compare(a.prefix.bytes, b.prefix.bytes) || a.prefix.length - b.prefix.length);
	/** From `first` on, these prefixes hold, up to the next cut. */
	const cuts: { readonly first: Uint8Array; readonly prefixes: readonly PrefixKey[] }[] = [];
	const open: typeof sorted = [];
	const cut = (first: Uint8Array) => {
		if (Buffer.compare(cuts.at(-1)?.first ?? Buffer.alloc(0), first) === 0) cuts.pop();
		cuts.push({ first, prefixes: open.map(({ key }) => key) });
	};
	const closeUnless = (holds: (outer: Prefix) => boolean) => {
		for (let last = open.at(-1); last !== undefined && !holds(last.prefix); last = open.at(-1)) {
			open.pop();
			const behind = followingAddress(last.prefix.bytes, last.prefix.length);
			if (behind !== undefined) cut(behind);
		}
	};
	for (const entry of sorted) {
		closeUnless((outer) => prefixCovers(outer, entry.prefix));
		open.push(entry);
		cut(entry.prefix.bytes);
	}
	closeUnless(() => false);
	return cuts.flatMap(({ first, prefixes }, index) => {
		const behind = cuts[index + 1]?.first;
		return prefixes.length === 0 ? [] : [{ first, prefixes, ...(behind === undefined ? {} : { behind }) }];
	});
}

/** By protocol and destination port, where rules name single ports. */
function splitByPort(steps: readonly Step[]): Split | undefined {
	const isNarrow = ({ protocol, ports }: Reach): boolean =>
		protocol !== undefined &&
		portProtocols.has(protocol) &&
		ports?.every(({ first, last }) => last - first < widestRange) === true;
	const keys = new Map<number, { readonly protocol: number; readonly port: number }>();
	for (const reach of steps.flatMap(({ reaches }) => reaches))
		if (isNarrow(reach))
			for (const { first, last } of reach.ports ?? [])
				for (let port = first; port <= last; port++)
					keys.set((reach.protocol ?? 0) * 65536 + port, { protocol: reach.protocol ?? 0, port });
	if (keys.size === 0) return undefined;
	const byKey = new Map<number, number[]>([...keys.keys()].map((key) => [key, []]));
	for (const [index, { reaches }] of steps.entries())
		for (const reach of reaches)
			if (isNarrow(reach))
				for (const { first, last } of reach.ports ?? [])
					for (let port = first; port <= last; port++) byKey.get((reach.protocol ?? 0) * 65536 + port)?.push(index);
	const others = indicesOf(steps, (reach) => !isNarrow(reach));
	if (others.length * keys.size > mostCopies(steps.length)) return undefined;
	const branches = new Branches(steps);
	for (const [key, { protocol, port }] of keys) {
		const reaching = others.filter((index) => steps[index]?.reaches.some((reach) => contains(reach, protocol, port)));
		branches.add(mergedIndices(reaching, byKey.get(key) ?? []), {
			first: concatenate(Uint8Array.of(protocol), portKey(port)),
		});
	}
	return {
		lookUps: [
			{
				match: 'meta l4proto . th dport',
				declaration: 'type inet_proto . inet_service : verdict;',
				branches: branches.all,
			},
		],
		rest: others.map((index) => steps[index] as Step),
	};
}

const contains = ({ protocol, ports }: Reach, ofProtocol: number, port: number): boolean =>
	(protocol === undefined || protocol === ofProtocol) &&
	ports?.some(({ first, last }) => port >= first && port <= last) !== false;

/** A map that never changes; named by its content. */
function mapNamed(declaration: string, elements: readonly SetElement[]): SetSpec {
	const text = elements.map(({ key, intervalEnd, data }) =>
		[
			Buffer.from(key).toString('hex'),
			intervalEnd === true,
			data !== undefined && 'chain' in data && `${data.type} ${data.chain}`,
		].join(),
	);
	return { name: `by-${shortHash([declaration, ...text].join(' '))}`, kind: 'map', declaration, elements };
}
