import type { PeerChange } from '../bgp/index.ts';
import { type Config, type ConfigChange, diffConfig, diffSteps, type KeyChange } from '../config/index.ts';
import type { ReloadChangeView, ReloadView } from '../control/index.ts';
import { atOnce, type Steps } from '../core/index.ts';

/**
 * The effect, by the speaker, of changing a peer from one configuration to another; `none` without
 * a difference.
 */
export type DescribePeer = (name: string) => PeerChange | undefined;

/** The result of a reload: its changes, and the configuration in force after it. */
export interface ReloadPlan {
	readonly view: ReloadView;
	/** The new configuration, except for settings that need a restart. */
	readonly after: Config;
}

/** Computes a reload from `before` to the file's `next`, as long work with pause points. Pure. */
export function* planSteps(
	file: string,
	dryRun: boolean,
	before: Config,
	next: Config,
	describerOf: (after: Config) => DescribePeer,
): Steps<ReloadPlan> {
	const differences = yield* diffSteps(before, next);
	const after = inForce(differences, next);
	const describePeer = describerOf(after);
	const changes: ReloadChangeView[] = [];
	const listed = new Set<string>();
	for (const change of differences) {
		if (change.what === 'peer') listed.add(change.name);
		changes.push(changeView(change, describePeer));
		if (changes.length % 16 === 0) yield;
	}
	// A policy, or a key in a file, may have changed for a peer with unchanged keys.
	let seen = 0;
	for (const { name } of next.bgp?.peers ?? []) {
		if (++seen % 16 === 0) yield;
		const described = listed.has(name) ? undefined : describePeer(name);
		if (described === undefined || described.effect === 'none') continue;
		changes.push({
			change: 'changed',
			what: 'peer',
			name,
			effect: described.effect,
			keys: described.fields.map(({ field, effect, why }) => ({ key: field, effect, from: '…', to: '…', why })),
		});
	}
	const resets = new Set<string>();
	for (const { what, change, effect, name } of changes)
		if (what === 'peer' && change === 'changed' && effect === 'reset') resets.add(name);
	for (const name of resetByIdentity(before, next)) resets.add(name);
	return { view: { file, dryRun, changes, resets: [...resets] }, after };
}

/** The changes of a reload from `before` to `after`. Pure. */
export const planReload = (
	file: string,
	dryRun: boolean,
	before: Config,
	after: Config,
	describePeer: DescribePeer,
): ReloadView => atOnce(planSteps(file, dryRun, before, after, () => describePeer)).view;

/** Peers whose OPEN contains another AS number or router ID from now on. */
function resetByIdentity({ bgp: was }: Config, { bgp: becomes }: Config): string[] {
	if (was === undefined || becomes === undefined) return [];
	const [otherAs, otherId] = [
		was.asNumber !== becomes.asNumber,
		becomes.routerId !== undefined && was.routerId !== becomes.routerId,
	];
	const before = new Set(was.peers.map(({ name }) => name));
	return becomes.peers
		.filter(
			({ name, localAsNumber, enabled }) =>
				enabled && before.has(name) && (otherId || (otherAs && localAsNumber === undefined)),
		)
		.map(({ name }) => name);
}

function changeView(change: ConfigChange, describePeer: DescribePeer): ReloadChangeView {
	const { type, what, name, effect } = change;
	if (type !== 'changed') return { change: type, what, name, effect, keys: [] };
	const described = what === 'peer' ? describePeer(name) : undefined;
	// The speaker determines the effect of its changes.
	const disabled = what === 'peer' && change.keys.some(({ key, to }) => key === 'enabled' && to === false);
	const actual = disabled
		? 'reset'
		: described === undefined || described.effect === 'none'
			? effect
			: described.effect;
	return { change: type, what, name, effect: actual, keys: change.keys.map((key) => keyView(what, key, described)) };
}

/**
 * With the reason if a session is reset. Disabling a peer changes no parameter of its session, but
 * ends the session.
 */
function keyView(
	what: ReloadChangeView['what'],
	{ key, effect, from, to }: KeyChange,
	described: PeerChange | undefined,
): ReloadChangeView['keys'][number] {
	if (what === 'peer' && key === 'enabled' && to === false)
		return { key, effect: 'reset', from, to, why: 'ends the session' };
	const field = described?.fields.find(
		(candidate) => candidate.effect === 'reset' && candidate.field === key.split('.')[0],
	);
	return field === undefined || effect !== 'reset'
		? { key, effect, from, to }
		: { key, effect, from, to, why: `resets the session: ${field.why}` };
}

/**
 * The configuration in force after a reload: the new one, except for settings that need a restart.
 * Pure.
 */
export const afterReload = (before: Config, after: Config): Config => inForce(diffConfig(before, after), after);

function inForce(changes: readonly ConfigChange[], after: Config): Config {
	const kept = changes.flatMap((change) =>
		change.what === 'setting' && change.type === 'changed'
			? change.keys.filter(({ effect }) => effect === 'restart')
			: [],
	);
	return kept.reduce<Config>((config, { key, from }) => withValue(config, key.split('.'), from), after);
}

/** A copy in which one key has another value; absent for `undefined`. */
function withValue<T extends object>(value: T, [step = '', ...rest]: readonly string[], to: unknown): T {
	const { [step]: old, ...others } = value as Readonly<Record<string, unknown>>;
	const next = rest.length === 0 ? to : withValue(typeof old === 'object' && old !== null ? old : {}, rest, to);
	// One key has another value of the same type.
	return Object.freeze(next === undefined ? others : { ...others, [step]: next }) as T;
}
