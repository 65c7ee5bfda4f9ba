import { isDeepStrictEqual } from 'node:util';
import { keyInfo, type ReloadEffect, reloadEffects, schemaAt, shapeOf } from './keys.ts';
import type { BgpConfig, Config, PeerConfig, PeerRangeConfig } from './resolve.ts';
import { configSchema } from './schema.ts';
import { sessionSchema } from './session-schema.ts';

/** One key that differs. */
export interface KeyChange {
	/** Below the thing that changed: `holdTimeSeconds`, `maxPrefix.limit`. */
	readonly key: string;
	readonly effect: ReloadEffect;
	readonly from: unknown;
	readonly to: unknown;
}

/** One difference between two configurations, with the strongest effect of what differs. */
export type ConfigChange =
	| { readonly type: 'added' | 'removed'; readonly what: ChangedThing; readonly name: string; readonly effect: ReloadEffect }
	| { readonly type: 'changed'; readonly what: ChangedThing; readonly name: string; readonly effect: ReloadEffect; readonly keys: readonly KeyChange[] };

/** What has names of its own; everything else is a `setting` whose name is its key. */
export type ChangedThing = 'setting' | 'peer' | 'range' | 'policy' | 'origin' | 'pool';

/** Everything that differs between two configurations, and what each difference costs. Pure. */
export function diffConfig(before: Config, after: Config): ConfigChange[] {
	return [
		...settings(before, after),
		...things('peer', sessionEffect, 'reset', byName(before.bgp?.peers), byName(after.bgp?.peers)),
		...things('range', sessionEffect, 'reset', byName(before.bgp?.peerRanges), byName(after.bgp?.peerRanges)),
		...things('policy', () => 'routes', 'routes', new Map(Object.entries(before.policies)), new Map(Object.entries(after.policies))),
		...things('origin', () => 'live', 'live', keyed(before.bgp?.originate, 'prefix'), keyed(after.bgp?.originate, 'prefix')),
		...things('pool', () => 'live', 'live', keyed(before.pools, 'cidr'), keyed(after.pools, 'cidr')),
	];
}

type Thing = PeerConfig | PeerRangeConfig | object;
const byName = <T extends { readonly name: string }>(list: readonly T[] | undefined) => new Map((list ?? []).map((thing) => [thing.name, thing]));
const keyed = <K extends string, T extends { readonly [key in K]: string }>(list: readonly T[] | undefined, key: K) =>
	new Map((list ?? []).map((thing) => [thing[key], thing]));

/** Address, AS number and name make another session; the rest is in the schema. */
const sessionEffect = (path: readonly string[]): ReloadEffect =>
	effectAt(sessionSchema, path) ?? (path[0] === 'limit' || path[0] === 'group' ? 'live' : 'reset');

function things(
	what: ChangedThing,
	effectOf: (path: readonly string[]) => ReloadEffect,
	removed: ReloadEffect,
	before: ReadonlyMap<string, Thing>,
	after: ReadonlyMap<string, Thing>,
): ConfigChange[] {
	const changes: ConfigChange[] = [];
	for (const [name, thing] of before) {
		const now = after.get(name);
		if (now === undefined) {
			changes.push({ type: 'removed', what, name, effect: removed });
			continue;
		}
		// Which group a value came from is no difference, only the value is.
		const keys = keyChanges(thing, now, effectOf).filter(({ key }) => key !== 'group');
		if (keys.length > 0) changes.push({ type: 'changed', what, name, effect: strongest(keys), keys });
	}
	for (const name of after.keys()) if (!before.has(name)) changes.push({ type: 'added', what, name, effect: 'live' });
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

/** The keys at which two values differ, down to what the schema declares as a key. */
function keyChanges(
	before: object,
	after: object,
	effectOf: (path: readonly string[]) => ReloadEffect,
	skip: (path: readonly string[]) => boolean = () => false,
): KeyChange[] {
	const walk = (from: unknown, to: unknown, path: readonly string[]): KeyChange[] => {
		if (skip(path) || isDeepStrictEqual(from, to)) return [];
		if (isRecord(from) && isRecord(to)) {
			return [...new Set([...Object.keys(from), ...Object.keys(to)])].flatMap((key) => walk(from[key], to[key], [...path, key]));
		}
		return [{ key: path.join('.'), effect: effectOf(path), from, to }];
	};
	return walk(before, after, []);
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

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
export function strongest(changes: readonly { readonly effect: ReloadEffect }[]): ReloadEffect {
	return reloadEffects.findLast((effect) => changes.some((change) => change.effect === effect)) ?? 'live';
}
