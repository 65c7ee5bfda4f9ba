import test from 'ava';
import fc from 'fast-check';
import { writeAsPath } from '../../../src/bgp/update-group/as-path.ts';
import { Bitmap } from '../../../src/bgp/update-group/bitmap.ts';
import { ChunkPool, Cursor, isFor, MessageLog } from '../../../src/bgp/update-group/log.ts';

const message = fc.record({
	audience: fc.constantFrom(0, 0, 1, 2, -1, -2),
	length: fc.integer({ min: 1, max: 40 }),
	reads: fc.boolean(),
});

test('a reader gets every message for it, once and in order, under any truncation and reuse of the log', (t) => {
	fc.assert(
		fc.property(fc.array(message, { maxLength: 60, size: 'max' }), (messages) => {
			const pool = new ChunkPool(4, 64);
			const log = new MessageLog(pool);
			const peers = [1, 2, 3];
			const cursors = new Map(peers.map((peer) => [peer, new Cursor(log, 'last')]));
			const got = new Map<number, number[]>(peers.map((peer) => [peer, []]));
			const wanted = new Map<number, number[]>(peers.map((peer) => [peer, []]));
			const read = (peer: number) => {
				const cursor = cursors.get(peer);
				for (let bytes = cursor?.next(peer); bytes !== undefined; bytes = cursor?.next(peer))
					got.get(peer)?.push(...bytes);
			};
			for (const [index, { audience, length, reads }] of messages.entries()) {
				const chunk = log.room(length);
				const end = chunk.used + length;
				chunk.bytes.fill(index, chunk.used, end);
				log.commit(end, audience);
				for (const peer of peers)
					if (isFor(audience, peer)) wanted.get(peer)?.push(...Array.from({ length }, () => index));
				if (!reads) continue;
				read(1 + (index % 3));
				log.trim(Math.min(...[...cursors.values()].map((cursor) => cursor.chunk.sequence)));
			}
			for (const peer of peers) read(peer);
			t.deepEqual(got, wanted);
			for (const cursor of cursors.values()) t.is(cursor.behind, 0);
		}),
		{ numRuns: 500 },
	);
});

test('a bitmap returns its numbers in order', (t) => {
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 50, size: 'max' }), (numbers) => {
			const bitmap = new Bitmap();
			for (const number of numbers) bitmap.add(number);
			const taken: number[] = [];
			for (let number = bitmap.takeFirst(); number !== 0; number = bitmap.takeFirst()) taken.push(number);
			t.deepEqual(
				taken,
				[...new Set(numbers)].sort((left, right) => left - right),
			);
			t.is(bitmap.count, 0);
		}),
	);
});

const paths = [
	{
		title: 'an empty path becomes a sequence',
		wire: '',
		prepend: [65001],
		dropPrivate: false,
		result: '0201 0000fde9',
	},
	{
		title: 'a sequence is extended',
		wire: '0201 00000001',
		prepend: [65001],
		dropPrivate: false,
		result: '0202 0000fde9 00000001',
	},
	{
		title: 'a set is preceded by a new sequence',
		wire: '0101 00000001',
		prepend: [65001, 65002],
		dropPrivate: false,
		result: '0202 0000fde9 0000fdea 0101 00000001',
	},
	{
		title: 'private numbers are removed, and a segment with only private numbers',
		wire: '0202 00000001 0000fde9 0101 0000fde8',
		prepend: [7],
		dropPrivate: true,
		result: '0201 00000007 0201 00000001',
	},
] as const;
for (const { title, wire, prepend, dropPrivate, result } of paths) {
	test(title, (t) => {
		const bytes = Buffer.from(wire.replaceAll(' ', ''), 'hex');
		const out = new Uint8Array(100);
		const end = writeAsPath(bytes, 0, bytes.length, prepend, dropPrivate, out, 2);
		t.is(Buffer.from(out.subarray(2, end)).toString('hex'), result.replaceAll(' ', ''));
	});
}
