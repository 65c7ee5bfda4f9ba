import test from 'ava';
import * as fc from 'fast-check';
import type { JsonObject } from '../../src/json/index.ts';
import { defaultNodeSettings, PolicyCalculator, PolicyFeed } from '../../src/policy/index.ts';
import { object, world } from './arbitraries.ts';
import { Replica } from './replica.ts';

const [node] = world.nodes;

const begin = () => {
	const calculator = new PolicyCalculator({ node, settings: defaultNodeSettings });
	return { calculator, feed: new PolicyFeed(calculator), replica: new Replica() };
};

const identity = (raw: JsonObject): string => {
	const { namespace = '', name } = raw['metadata'] as { namespace?: string; name: string };
	return `${String(raw['apiVersion'])} ${String(raw['kind'])} ${namespace}/${name}`;
};

const step = fc.oneof(
	{ weight: 5, arbitrary: object.map((raw) => ({ type: 'put' as const, raw })) },
	{ weight: 2, arbitrary: fc.nat().map((at) => ({ type: 'remove' as const, at })) },
	{ weight: 2, arbitrary: fc.constant({ type: 'take' as const }) },
);

test('after any history the state equals that of its last objects computed from nothing', (t) => {
	fc.assert(
		fc.property(fc.array(step, { minLength: 60, maxLength: 200 }), (history) => {
			const live = begin();
			const objects = new Map<string, JsonObject>();
			const take = () => {
				const change = live.calculator.takeChange();
				if (change !== undefined) live.replica.apply(change);
			};
			for (const one of history) {
				if (one.type === 'put') {
					objects.set(identity(one.raw), one.raw);
					live.feed.put(one.raw);
				} else if (one.type === 'remove') {
					const key = [...objects.keys()][one.at % Math.max(1, objects.size)];
					const raw = key === undefined ? undefined : objects.get(key);
					if (raw === undefined || key === undefined) continue;
					objects.delete(key);
					live.feed.remove(raw);
				} else take();
			}
			take();
			const fresh = begin();
			for (const raw of [...objects.values()].reverse()) fresh.feed.put(raw);
			const change = fresh.calculator.takeChange();
			if (change !== undefined) fresh.replica.apply(change);
			t.deepEqual(live.replica.snapshot(), fresh.replica.snapshot());
			t.deepEqual(live.feed.problems, fresh.feed.problems);
			t.is(live.calculator.takeChange(), undefined);
		}),
		{ numRuns: 250 },
	);
});
