import test from 'ava';
import * as fc from 'fast-check';
import { defaultNodeSettings, PolicyCalculator, PolicyFeed } from '../../src/policy/index.ts';
import { object, world } from './arbitraries.ts';
import { historyStep, replayHistory } from './history.ts';
import { Replica } from './replica.ts';

const [node] = world.nodes;

const begin = () => {
	const calculator = new PolicyCalculator({ node, settings: defaultNodeSettings });
	return { calculator, feed: new PolicyFeed(calculator), replica: new Replica() };
};

const step = historyStep(object);

test('after any history the state equals that of its last objects computed from nothing', (t) => {
	fc.assert(
		fc.property(fc.array(step, { minLength: 60, maxLength: 200 }), (history) => {
			const live = begin();
			const take = () => {
				const change = live.calculator.takeChange();
				if (change !== undefined) live.replica.apply(change);
			};
			const objects = replayHistory(history, live.feed, take);
			const fresh = begin();
			for (const raw of objects.reverse()) fresh.feed.put(raw);
			const change = fresh.calculator.takeChange();
			if (change !== undefined) fresh.replica.apply(change);
			t.deepEqual(live.replica.snapshot(), fresh.replica.snapshot());
			t.deepEqual(live.feed.problems, fresh.feed.problems);
			t.is(live.calculator.takeChange(), undefined);
		}),
		{ numRuns: 250 },
	);
});
