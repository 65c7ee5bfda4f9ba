import type { PeerChange } from '../bgp/index.ts';
import { type Config, type ConfigChange, diffConfig, type KeyChange } from '../config/index.ts';
import type { ReloadChangeView, ReloadView } from '../control/index.ts';

/** What the speaker itself says of changing a peer from one configuration to another; `none` where nothing differs for it. */
export type DescribePeer = (name: string) => PeerChange | undefined;

/** What a reload from `before` to `after` means. Pure. */
export function planReload(file: string, dryRun: boolean, before: Config, after: Config, describePeer: DescribePeer): ReloadView {
	const changes = diffConfig(before, after).map((change) => changeView(change, describePeer));
	const listed = new Set(changes.flatMap(({ what, name }) => (what === 'peer' ? [name] : [])));
	// A policy, or a key in a file, may have changed under a peer whose own keys are the same.
	const followers = (after.bgp?.peers ?? [])
		.filter(({ name }) => !listed.has(name))
		.flatMap(({ name }): ReloadChangeView[] => {
			const described = describePeer(name);
			if (described === undefined || described.effect === 'none') return [];
			return [
				{
					change: 'changed',
					what: 'peer',
					name,
					effect: described.effect,
					keys: described.fields.map(({ field, effect, why }) => ({ key: field, effect, from: '…', to: '…', why })),
				},
			];
		});
	const all = [...changes, ...followers];
	const resets = new Set(all.filter(({ what, change, effect }) => what === 'peer' && change === 'changed' && effect === 'reset').map(({ name }) => name));
	for (const name of resetByIdentity(before, after)) resets.add(name);
	return { file, dryRun, changes: all, resets: [...resets] };
}

/** Who is told another AS number or router ID in the OPEN. */
function resetByIdentity({ bgp: was }: Config, { bgp: becomes }: Config): string[] {
	if (was === undefined || becomes === undefined) return [];
	const [otherAs, otherId] = [was.asNumber !== becomes.asNumber, becomes.routerId !== undefined && was.routerId !== becomes.routerId];
	const before = new Set(was.peers.map(({ name }) => name));
	return becomes.peers
		.filter(({ name, localAsNumber, enabled }) => enabled && before.has(name) && (otherId || (otherAs && localAsNumber === undefined)))
		.map(({ name }) => name);
}

function changeView(change: ConfigChange, describePeer: DescribePeer): ReloadChangeView {
	const { type, what, name, effect } = change;
	if (type !== 'changed') return { change: type, what, name, effect, keys: [] };
	const described = what === 'peer' ? describePeer(name) : undefined;
	// The speaker has the last word on what its change costs.
	const disabled = what === 'peer' && change.keys.some(({ key, to }) => key === 'enabled' && to === false);
	const actual = disabled ? 'reset' : described === undefined || described.effect === 'none' ? effect : described.effect;
	return { change: type, what, name, effect: actual, keys: change.keys.map((key) => keyView(what, key, described)) };
}

/** With the reason where a session is reset. To disable a peer is no change of its session's parameters, but it ends the session all the same. */
function keyView(what: ReloadChangeView['what'], { key, effect, from, to }: KeyChange, described: PeerChange | undefined): ReloadChangeView['keys'][number] {
	if (what === 'peer' && key === 'enabled' && to === false) return { key, effect: 'reset', from, to, why: 'ends the session' };
	const field = described?.fields.find((candidate) => candidate.effect === 'reset' && candidate.field === key.split('.')[0]);
	return field === undefined || effect !== 'reset' ? { key, effect, from, to } : { key, effect, from, to, why: `resets the session: ${field.why}` };
}

/** The configuration that holds after a reload: the new one, but for settings that need a restart. Pure. */
export function afterReload(before: Config, after: Config): Config {
	const kept = diffConfig(before, after).flatMap((change) =>
		change.what === 'setting' && change.type === 'changed' ? change.keys.filter(({ effect }) => effect === 'restart') : [],
	);
	return kept.reduce<Config>((config, { key, from }) => withValue(config, key.split('.'), from), after);
}

/** A copy in which one key has another value; absent for `undefined`. */
function withValue<T extends object>(value: T, [step = '', ...rest]: readonly string[], to: unknown): T {
	const { [step]: old, ...others } = value as Readonly<Record<string, unknown>>;
	const next = rest.length === 0 ? to : withValue(typeof old === 'object' && old !== null ? old : {}, rest, to);
	// One key of the same type has changed its value.
	return Object.freeze(next === undefined ? others : { ...others, [step]: next }) as T;
}
