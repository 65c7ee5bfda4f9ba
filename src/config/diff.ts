import { isDeepStrictEqual } from 'node:util';
import { atOnce, type Steps } from '../core/index.ts';
import { keyInfo, type ReloadEffect, reloadEffects, schemaAt, shapeOf } from '../schema/index.ts';
import type { BgpConfig, Config, PeerConfig, PeerRangeConfig } from './resolve.ts';
import { configSchema } from './schema.ts';
import { sessionSchema } from './session-schema.ts';

/** One changed key. */
export interface KeyChange {
	/** Relative to the changed object: `holdTimeSeconds`, `maxPrefix.limit`. */
	readonly key: string;
	readonly effect: ReloadEffect;
	readonly from: unknown;
	readonly to: unknown;
}

/** One difference between two configurations, with its strongest effect. */
export type ConfigChange =
	| {
			readonly type: 'added' | 'removed';
			readonly what: ChangedThing;
			readonly name: string;
			readonly effect: ReloadEffect;
	  }
	| {
			readonly type: 'changed';
			readonly what: ChangedThing;
			readonly name: string;
			readonly effect: ReloadEffect;
			readonly keys: readonly KeyChange[];
	  };

/** Objects with names; every other key is a `setting` named by its key. */
export type ChangedThing = 'setting' | 'peer' | 'range' | 'policy' | 'origin' | 'pool';

/** All differences between two configurations, and the effect of each. Pure. */
export const diffConfig = (before: Config, after: Config): ConfigChange[] => atOnce(diffSteps(before, after));

/** The same as long work with pause points: there may be hundreds of thousands of origins. */
export function* diffSteps(before: Config, after: Config): Steps<ConfigChange[]> {
	const changes = settings(before, after);
	const add = function* (steps: Steps<ConfigChange[]>) {
		for (const change of yield* steps) changes.push(change);
	};
	yield* add(things('peer', sessionEffect, 'reset', byName(before.bgp?.peers), byName(after.bgp?.peers)));
	yield* add(things('range', sessionEffect, 'reset', byName(before.bgp?.peerRanges), byName(after.bgp?.peerRanges)));
	const policies = ({ policies: all }: Config) => new Map(Object.entries(all));
	yield* add(things('policy', () => 'routes', 'routes', policies(before), policies(after)));
	const origins = ({ bgp }: Config) => keyed(bgp?.originate, 'prefix');
	yield* add(things('origin', () => 'live', 'live', yield* origins(before), yield* origins(after)));
	yield* add(
		things('pool', () => 'live', 'live', yield* keyed(before.pools, 'cidr'), yield* keyed(after.pools, 'cidr')),
	);
	return changes;
}

type Thing = PeerConfig | PeerRangeConfig | object;
const byName = <T extends { readonly name: string }>(list: readonly T[] | undefined) =>
	new Map((list ?? []).map((thing) => [thing.name, thing]));

function* keyed<K extends string, T extends { readonly [key in K]: string }>(
	list: readonly T[] | undefined,
	key: K,
): Steps<Map<string, T>> {
	const things = new Map<string, T>();
	for (const thing of list ?? []) {
		things.set(thing[key], thing);
		if (things.size % 256 === 0) yield;
	}
	return things;
}

/**
 * Address, AS number and name identify the session; the schema contains the effect of all other
 * keys.
 */
const sessionEffect = (path: readonly string[]): ReloadEffect =>
	effectAt(sessionSchema, path) ?? (path[0] === 'limit' || path[0] === 'group' ? 'live' : 'reset');

function* things(
	what: ChangedThing,
	effectOf: (path: readonly string[]) => ReloadEffect,
	removed: ReloadEffect,
	before: ReadonlyMap<string, Thing>,
	after: ReadonlyMap<string, Thing>,
): Steps<ConfigChange[]> {
	const changes: ConfigChange[] = [];
	let seen = 0;
	for (const [name, thing] of before) {
		if (++seen % 16 === 0) yield;
		const now = after.get(name);
		if (now === undefined) {
			changes.push({ type: 'removed', what, name, effect: removed });
			continue;
		}
		// The group that a value was inherited from is no difference, only the value is.
		const keys = keyChanges(thing, now, effectOf).filter(({ key }) => key !== 'group');
		if (keys.length > 0) changes.push({ type: 'changed', what, name, effect: strongest(keys), keys });
	}
	for (const name of after.keys()) {
		if (++seen % 256 === 0) yield;
		if (!before.has(name)) changes.push({ type: 'added', what, name, effect: 'live' });
	}
	return changes;
}

/** Sections that are compared by name above. */
const named = new Set(['bgp.peers', 'bgp.peerRanges', 'bgp.originate', 'policies', 'pools']);

function settings(before: Config, after: Config): ConfigChange[] {
	const flat = (config: Config) => ({ ...config, bgp: config.bgp ?? ({} as Partial<BgpConfig>) });
	return keyChanges(
		flat(before),
		flat(after),
		(path) => effectAt(configSchema, path) ?? 'restart',
		(path) => named.has(path.join('.')),
	).map((change) => ({
		type: 'changed',
		what: 'setting',
		name: change.key,
		effect: change.effect,
		keys: [change],
	}));
}

/** The keys in which two values differ, down to the keys that the schema declares. */
function keyChanges(
	before: object,
	after: object,
	effectOf: (path: readonly string[]) => ReloadEffect,
	skip: (path: readonly string[]) => boolean = () => false,
): KeyChange[] {
	const walk = (from: unknown, to: unknown, path: readonly string[]): KeyChange[] => {
		// A skipped list may be long: the object around it is not compared as a whole.
		if (from === to || skip(path)) return [];
		if (isRecord(from) && isRecord(to)) {
			return [...new Set([...Object.keys(from), ...Object.keys(to)])].flatMap((key) =>
				walk(from[key], to[key], [...path, key]),
			);
		}
		return isDeepStrictEqual(from, to) ? [] : [{ key: path.join('.'), effect: effectOf(path), from, to }];
	};
	return walk(before, after, []);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

/** The effect that the schema declares for a key, or for the nearest key around it. */
function effectAt(schema: Parameters<typeof schemaAt>[0], path: readonly string[]): ReloadEffect | undefined {
	for (let length = path.length; length > 0; length--) {
		const parent = schemaAt(schema, path.slice(0, length - 1));
		const declared = parent && shapeOf(parent)[path[length - 1] ?? ''];
		const info = declared && keyInfo(declared);
		if (info !== undefined) return info.effect;
	}
	return undefined;
}

/** The strongest effect of several changes; `live` for none. */
function strongest(changes: readonly { readonly effect: ReloadEffect }[]): ReloadEffect {
	return reloadEffects.findLast((effect) => changes.some((change) => change.effect === effect)) ?? 'live';
}
