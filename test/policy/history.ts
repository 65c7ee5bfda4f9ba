import * as fc from 'fast-check';
import type { JsonObject } from '../../src/json/index.ts';
import type { PolicyFeed } from '../../src/policy/index.ts';

/** A step of a history of objects; `at` chooses one of those that are there; `take`: changes are taken. */
export type HistoryStep =
	| { readonly type: 'put'; readonly raw: JsonObject }
	| { readonly type: 'remove'; readonly at: number }
	| { readonly type: 'take' };

/** Steps with these objects, by weight. */
export const historyStep = (
	object: fc.Arbitrary<JsonObject>,
	weights: Readonly<Record<HistoryStep['type'], number>> = { put: 5, remove: 2, take: 2 },
): fc.Arbitrary<HistoryStep> =>
	fc.oneof(
		{ weight: weights.put, arbitrary: object.map((raw) => ({ type: 'put' as const, raw })) },
		{ weight: weights.remove, arbitrary: fc.nat().map((at) => ({ type: 'remove' as const, at })) },
		{ weight: weights.take, arbitrary: fc.constant({ type: 'take' as const }) },
	);

/** Version, kind, namespace and name of an object, in one word for each object of a cluster. */
export const identity = (raw: JsonObject): string => {
	const { namespace = '', name } = raw['metadata'] as { namespace?: string; name: string };
	return `${String(raw['apiVersion'])} ${String(raw['kind'])} ${namespace}/${name}`;
};

/** Gives the steps to the feed, and takes what changed at the end as well. The result: the last objects. */
export function replayHistory(history: readonly HistoryStep[], feed: PolicyFeed, take: () => void): JsonObject[] {
	const objects = new Map<string, JsonObject>();
	for (const one of history)
		if (one.type === 'put') {
			objects.set(identity(one.raw), one.raw);
			feed.put(one.raw);
		} else if (one.type === 'remove') {
			const key = [...objects.keys()][one.at % Math.max(1, objects.size)];
			const raw = key === undefined ? undefined : objects.get(key);
			if (raw === undefined || key === undefined) continue;
			objects.delete(key);
			feed.remove(raw);
		} else take();
	take();
	return [...objects.values()];
}
