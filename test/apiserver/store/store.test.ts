import test from 'ava';
import fc from 'fast-check';
import {
	type Journal,
	type JournalEntry,
	Store,
	type StoreEvent,
	StoreFailedError,
} from '../../../src/apiserver/store/index.ts';
import type { Clock } from '../../../src/core/index.ts';
import type { JsonObject } from '../../../src/json/index.ts';

const clock: Clock = { monotonicMs: () => 0, wallMs: () => 0, after: () => ({ cancel() {} }) };
const object = (revision: number, value: number): JsonObject => ({
	metadata: { resourceVersion: String(revision) },
	value,
});
const keys = (items: Iterable<{ readonly key: string }>): string[] => [...items].map(({ key }) => key);

/** A disk whose writes end on command of the test. */
function slowJournal(): Journal & { readonly batches: (readonly JournalEntry[])[]; finish(error?: Error): void } {
	const batches: (readonly JournalEntry[])[] = [];
	const waiting: ((error: Error | undefined) => void)[] = [];
	return {
		batches,
		load: async () => ({ revision: 0, entries: [] }),
		append: (entries) =>
			new Promise((resolve, reject) => {
				batches.push(entries);
				waiting.push((error) => (error === undefined ? resolve() : reject(error)));
			}),
		close: async () => {},
		finish: (error) => waiting.shift()?.(error),
	};
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('readers and watchers see a write once it is on disk, writers at once', async (t) => {
	const journal = slowJournal();
	const store = await Store.open(journal, clock);
	const events: StoreEvent[] = [];
	store.subscribe('c', (event) => void events.push(event));
	const written = store.write('c', 'a', (revision) => object(revision, 1));
	t.is(store.get('c', 'a'), undefined);
	t.is(store.latest('c', 'a')?.revision, 1);
	t.is(store.committed, 0);
	await turn();
	await turn();
	t.deepEqual(events, []);
	journal.finish();
	await written;
	t.is(store.get('c', 'a')?.revision, 1);
	t.is(events.length, 1);
});

test('writes that arrive during a write share the next one', async (t) => {
	const journal = slowJournal();
	const store = await Store.open(journal, clock);
	const first = store.write('c', 'a', (revision) => object(revision, 0));
	await turn();
	await turn();
	const others = Array.from({ length: 10 }, (_, index) =>
		store.write('c', `b${index}`, (revision) => object(revision, index)),
	);
	journal.finish();
	await first;
	await turn();
	t.deepEqual(
		journal.batches.map(({ length }) => length),
		[1, 10],
	);
	journal.finish();
	await Promise.all(others);
	t.is(store.committed, 11);
});

test('a write that the disk refuses has no effect, and no later write is accepted', async (t) => {
	const journal = slowJournal();
	const store = await Store.open(journal, clock);
	const before = store.write('c', 'a', (revision) => object(revision, 1));
	await turn();
	await turn();
	journal.finish();
	await before;
	const lost = [
		store.write('c', 'a', (revision) => object(revision, 2)),
		store.write('c', 'b', (revision) => object(revision, 3)),
	];
	await turn();
	await turn();
	journal.finish(new Error('no space left'));
	for (const write of lost) await t.throwsAsync(write, { instanceOf: StoreFailedError });
	t.is(store.latest('c', 'a')?.revision, 1);
	t.is(store.latest('c', 'b'), undefined);
	await t.throwsAsync(
		store.write('c', 'z', (revision) => object(revision, 4)),
		{ instanceOf: StoreFailedError },
	);
	t.is(store.get('c', 'a')?.revision, 1);
});

test('a list of a past version shows the state of that version, regardless of later writes', async (t) => {
	const operation = fc.record({ key: fc.constantFrom('a', 'b', 'n/a', 'n/b', 'n-x', 'z'), remove: fc.boolean() });
	await fc.assert(
		fc.asyncProperty(
			fc.array(operation, { maxLength: 40 }),
			fc.nat(40),
			fc.constantFrom('', 'n/'),
			async (operations, compactAt, prefix) => {
				const store = await Store.open(undefined, clock);
				const model = new Map<string, number>();
				const states: { readonly revision: number; readonly seen: readonly string[] }[] = [];
				for (const [index, { key, remove }] of operations.entries()) {
					if (remove) model.delete(key);
					else model.set(key, index);
					await store.write('c', key, remove ? undefined : (revision) => object(revision, index));
					states.push({
						revision: store.committed,
						seen: [...model]
							.filter(([name]) => name.startsWith(prefix))
							.map(([name, value]) => `${name}=${value}`)
							.sort(),
					});
				}
				store.compact(compactAt);
				for (const { revision, seen } of states) {
					if (revision < store.oldest) continue;
					const listed = [...store.scan('c', prefix, '', revision)].map(
						({ key, value }) => `${key}=${String(value['value'])}`,
					);
					t.deepEqual(listed, seen);
				}
			},
		),
		{ numRuns: 300 },
	);
});

test('events lead from any kept revision to the present', async (t) => {
	const store = await Store.open(undefined, clock);
	for (const key of ['a', 'b', 'a']) await store.write('c', key, (revision) => object(revision, revision));
	await store.write('c', 'b', undefined);
	t.deepEqual(
		store
			.eventsSince('c', 1)
			.map(({ key, revision, current, previous }) => [key, revision, current.value === undefined, previous?.revision]),
		[
			['b', 2, false, undefined],
			['a', 3, false, 1],
			['b', 4, true, 2],
		],
	);
	store.compact(2);
	t.throws(() => store.eventsSince('c', 1), { name: 'CompactedError' });
	t.deepEqual(keys(store.eventsSince('c', 2)), ['a', 'b']);
	t.deepEqual(keys(store.scan('c')), ['a']);
});
