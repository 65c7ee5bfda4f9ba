import test from 'ava';
import fc from 'fast-check';
import { AttributePool } from '../../../src/bgp/table/attribute-pool.ts';

const block = fc.oneof(
	fc.uint8Array({ maxLength: 3, max: 1 }),
	fc.uint8Array({ minLength: 14, maxLength: 40, max: 1 }),
	fc.uint8Array({ minLength: 190, maxLength: 300 }),
);
const step = fc.record({
	release: fc.boolean(),
	peer: fc.integer({ min: 1, max: 2 }),
	kind: fc.constantFrom(0, 1),
	bytes: block,
});

test('a set exists while it is referenced, and its bytes do not change', (t) => {
	fc.assert(
		fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
			const pool = new AttributePool(() => 0.5, 2);
			const model = new Map<string, { id: number; holders: number; bytes: Uint8Array }>();
			for (const { release, peer, kind, bytes } of steps) {
				const key = `${peer} ${kind} ${bytes.join()}`;
				const known = model.get(key);
				if (release) {
					if (known === undefined) continue;
					pool.release(known.id);
					if (--known.holders === 0) model.delete(key);
					continue;
				}
				const id = pool.intern(peer, kind, 0, 0, bytes, 0, bytes.length);
				t.is(pool.isNew, known === undefined);
				pool.retain(id);
				if (known === undefined) model.set(key, { id, holders: 1, bytes });
				else {
					t.is(id, known.id);
					known.holders++;
				}
			}
			t.is(pool.size, model.size);
			for (const { id, bytes } of model.values()) t.deepEqual(pool.bytes(id), bytes);
			for (const { id, holders } of model.values()) for (let holder = 0; holder < holders; holder++) pool.release(id);
			t.is(pool.size, 0);
		}),
		{ numRuns: 300 },
	);
});

test('the import result of a set references the set, and is removed with it', (t) => {
	const pool = new AttributePool(() => 0.5, 2);
	const bytes = Uint8Array.of(1, 2, 3);
	const received = pool.intern(1, 0, 0, 0, bytes, 0, 3);
	pool.retain(received);
	const made = pool.intern(1, 0, 0, received, bytes, 0, 2);
	pool.imported[received] = made;
	pool.retain(made);
	pool.release(received);
	t.is(pool.size, 2);
	t.is(pool.imported[received], made);
	pool.release(made);
	t.is(pool.size, 0);
});
