import test from 'ava';
import { ConcurrencyLimit } from '../../src/core/index.ts';

test('at most so many tasks run at a time, in order, also after a task that failed', async (t) => {
	const limit = new ConcurrencyLimit(2);
	const ends: (() => void)[] = [];
	const started: string[] = [];
	const task = (name: string, fails = false) =>
		limit.run(async () => {
			started.push(name);
			await new Promise<void>((resolve) => ends.push(resolve));
			if (fails) throw new Error(name);
			return name;
		});
	const turn = () => new Promise((resolve) => setImmediate(resolve));
	const [a, b, c, d] = [task('a'), task('b', true), task('c'), task('d')];
	await turn();
	t.deepEqual(started, ['a', 'b']);
	ends[1]?.();
	await t.throwsAsync(b, { message: 'b' });
	await turn();
	t.deepEqual(started, ['a', 'b', 'c']);
	ends[0]?.();
	ends[2]?.();
	await turn();
	ends[3]?.();
	t.deepEqual(await Promise.all([a, c, d]), ['a', 'c', 'd']);
	const last = task('e');
	await turn();
	t.deepEqual(started, ['a', 'b', 'c', 'd', 'e']);
	ends[4]?.();
	await last;
});
