import test from 'ava';
import fc from 'fast-check';
import { SegmentedIndex } from '../../../src/bgp/table/segmented-index.ts';

/**
 * Hashes at the end of the slots of two segments, so that runs of collisions wrap around; enough of
 * them to grow.
 */
const hash = fc
	.tuple(fc.constantFrom(0, 0xff), fc.integer({ min: -6, max: 6 }))
	.map(([segment, slot]) => (segment << 24) | (slot & 0xff_ffff) | 0);
const step = fc.record({ id: fc.integer({ min: 1, max: 120 }), remove: fc.boolean() });

function find(index: SegmentedIndex, id: number, of: number): boolean {
	const slots = index.slots(of);
	const mask = slots.length - 1;
	for (let slot = (of << 1) & mask; slots[slot] !== 0; slot = (slot + 2) & mask)
		if (slots[slot] === id) return slots[slot + 1] === of;
	return false;
}

test('every id that was added and not removed is found from its hash on, without a gap', (t) => {
	fc.assert(
		fc.property(
			fc.array(hash, { minLength: 121, maxLength: 121 }),
			fc.array(step, { maxLength: 300, size: 'max' }),
			(hashes, steps) => {
				const index = new SegmentedIndex();
				const model = new Set<number>();
				for (const { id, remove } of steps) {
					const of = hashes[id] ?? 0;
					if (remove && model.delete(id)) index.remove(id, of);
					else if (!remove && !model.has(id)) {
						model.add(id);
						index.add(id, of);
					}
				}
				for (let id = 1; id <= 120; id++) t.is(find(index, id, hashes[id] ?? 0), model.has(id));
			},
		),
		{ numRuns: 300 },
	);
});
