import test from 'ava';
import fc from 'fast-check';
import { Ipv4Table } from '../../../src/bgp/table/ipv4-table.ts';
import { Ipv6Table } from '../../../src/bgp/table/ipv6-table.ts';
import { formatPrefix } from '../../../src/core/index.ts';

const tables = [
	{ name: 'IPv4', make: () => new Ipv4Table(() => 0.3, 2), width: 4 },
	{ name: 'IPv6', make: () => new Ipv6Table(() => 0.7, 2), width: 16 },
] as const;

/** Few different bytes, so that prefixes collide, and neighbours are adjacent in the index. */
const step = (width: number) =>
	fc.record({
		remove: fc.boolean(),
		bytes: fc.uint8Array({ minLength: width, maxLength: width, max: 3 }),
		bits: fc.oneof(fc.integer({ min: 0, max: width * 8 }), fc.constantFrom(0, 8, 24, 32, width * 8)),
	});

function network(bytes: Uint8Array, bits: number): Uint8Array {
	return bytes.map(
		(byte, index) => byte & (bits >= index * 8 + 8 ? 0xff : bits <= index * 8 ? 0 : 0xff00 >> (bits - index * 8)),
	);
}

for (const { name, make, width } of tables) {
	test(`an ${name} table equals a Map of texts`, (t) => {
		fc.assert(
			fc.property(fc.array(step(width), { maxLength: 200, size: 'max' }), (steps) => {
				const table = make();
				const model = new Map<string, number>();
				for (const { remove, bytes, bits } of steps) {
					const key = formatPrefix(network(bytes, bits), bits);
					t.is(table.find(bytes, 0, bits), model.get(key) ?? 0);
					if (remove) {
						const id = model.get(key);
						if (id !== undefined) table.release(id);
						model.delete(key);
					} else {
						const id = table.intern(bytes, 0, bits);
						t.is(model.get(key) ?? id, id);
						model.set(key, id);
						t.is(table.key(id), key);
					}
				}
				t.is(table.size, model.size);
				t.is(new Set(model.values()).size, model.size);
			}),
			{ numRuns: 300 },
		);
	});

	test(`an ${name} prefix is written as it was read`, (t) => {
		fc.assert(
			fc.property(step(width), ({ bytes, bits }) => {
				const table = make();
				const out = new Uint8Array(20);
				const end = table.write(table.intern(bytes, 0, bits), out, 1);
				t.deepEqual([...out.subarray(1, end)], [bits, ...network(bytes, bits).subarray(0, Math.ceil(bits / 8))]);
			}),
		);
	});

	test(`an ${name} table of many neighbours finds each of them`, (t) => {
		const table = make();
		const bytes = new Uint8Array(width);
		for (let pass = 0; pass < 2; pass++) {
			for (let index = 0; index < 20_000; index++) {
				bytes[1] = index >> 8;
				bytes[2] = index;
				t.is(pass === 0 ? table.intern(bytes, 0, 24) : table.find(bytes, 0, 24), index + 1);
			}
		}
	});
}
