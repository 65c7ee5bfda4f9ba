import test from 'ava';
import { Arena } from '../../../src/bgp/table/arena.ts';

const mebibyte = 2 ** 20;
/**
 * Resident memory may exceed the held bytes by a quarter and `slack`; from `large` held bytes on it
 * is at most 1.5 times as much. With blocks above 8 KiB (extended messages) segments are longer.
 */
interface Bounds {
	readonly slack: number;
	readonly large: number;
}
const short: Bounds = { slack: 0.5 * mebibyte, large: 2 * mebibyte };
const long: Bounds = { slack: 2 * mebibyte, large: 8 * mebibyte };
/** When long blocks replace short ones, a small table is moved to longer segments as a whole. */
const changing: Bounds = { slack: 8 * mebibyte, large: 8 * mebibyte };

/** A generator of whole numbers below `bound`, the same for each run. */
function numbers(seed: number): (bound: number) => number {
	let state = seed;
	return (bound) => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return Math.floor((state / 2 ** 32) * bound);
	};
}

/** An arena and its expected content: each block is filled with a byte derived from its owner. */
class Model {
	readonly offsets = new Map<number, number>();
	readonly lengths = new Map<number, number>();
	readonly arena = new Arena((owner, offset) => this.offsets.set(owner, offset));
	#next = 1;
	held = 0;

	add(length: number): number {
		const owner = this.#next++;
		const offset = this.arena.allocate(owner, length);
		this.offsets.set(owner, offset);
		this.lengths.set(owner, length);
		const start = this.arena.start(offset);
		this.arena.slab(offset).fill(owner & 0xff, start, start + length);
		this.held += length;
		return owner;
	}

	remove(owner: number): void {
		this.held -= this.lengths.get(owner) ?? 0;
		this.arena.free(this.offsets.get(owner) ?? 0);
		this.offsets.delete(owner);
		this.lengths.delete(owner);
	}

	/** Owners whose bytes differ from the written ones. */
	damaged(): number[] {
		return [...this.offsets].flatMap(([owner, offset]) => {
			const start = this.arena.start(offset);
			const bytes = this.arena.slab(offset).subarray(start, start + (this.lengths.get(owner) ?? 0));
			return bytes.length === this.lengths.get(owner) && bytes.every((byte) => byte === (owner & 0xff)) ? [] : [owner];
		});
	}
}

/** Derives the next length from the number of the step. */
type Pattern = (step: number, below: (bound: number) => number) => number;

const patterns: readonly (readonly [string, Pattern, Bounds])[] = [
	['one size after another, downwards', (step) => Math.max(0, 60_000 - 64 * Math.floor(step / 100)), long],
	['one size after another, upwards', (step) => 64 * Math.floor(step / 20) + 1, changing],
	['any size', (_, below) => below(65_536), long],
	['small and largest in turn', (step) => (step % 2 === 0 ? 65_535 : 20), long],
	['one short size after another, downwards', (step) => Math.max(30, 2430 - 12 * Math.floor(step / 1000)), short],
	['any size of a usual message', (_, below) => below(4000), short],
	['attribute sets as they usually are', (_, below) => 30 + below(90), short],
];

/** A large and a small table: held MiB, and the number of blocks from which on old ones are removed. */
const tables = [
	{ mostMebibytes: 24, mostBlocks: 1000, steps: 8000 },
	{ mostMebibytes: 3, mostBlocks: 40_000, steps: 120_000 },
];

for (const [name, lengthOf, bounds] of patterns) {
	const { slack, large } = bounds;
	for (const { mostMebibytes, mostBlocks, steps } of bounds === short ? tables : tables.slice(0, 1)) {
		test(`memory follows the held bytes, at most ${mostMebibytes} MiB: ${name}`, (t) => {
			const below = numbers(7);
			const model = new Model();
			const owners: number[] = [];
			for (let step = 0; step < steps; step++) {
				owners.push(model.add(lengthOf(step, below)));
				// Random sets are replaced: an old one is removed for each new one.
				while (model.held > mostMebibytes * mebibyte || (owners.length > mostBlocks && below(4) > 0)) {
					const index = below(owners.length);
					const gone = owners[index] ?? 0;
					owners[index] = owners.at(-1) ?? 0;
					owners.pop();
					model.remove(gone);
				}
				const { residentBytes, liveBytes } = model.arena;
				if (residentBytes > liveBytes * 1.25 + slack || (liveBytes > large && residentBytes > liveBytes * 1.5))
					return t.fail(`step ${step}: ${residentBytes / mebibyte} MiB for ${liveBytes / mebibyte}`);
			}
			t.deepEqual(model.damaged(), []);
			for (const owner of owners) model.remove(owner);
			t.is(model.arena.liveBytes, 0);
			return t.true(model.arena.residentBytes <= slack, `${model.arena.residentBytes} bytes stay`);
		});
	}
}

test('memory is returned after most blocks are freed, at any position of the rest', (t) => {
	const model = new Model();
	const owners = Array.from({ length: 400_000 }, () => model.add(200));
	t.true(model.arena.residentBytes >= 80 * mebibyte * 0.95);
	owners.forEach((owner, index) => {
		if (index % 20 !== 0) model.remove(owner);
	});
	t.true(model.arena.residentBytes <= model.arena.liveBytes * 1.5, `${model.arena.residentBytes} bytes stay`);
	t.deepEqual(model.damaged(), []);
});

test('a block of any length up to 65535 bytes is stored completely', (t) => {
	const model = new Model();
	for (const length of [0, 1, 2, 3, 255, 256, 65_534, 65_535]) model.add(length);
	t.deepEqual(model.damaged(), []);
	for (const [owner] of [...model.offsets]) model.remove(owner);
	t.is(model.arena.liveBytes, 0);
});
