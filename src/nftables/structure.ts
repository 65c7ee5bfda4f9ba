/**
 * Structure of a change as messages for the kernel instead of text. The library libnftables reads
 * the whole table at each call, which takes 20 ms with thousands of chains; this costs what
 * changes. What is not understood here goes by text. Pure.
 */
import { parsePrefix } from '../core/index.ts';
import type { Expression, SetField, StructureChange, Verdict } from '../linux/index.ts';
import { basePrefix, type ChainSpec, type SetSpec, type TableChange } from './table.ts';

/** Longer changes, as at a start, go by text: the library's time does not matter there. */
const mostRules = 2000;

const isBase = ({ name, hook }: ChainSpec): boolean => hook !== undefined || name.startsWith(basePrefix);

/** Counters, sets and chains that a change adds, base chains left out; `undefined`: by text. */
export function additions({ addCounters, addSets, addChains }: TableChange): readonly StructureChange[] | undefined {
	const chains = addChains.filter((chain) => !isBase(chain));
	if (chains.reduce((sum, { rules }) => sum + rules.length, 0) > mostRules) return undefined;
	const changes: StructureChange[] = [
		{ type: 'add-table' },
		...addCounters.map((name): StructureChange => ({ type: 'add-counter', name })),
	];
	for (const set of addSets) {
		const made = setChange(set);
		if (made === undefined) return undefined;
		changes.push(made);
	}
	// All chains first: a rule may jump to any of them. One that is there under the name may have
	// lost rules to others.
	for (const { name } of chains) changes.push({ type: 'add-chain', name }, { type: 'flush-chain', name });
	for (const { name, rules } of chains)
		for (const text of rules) {
			const expressions = ruleExpressions(text);
			if (expressions === undefined) return undefined;
			changes.push({ type: 'add-rule', chain: name, expressions });
		}
	return changes;
}

/** What nothing refers to any more. */
export const removals = (
	change: Pick<TableChange, 'removeChains' | 'removeSets' | 'removeCounters'>,
): readonly StructureChange[] => {
	const chains = change.removeChains.filter((chain) => !isBase(chain));
	return [
		...chains.map(({ name }): StructureChange => ({ type: 'flush-chain', name })),
		// Elements of maps refer to chains.
		...change.removeSets.map(({ name }): StructureChange => ({ type: 'remove-set', name })),
		...chains.map(({ name }): StructureChange => ({ type: 'remove-chain', name })),
		...change.removeCounters.map((name): StructureChange => ({ type: 'remove-counter', name })),
	];
};

const setFields: readonly string[] = [
	'ipv4_addr',
	'ipv6_addr',
	'inet_proto',
	'inet_service',
	'ifname',
] satisfies readonly SetField[];

/**
 * `type A . B; flags interval;`, or `type A . B : verdict; …` of a map; of one field where it has
 * intervals.
 */
function setChange({ name, kind, declaration, dynamic }: SetSpec): StructureChange | undefined {
	const match = /^type ([a-z0-9_ .]+?)( : verdict)?;( flags interval;)?$/.exec(declaration);
	const fields = (match?.[1] ?? '').split(' . ');
	const verdicts = match?.[2] !== undefined;
	const interval = match?.[3] !== undefined;
	if (match === null || dynamic === true || (interval && fields.length > 1)) return undefined;
	if (verdicts !== (kind === 'map')) return undefined;
	if (!fields.every((field) => setFields.includes(field))) return undefined;
	// Checked above.
	return { type: 'add-set', name, fields: fields as SetField[], interval, verdicts };
}

const families = { ipv4: 2, ipv6: 10 } as const;
const addressAt = {
	ip: { saddr: 12, daddr: 16, bytes: 4 },
	ip6: { saddr: 8, daddr: 24, bytes: 16 },
} as const;
const portAt: Readonly<Record<string, number>> = { sport: 0, dport: 2 };

const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
const isNumber = (text: string | undefined): text is string => text !== undefined && /^\d+$/.test(text);

/** The words of a rule, read from left to right. */
class Words {
	readonly #words: readonly string[];
	#at = 0;

	constructor(text: string) {
		this.#words = text.split(' ');
	}

	get isAtEnd(): boolean {
		return this.#at >= this.#words.length;
	}

	next(): string | undefined {
		return this.#words[this.#at++];
	}

	/** Takes these words if they come next. */
	take(...words: readonly string[]): boolean {
		if (!words.every((word, index) => this.#words[this.#at + index] === word)) return false;
		this.#at += words.length;
		return true;
	}
}

/** A rule in the words that the chains of policies are made of; `undefined`: it has others. */
export function ruleExpressions(text: string): readonly Expression[] | undefined {
	const words = new Words(text);
	const expressions: Expression[] = [];
	let family: string | undefined;
	while (!words.isAtEnd) {
		if (words.take('meta', 'nfproto')) {
			family = words.next();
			if (family !== 'ipv4' && family !== 'ipv6') return undefined;
			expressions.push(meta('nfproto'), equal(Uint8Array.of(families[family])));
			continue;
		}
		const part = readPart(words, family);
		if (part === undefined) return undefined;
		expressions.push(...part);
	}
	return expressions;
}

const meta = (key: 'mark' | 'nfproto' | 'l4proto', register = 0): Expression => ({ type: 'meta', key, register });
const equal = (value: Uint8Array, not = false): Expression => ({
	type: 'compare',
	register: 0,
	operator: not ? 'not-equal' : 'equal',
	value,
});
const payload = (base: 'network' | 'transport', offset: number, bytes: number, register = 0): Expression => ({
	type: 'payload',
	base,
	offset,
	bytes,
	register,
});
const lookup = (word: string, inverted: boolean): Expression => ({
	type: 'lookup',
	register: 0,
	set: word.slice(1),
	inverted,
});
const verdict = (value: Verdict): Expression => ({ type: 'verdict', verdict: value });

/** One match or statement. */
function readPart(words: Words, family: string | undefined): readonly Expression[] | undefined {
	if (words.take('meta', 'l4proto', '.', 'th', 'dport', 'vmap')) {
		const map = words.next();
		if (map?.startsWith('@') !== true) return undefined;
		return [meta('l4proto'), payload('transport', 2, 2, 1), { type: 'lookup-verdict', register: 0, map: map.slice(1) }];
	}
	if (words.take('meta', 'l4proto')) {
		const not = words.take('!=');
		const value = words.next();
		return isNumber(value) ? [meta('l4proto'), equal(Uint8Array.of(Number(value)), not)] : undefined;
	}
	if (words.take('meta', 'mark', 'set', 'meta', 'mark', 'or')) return setMark(words.next());
	if (words.take('counter', 'name')) return [{ type: 'counter', name: words.next() ?? '' }];
	if (words.take('limit', 'rate')) return limit(words);
	if (words.take('log', 'prefix')) return log(words);
	const word = words.next();
	switch (word) {
		case '@th,0,8':
		case '@th,0,16': {
			const not = words.take('!=');
			const value = words.next();
			if (!isNumber(value)) return undefined;
			const bytes = word === '@th,0,8' ? Uint8Array.of(Number(value)) : u16(Number(value));
			return [payload('transport', 0, bytes.length), equal(bytes, not)];
		}
		case 'ip':
		case 'ip6':
			// The library adds the match of the family where it is missing.
			return family === (word === 'ip' ? 'ipv4' : 'ipv6') ? addressMatch(word, words) : undefined;
		case 'th':
			return portMatch(words);
		case 'notrack':
			return [{ type: 'notrack' }];
		case 'jump':
		case 'goto':
			return [verdict({ type: word, chain: words.next() ?? '' })];
		case 'accept':
		case 'drop':
		case 'return':
		case 'continue':
			return [verdict({ type: word })];
		default:
			return undefined;
	}
}

function setMark(text: string | undefined): readonly Expression[] | undefined {
	if (!isNumber(text)) return undefined;
	const bits = new Uint8Array(Uint32Array.of(Number(text)).buffer);
	return [
		meta('mark'),
		{ type: 'bitwise', register: 0, mask: bits.map((byte) => ~byte), xor: bits },
		{ type: 'set-mark', register: 0 },
	];
}

function limit(words: Words): readonly Expression[] | undefined {
	const rate = /^(\d+)\/second$/.exec(words.next() ?? '')?.[1];
	if (rate === undefined || !words.take('burst')) return undefined;
	const burst = words.next();
	if (!isNumber(burst) || !words.take('packets')) return undefined;
	return [{ type: 'limit', packetsPerSecond: Number(rate), burst: Number(burst) }];
}

function log(words: Words): readonly Expression[] | undefined {
	const prefix = /^"([^"]*)"$/.exec(words.next() ?? '')?.[1];
	if (prefix === undefined || !words.take('group')) return undefined;
	const group = words.next();
	if (!isNumber(group) || !words.take('snaplen')) return undefined;
	const snap = words.next();
	return isNumber(snap) ? [{ type: 'log', group: Number(group), prefix, snapBytes: Number(snap) }] : undefined;
}

function addressMatch(word: 'ip' | 'ip6', words: Words): readonly Expression[] | undefined {
	const { bytes, ...offsets } = addressAt[word];
	const side = words.next();
	if (side !== 'saddr' && side !== 'daddr') return undefined;
	const address = payload('network', offsets[side], bytes);
	if (words.take('.', 'meta', 'l4proto', '.', 'th')) {
		const port = portAt[words.next() ?? ''];
		const not = words.take('!=');
		const set = words.next();
		if (port === undefined || set?.startsWith('@') !== true) return undefined;
		const next = bytes / 4;
		return [address, meta('l4proto', next), payload('transport', port, 2, next + 1), lookup(set, not)];
	}
	if (words.take('vmap')) {
		const map = words.next();
		if (map?.startsWith('@') !== true) return undefined;
		return [address, { type: 'lookup-verdict', register: 0, map: map.slice(1) }];
	}
	const not = words.take('!=');
	const value = words.next() ?? '';
	if (value.startsWith('@')) return [address, lookup(value, not)];
	const prefix = parsePrefix(value);
	if (prefix.bytes.length !== bytes || prefix.length === 0) return undefined;
	if (prefix.length % 8 === 0) {
		const whole = prefix.length / 8;
		return [payload('network', offsets[side], whole), equal(prefix.bytes.slice(0, whole), not)];
	}
	const mask = Uint8Array.from({ length: bytes }, (_, index) => {
		const bits = Math.min(8, Math.max(0, prefix.length - index * 8));
		return (0xff << (8 - bits)) & 0xff;
	});
	return [address, { type: 'bitwise', register: 0, mask, xor: new Uint8Array(bytes) }, equal(prefix.bytes, not)];
}

function portMatch(words: Words): readonly Expression[] | undefined {
	const offset = portAt[words.next() ?? ''];
	const not = words.take('!=');
	const value = words.next() ?? '';
	if (offset === undefined) return undefined;
	const port = payload('transport', offset, 2);
	if (value.startsWith('@')) return [port, lookup(value, not)];
	const [first, last, ...rest] = value.split('-');
	if (!isNumber(first) || rest.length > 0) return undefined;
	if (last === undefined) return [port, equal(u16(Number(first)), not)];
	if (!isNumber(last)) return undefined;
	const [from, to] = [u16(Number(first)), u16(Number(last))];
	if (not) return [port, { type: 'outside', register: 0, from, to }];
	return [
		port,
		{ type: 'compare', register: 0, operator: 'at-least', value: from },
		{ type: 'compare', register: 0, operator: 'at-most', value: to },
	];
}
