import { performance } from 'node:perf_hooks';

import {
	decodeNotification,
	escapeText,
	Framer,
	hardResetReason,
	maximumPrefixes,
	PacketError,
	packetContext,
	shutdownText,
} from '../src/index.ts';
import { contexts, disagreement } from './agreement.ts';
import { bytes, frame, hex, mandatory, remedyOf, update } from './support.ts';

/** How long to fuzz, and with what. */
export interface FuzzOptions {
	/** The same seed and messages give the same run. */
	readonly seed: number;
	/** Stops after so many messages, */
	readonly iterations?: number;
	/** or after so many seconds, the first of both; one of them is needed. */
	readonly seconds?: number;
	/** Real messages to mutate, headers included, besides the built-in ones. */
	readonly messages?: readonly Uint8Array[];
	/** Where lines go; the first one names the seed. */
	readonly print?: (line: string) => void;
}

/** A NOTIFICATION's data, capabilities and text are looked at by these: they take any message. */
function look(wire: Uint8Array): void {
	if (wire[18] !== 3 || wire.length < 21) return;
	const message = decodeNotification(wire, 19, wire.length);
	for (const read of [hardResetReason, maximumPrefixes]) read(message);
	const text = shutdownText(message);
	if (text?.type === 'text') escapeText(text.text);
}

/** What a run found. */
export interface FuzzReport {
	readonly seed: number;
	readonly iterations: number;
	/** What became of a sample: `none` and the remedies for what decodes, `code/subcode` for what does not. */
	readonly outcomes: Readonly<Record<string, number>>;
	readonly failures: readonly { readonly hex: string; readonly context: number; readonly reason: string }[];
}

/** Numbers from a seed: xorshift32. */
class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed | 0 || 1;
	}

	/** 0 to `limit` - 1. */
	below(limit: number): number {
		this.#state ^= this.#state << 13;
		this.#state ^= this.#state >>> 17;
		this.#state ^= this.#state << 5;
		return (this.#state >>> 0) % limit;
	}

	pick<T>(list: readonly T[], otherwise: T): T {
		return list[this.below(list.length)] ?? otherwise;
	}

	bytes(length: number): Uint8Array {
		return Uint8Array.from({ length }, () => this.below(256));
	}
}

/** Messages that reach every message type and attribute. */
export const builtInMessages: readonly Uint8Array[] = [
	frame(4, ''),
	frame(5, '0001 00 01'),
	frame(5, '0002 01 01'),
	frame(3, '06 02 05 68656c6c6f'),
	frame(
		1,
		'04 5ba0 005a 0a000001 3c 02 3a 0104 0001 00 01 0104 0002 00 01 0200 4600 0600 0901 04 4104 00011170 4006 8078 0001 01 80 4508 0001 01 03 0002 01 03 0506 0001 0001 0002 4902 0000',
	),
	frame(1, '04 fde8 005a 0a000001 ff ff 0008 02 0002 0200 02 0000'),
	update({
		withdrawn: '08 0b 18 0a0102',
		attributes: `${mandatory} 80 04 04 00000001 40 05 04 00000064 40 06 00 c0 07 08 0000fde8 0a000001`,
		nlri: '18 0a0103 00 20 0a010203',
	}),
	update({
		attributes: `${mandatory} c0 08 08 fde80001 ffffff01 80 09 04 0a000001 80 0a 08 0a000001 0a000002 c0 10 08 0002fde800000064
			c0 20 0c 000000010000000200000003 c0 23 04 0000fde8 e0 63 02 abcd 80 1a 03 010003`,
		nlri: '18 0a0103',
	}),
	update({
		attributes:
			'80 0e 26 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 00 40 01 01 00 40 02 00',
	}),
	update({ attributes: '80 0f 0d 0002 01 20 20010db8 30 20010db80001' }),
	update({
		attributes:
			'40 01 01 00 40 02 06 02 02 fde8 5ba0 40 03 04 0a000001 c0 07 06 5ba0 0a000001 c0 11 0a 02 02 0000fde8 00011170 c0 12 08 00011170 0a000001',
		nlri: '08 0a',
	}),
	update({ attributes: '80 0e 0b 0019 46 04 0a000001 00 05 00 80 0f 03 4004 47 40 01 01 00 40 02 00' }),
];

/** Lengths and numbers at which readers go wrong. */
const edges = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 19, 20, 23, 24, 31, 32, 33, 127, 128, 129, 254, 255];
const codes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 25, 26, 32, 35, 99];
const properFlags: Readonly<Record<number, number>> = {
	1: 0x40,
	2: 0x40,
	3: 0x40,
	4: 0x80,
	5: 0x40,
	6: 0x40,
	9: 0x80,
	10: 0x80,
	14: 0x80,
	15: 0x80,
	26: 0x80,
};
const properLengths: Readonly<Record<number, number>> = { 1: 1, 6: 0, 7: 8, 16: 8, 18: 8, 25: 20, 32: 12 };

/** A message with a header that fits, so that the mutation reaches what is behind it. */
function withLength(wire: Uint8Array): Uint8Array {
	if (wire.length >= 19) wire.set([wire.length >> 8, wire.length & 0xff], 16);
	return wire;
}

function mutate(random: Random, wire: Uint8Array, other: Uint8Array): Uint8Array {
	const copy = new Uint8Array(wire);
	const at = () => 19 + random.below(Math.max(1, copy.length - 19));
	switch (random.below(7)) {
		case 0:
			copy[at()] = random.below(256);
			return copy;
		case 1:
			copy[at()] = random.pick(edges, 0);
			return copy;
		case 2: {
			const bit = at();
			copy[bit] = (copy[bit] ?? 0) ^ (1 << random.below(8));
			return copy;
		}
		case 3:
			return withLength(new Uint8Array(copy.subarray(0, Math.max(19, at()))));
		case 4: {
			const cut = at();
			return withLength(
				Uint8Array.of(...copy.subarray(0, cut), ...random.bytes(random.below(5)), ...copy.subarray(cut)),
			);
		}
		case 5: {
			const cut = at();
			return withLength(
				Uint8Array.of(...copy.subarray(0, cut), ...copy.subarray(Math.min(copy.length, cut + 1 + random.below(4)))),
			);
		}
		default:
			return withLength(
				Uint8Array.of(...copy.subarray(0, at()), ...other.subarray(19 + random.below(Math.max(1, other.length - 19)))),
			);
	}
}

/** Up to three prefixes; now and then one is too long, or lacks or has a path identifier that it should not. */
function prefixes(random: Random, bits: number, addPath: boolean): number[] {
	return Array.from({ length: random.below(4) }, () => {
		const length = random.below(40) === 0 ? random.below(256) : random.below(bits + 1);
		const withId = random.below(40) === 0 ? !addPath : addPath;
		return [...(withId ? [0, 0, 0, random.below(256)] : []), length, ...random.bytes((length + 7) >> 3)];
	}).flat();
}

function attributeValue(random: Random, code: number, addPath: boolean): readonly number[] {
	if (code === 14 || code === 15) {
		const afi = 1 + random.below(3);
		const routes = prefixes(random, afi === 1 ? 32 : 128, addPath);
		const proper = afi === 1 ? 4 : 16;
		const nextHop = random.below(8) === 0 ? random.pick([0, 4, 12, 16, 24, 32], 4) : proper;
		const safi = random.pick([1, 1, 1, 2, 128], 1);
		return code === 15 ? [0, afi, safi, ...routes] : [0, afi, safi, nextHop, ...random.bytes(nextHop), 0, ...routes];
	}
	if (code === 2 || code === 17) {
		const count = random.below(4);
		return [random.below(8) === 0 ? random.below(7) : 2, count, ...random.bytes(count * random.pick([2, 4], 4))];
	}
	return [...random.bytes(random.below(3) === 0 ? random.below(25) : (properLengths[code] ?? 4))];
}

/** With Extended Length, so that messages come to be of more than 4096 octets (RFC 8654). */
function longAttribute(flags: number, code: number, value: readonly number[]): number[] {
	return [flags | 0x10, code, value.length >> 8, value.length & 0xff, ...value];
}

/** An UPDATE whose lengths fit and whose attributes are of known kinds, with wrong flags, lengths and values here and there. */
function generate(random: Random, addPath: boolean): Uint8Array {
	const attributes = Array.from({ length: random.below(9) }, () => {
		const code = random.pick(codes, 99);
		const flags = random.below(12) === 0 ? random.below(256) & 0xef : (properFlags[code] ?? 0xc0);
		const value = attributeValue(random, code, addPath);
		if (random.below(30) === 0) {
			const long = [...value, ...random.bytes(random.below(8000))];
			// Some are flagged as well-known without being defined.
			return random.below(4) === 0 ? longAttribute(0x40, 99, long) : longAttribute(flags, code, long);
		}
		const length = random.below(30) === 0 ? random.pick(edges, 0) : value.length;
		return length > 255 ? [] : [flags, code, length, ...value];
	}).flat();
	const start = random.below(2) === 0 ? [...bytes(mandatory)] : [];
	const withdrawn = prefixes(random, 32, addPath);
	const block = [...start, ...attributes];
	return frame(
		2,
		Uint8Array.of(
			withdrawn.length >> 8,
			withdrawn.length,
			...withdrawn,
			block.length >> 8,
			block.length,
			...block,
			...prefixes(random, 32, addPath),
		),
	);
}

/** Codes of capabilities, known and not, with a length that fits. */
const capabilityLengths: readonly (readonly [code: number, length: number])[] = [
	[1, 4],
	[2, 0],
	[5, 6],
	[6, 0],
	[9, 1],
	[64, 6],
	[65, 4],
	[69, 4],
	[70, 0],
	[71, 7],
	[73, 9],
	[75, 5],
	[200, 3],
];

/** An OPEN whose lengths fit, in either form of the parameters, with wrong lengths and values here and there. */
function generateOpen(random: Random): Uint8Array {
	const extended = random.below(4) === 0;
	const parameters = Array.from({ length: random.below(4) }, () => {
		const capabilities = Array.from({ length: random.below(5) }, () => {
			const [code, proper] = random.pick(capabilityLengths, [200, 3]);
			const value = random.bytes(random.below(8) === 0 ? random.below(20) : proper * (1 + random.below(2)));
			return [code, random.below(30) === 0 ? random.pick(edges, 0) : value.length, ...value];
		}).flat();
		const length = random.below(30) === 0 ? random.pick(edges, 0) : capabilities.length;
		return [
			random.below(20) === 0 ? random.below(256) : 2,
			...(extended ? [length >> 8, length] : [length]),
			...capabilities,
		];
	}).flat();
	const total = random.below(20) === 0 ? random.pick(edges, 0) : parameters.length;
	const head = [
		random.below(30) === 0 ? random.below(6) : 4,
		random.below(256),
		random.below(256),
		0,
		random.pick([0, 0, 1, 2, 3, 90], 90),
		...random.bytes(4),
	];
	return frame(
		1,
		Uint8Array.of(...head, ...(extended ? [255, 255, total >> 8, total] : [Math.min(255, total)]), ...parameters),
	);
}

/** A NOTIFICATION or ROUTE-REFRESH, filters behind it included. */
function generateSmall(random: Random): Uint8Array {
	if (random.below(2) === 0)
		return frame(
			5,
			Uint8Array.of(
				0,
				1 + random.below(2),
				random.below(4),
				1,
				...random.bytes(random.below(3) === 0 ? random.below(20) : 0),
			),
		);
	const text = random.bytes(random.below(12));
	return frame(
		3,
		Uint8Array.of(random.below(9), random.below(12), ...(random.below(2) === 0 ? [text.length, ...text] : text)),
	);
}

/** Does a framer that gets the frame in two pieces, behind a KEEPALIVE, give what it gives in one? */
function framingFailure(random: Random, wire: Uint8Array): string | undefined {
	const stream = Uint8Array.of(...frame(4, ''), ...wire);
	const read = (chunks: readonly Uint8Array[]) => {
		const framer = new Framer();
		const seen: string[] = [];
		try {
			for (const chunk of chunks)
				framer.scan(chunk, (buffer, start, end) => seen.push(hex(buffer.subarray(start, end))));
		} catch (error) {
			if (!(error instanceof PacketError)) throw error;
			seen.push(`${error.code}/${error.subcode}`);
		}
		return seen.join();
	};
	const cut = random.below(stream.length);
	return read([stream]) === read([stream.subarray(0, cut), stream.subarray(cut)])
		? undefined
		: `the framer differs when cut at ${cut}`;
}

function failureOf(random: Random, wire: Uint8Array, context: number): string | undefined {
	try {
		look(wire);
		const framing = random.below(16) === 0 ? framingFailure(random, wire) : undefined;
		return framing ?? disagreement(wire, contexts[context] ?? packetContext());
	} catch (error) {
		return `throws ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
	}
}

/** Generated or taken from `pool`, then mutated, up to three times. */
function hostileMessage(random: Random, pool: readonly Uint8Array[], addPath: boolean): Uint8Array {
	let wire: Uint8Array;
	switch (random.below(10)) {
		case 0:
			wire = generateOpen(random);
			break;
		case 1:
			wire = generateSmall(random);
			break;
		case 2:
		case 3:
		case 4:
		case 5:
			wire = generate(random, addPath);
			break;
		default:
			wire = random.pick(pool, frame(4, ''));
	}
	for (let times = random.pick([0, 0, 1, 1, 1, 2, 3], 1); times > 0; times--)
		wire = mutate(random, wire, random.pick(pool, frame(4, '')));
	return wire;
}

/** `count` such messages from a seed, for tests of what stands behind the codec. */
export function hostileMessages(seed: number, count: number, addPath: boolean): Uint8Array[] {
	const random = new Random(seed);
	return Array.from({ length: count }, () => hostileMessage(random, builtInMessages, addPath));
}

/**
 * Decodes mutated real messages and generated ones, and checks what `disagreement` and the framer promise. Stops at ten
 * failures. Most messages are mutated, up to three times each.
 */
export function fuzz({
	seed,
	iterations = Number.POSITIVE_INFINITY,
	seconds = Number.POSITIVE_INFINITY,
	messages = [],
	print = () => {},
}: FuzzOptions): FuzzReport {
	const random = new Random(seed);
	const pool = [...builtInMessages, ...messages].filter(({ length }) => length >= 19);
	const failures: { hex: string; context: number; reason: string }[] = [];
	const until = performance.now() + seconds * 1000;
	const outcomes: Record<string, number> = {};
	let done = 0;
	print(`seed ${seed}, ${pool.length} messages to mutate`);
	while (done < iterations && failures.length < 10) {
		if ((done & 0xff) === 0 && performance.now() >= until) break;
		const context = random.below(contexts.length);
		const addPath = contexts[context]?.addPath(1, 1) ?? false;
		const wire = hostileMessage(random, pool, addPath);
		const reason = failureOf(random, wire, context);
		if ((done & 15) === 0) {
			const outcome = remedyOf(wire, contexts[context]);
			outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
		}
		if (reason !== undefined) {
			failures.push({ hex: hex(wire), context, reason });
			print(`message ${done}, context ${context}: ${reason}\n  ${hex(wire)}`);
		}
		done++;
	}
	print(`${done} messages, ${failures.length} failures; of a sample: ${JSON.stringify(outcomes)}`);
	return { seed, iterations: done, outcomes, failures };
}
