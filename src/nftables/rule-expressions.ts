/**
 * Rules in nft's language as expressions of the kernel: the words that chains of policies and of
 * Services are made of. Pure.
 */
import { type Family, parsePrefix } from '../core/index.ts';
import type { Expression, Verdict } from '../linux/index.ts';

const families = { ipv4: 2, ipv6: 10 } as const;
const addressAt = {
	ip: { saddr: 12, daddr: 16, bytes: 4 },
	ip6: { saddr: 8, daddr: 24, bytes: 16 },
} as const;
const portAt: Readonly<Record<string, number>> = { sport: 0, dport: 2 };

/** RTN_LOCAL of linux/rtnetlink.h. */
const localAddress = 2;

const machineNumber = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
const isNumber = (text: string | undefined): text is string => text !== undefined && /^\d+$/.test(text);

/** The words of a rule, read from left to right. */
class Words {
	readonly #words: readonly string[];
	#at: number;

	constructor(words: readonly string[], at = 0) {
		this.#words = words;
		this.#at = at;
	}

	get isAtEnd(): boolean {
		return this.#at >= this.#words.length;
	}

	next(): string | undefined {
		return this.#words[this.#at++];
	}

	/** Reads this; words that it takes from a copy stay here until `goTo`. */
	copy(): Words {
		return new Words(this.#words, this.#at);
	}

	goTo(other: Words): void {
		this.#at = other.#at;
	}

	/** Takes these words if they come next. */
	take(...words: readonly string[]): boolean {
		if (!words.every((word, index) => this.#words[this.#at + index] === word)) return false;
		this.#at += words.length;
		return true;
	}
}

/** What a rule has matched so far. */
interface Context {
	family: Family | undefined;
}

/** A rule of a table `inet`; `undefined`: it has words that are not known here. */
export function ruleExpressions(text: string): readonly Expression[] | undefined {
	const words = new Words(text.split(' '));
	const context: Context = { family: undefined };
	const expressions: Expression[] = [];
	while (!words.isAtEnd) {
		const part = readPart(words, context);
		if (part === undefined) return undefined;
		expressions.push(...part);
	}
	const ownSets = expressions.filter(({ type }) => type === 'lookup-own').length;
	return ownSets > 1 ? undefined : expressions;
}

/**
 * The match of the family that a header's field needs: the library adds it where it is missing.
 * `undefined`: the rule is about the other one.
 */
function needFamily(family: Family, context: Context): readonly Expression[] | undefined {
	if (context.family !== undefined) return context.family === family ? [] : undefined;
	context.family = family;
	return [meta('nfproto'), equal(Uint8Array.of(families[family]))];
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
function readPart(words: Words, context: Context): readonly Expression[] | undefined {
	if (words.take('meta', 'nfproto')) {
		const named = words.next();
		return named === 'ipv4' || named === 'ipv6' ? needFamily(named, context) : undefined;
	}
	const keyed = readKeyed(words, context);
	if (keyed !== 'other') return keyed;
	if (words.take('meta', 'l4proto')) {
		if (words.take('{')) return oneOf(words);
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
			return addressMatch(word, words, context);
		case 'th':
			return portMatch(words);
		case 'fib':
			return words.take('saddr', 'type', 'local')
				? [{ type: 'source-type', register: 0 }, equal(machineNumber(localAddress))]
				: undefined;
		case 'update':
			return updateSet(words, context);
		case 'dnat':
			return destinationNat(words, context);
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

function addressMatch(word: 'ip' | 'ip6', words: Words, context: Context): readonly Expression[] | undefined {
	const { bytes, ...offsets } = addressAt[word];
	const side = words.next();
	if (side !== 'saddr' && side !== 'daddr') return undefined;
	const family = needFamily(word === 'ip' ? 'ipv4' : 'ipv6', context);
	const match = family === undefined ? undefined : addressTest(words, bytes, offsets[side]);
	return family === undefined || match === undefined ? undefined : [...family, ...match];
}

function addressTest(words: Words, bytes: number, offset: number): readonly Expression[] | undefined {
	const address = payload('network', offset, bytes);
	const not = words.take('!=');
	const value = words.next() ?? '';
	if (value.startsWith('@')) return [address, lookup(value, not)];
	const prefix = parsePrefix(value);
	if (prefix.bytes.length !== bytes || prefix.length === 0) return undefined;
	if (prefix.length % 8 === 0) {
		const whole = prefix.length / 8;
		return [payload('network', offset, whole), equal(prefix.bytes.slice(0, whole), not)];
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

/** A key of one field or more, in registers from the first on. */
interface Key {
	/** The match of the family where it is needed, then what loads the fields. */
	readonly expressions: readonly Expression[];
	readonly fields: number;
}

interface KeyField {
	readonly words: readonly string[];
	readonly family?: Family;
	/** How many it takes. */
	readonly registers: number;
	readonly load: (register: number) => Expression;
}
const keyFields: readonly KeyField[] = [
	...(['ip', 'ip6'] as const).flatMap((header) =>
		(['saddr', 'daddr'] as const).map((side): KeyField => {
			const { bytes, ...offsets } = addressAt[header];
			const family = header === 'ip' ? 'ipv4' : 'ipv6';
			const load = (register: number) => payload('network', offsets[side], bytes, register);
			return { words: [header, side], family, registers: bytes / 4, load };
		}),
	),
	...Object.entries(portAt).map(
		([side, offset]): KeyField => ({
			words: ['th', side],
			registers: 1,
			load: (register) => payload('transport', offset, 2, register),
		}),
	),
	{ words: ['meta', 'l4proto'], registers: 1, load: (register) => meta('l4proto', register) },
];

/** `FIELD . FIELD …`; `undefined`: other words, or the other family. */
function readKey(words: Words, context: Context): Key | undefined {
	const family: Expression[] = [];
	const loads: Expression[] = [];
	let register = 0;
	do {
		const field = keyField(words);
		const needed = field?.family === undefined ? [] : needFamily(field.family, context);
		if (field === undefined || needed === undefined) return undefined;
		family.push(...needed);
		loads.push(field.load(register));
		register += field.registers;
	} while (words.take('.'));
	return { expressions: [...family, ...loads], fields: loads.length };
}

function keyField(words: Words): KeyField | undefined {
	if (!words.take('numgen', 'random', 'mod')) return keyFields.find((field) => words.take(...field.words));
	const below = words.next();
	if (!isNumber(below)) return undefined;
	return { words: [], registers: 1, load: (register) => ({ type: 'draw', below: Number(below), register }) };
}

/** A match of two fields or more, or verdicts by a map; `'other'`: what comes next is none. */
function readKeyed(words: Words, context: Context): readonly Expression[] | undefined | 'other' {
	const [ahead, then] = [words.copy(), { ...context }];
	const key = readKey(ahead, then);
	const verdicts = key !== undefined && ahead.take('vmap');
	if (key === undefined || (!verdicts && key.fields < 2)) return 'other';
	words.goTo(ahead);
	context.family = then.family;
	if (verdicts && words.take('{')) {
		const own = ownVerdicts(words);
		return own && [...key.expressions, own];
	}
	const not = !verdicts && words.take('!=');
	const set = words.next();
	if (set?.startsWith('@') !== true) return undefined;
	const found: Expression = verdicts ? { type: 'lookup-verdict', register: 0, map: set.slice(1) } : lookup(set, not);
	return [...key.expressions, found];
}

/** `0 : goto A, 1 : goto B }`: numbers from 0 on. */
function ownVerdicts(words: Words): Expression | undefined {
	const verdicts: Verdict[] = [];
	for (let isLast = false; !isLast; ) {
		if (!words.take(String(verdicts.length), ':', 'goto')) return undefined;
		const chain = words.next() ?? '';
		isLast = !chain.endsWith(',');
		verdicts.push({ type: 'goto', chain: isLast ? chain : chain.slice(0, -1) });
	}
	if (!words.take('}')) return undefined;
	return { type: 'lookup-own', register: 0, set: { type: 'verdicts', verdicts } };
}

/** `6, 17, 132 }`: protocols. */
function oneOf(words: Words): readonly Expression[] | undefined {
	const numbers: number[] = [];
	for (let isLast = false; !isLast; ) {
		const word = words.next() ?? '';
		isLast = !word.endsWith(',');
		const number = isLast ? word : word.slice(0, -1);
		if (!isNumber(number)) return undefined;
		numbers.push(Number(number));
	}
	if (!words.take('}')) return undefined;
	return [meta('l4proto'), { type: 'lookup-own', register: 0, set: { type: 'protocols', numbers } }];
}

/** `@SET { KEY timeout 30s }` */
function updateSet(words: Words, context: Context): readonly Expression[] | undefined {
	const set = words.next();
	if (set?.startsWith('@') !== true || !words.take('{')) return undefined;
	const key = readKey(words, context);
	if (key === undefined || !words.take('timeout')) return undefined;
	const seconds = /^(\d+)s$/.exec(words.next() ?? '')?.[1];
	if (seconds === undefined || !words.take('}')) return undefined;
	const update: Expression = { type: 'update', register: 0, set: set.slice(1), timeoutMs: Number(seconds) * 1000 };
	return [...key.expressions, update];
}

/** `ip to KEY map @MAP`: the map has addresses with ports. */
function destinationNat(words: Words, context: Context): readonly Expression[] | undefined {
	const header = words.next();
	if ((header !== 'ip' && header !== 'ip6') || !words.take('to')) return undefined;
	const family = header === 'ip' ? 'ipv4' : 'ipv6';
	const needed = needFamily(family, context);
	const key = readKey(words, context);
	if (needed === undefined || key === undefined || !words.take('map')) return undefined;
	const map = words.next();
	if (map?.startsWith('@') !== true) return undefined;
	return [
		...needed,
		...key.expressions,
		{ type: 'lookup-value', register: 0, map: map.slice(1) },
		{ type: 'destination-nat', family, addressRegister: 0, portRegister: addressAt[header].bytes / 4 },
	];
}
