import test from 'ava';
import { Arena } from '../../../src/bgp/table/arena.ts';

const mebibyte = 2 ** 20;
/** Resident memory may exceed the held bytes by a quarter, and by this. */
const slack = 3 * mebibyte;
/** From this size on, resident memory is at most 1.5 times the bytes of the blocks. */
const large = 8 * mebibyte;

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

/** Each pattern derives the next length from the number of the step; at most 24 MiB are held. */
const patterns: Readonly<Record<string, (step: number, below: (bound: number) => number) => number>> = {
	'one size after another, downwards': (step) => Math.max(0, 60_000 - 64 * Math.floor(step / 100)),
	'one size after another, upwards': (step) => 64 * Math.floor(step / 20) + 1,
	'any size': (_, below) => below(65_536),
	'small and largest in turn': (step) => (step % 2 === 0 ? 65_535 : 20),
	'attribute sets as they usually are': (_, below) => 30 + below(90),
};

for (const [name, lengthOf] of Object.entries(patterns)) {
	test(`memory follows the held bytes: ${name}`, (t) => {
		const below = numbers(7);
		const model = new Model();
		const owners: number[] = [];
		const most = 24 * mebibyte;
		for (let step = 0; step < 8000; step++) {
			owners.push(model.add(lengthOf(step, below)));
			// Random sets are replaced: an old one is removed for each new one.
			while (model.held > most || (owners.length > 1000 && below(4) > 0)) {
				const index = below(owners.length);
				const [gone = 0] = owners.splice(index, 1);
				model.remove(gone);
			}
			const { residentBytes, liveBytes } = model.arena;
			if (residentBytes > liveBytes * 1.25 + slack || (model.held > large && residentBytes > model.held * 1.5))
				return t.fail(`step ${step}: ${residentBytes / mebibyte} MiB for ${liveBytes / mebibyte}`);
		}
		t.deepEqual(model.damaged(), []);
		for (const owner of owners) model.remove(owner);
		t.is(model.arena.liveBytes, 0);
		return t.true(model.arena.residentBytes <= slack, `${model.arena.residentBytes} bytes stay`);
	});
}

test('memory is returned after most blocks are freed, at any position of the rest', (t) => {
	const model = new Model();
	const owners = Array.from({ length: 400_000 }, () => model.add(200));
	t.true(model.arena.residentBytes >= 80 * mebibyte * 0.95);
	owners.forEach((owner, index) => {
		if (index % 20 !== 0) model.remove(owner);
	});
	t.true(model.arena.residentBytes <= model.arena.liveBytes * 1.25 + slack, `${model.arena.residentBytes} bytes stay`);
	t.deepEqual(model.damaged(), []);
});

test('a block of any length up to 65535 bytes is stored completely', (t) => {
	const model = new Model();
	for (const length of [0, 1, 2, 3, 255, 256, 65_534, 65_535]) model.add(length);
	t.deepEqual(model.damaged(), []);
	for (const [owner] of [...model.offsets]) model.remove(owner);
	t.is(model.arena.liveBytes, 0);
});
