import type { PeerOptions } from '../bgp/index.ts';

/**
 * The difference between the running sessions of the cluster and the desired ones, in the order in
 * which it is applied.
 */
export interface PeerPlan {
	/** Removed at once: their names or keys are needed by sessions of `add`. */
	readonly replace: readonly string[];
	readonly update: readonly PeerOptions[];
	readonly add: readonly PeerOptions[];
	/** Removed once the sessions of `add` are established (make before break). */
	readonly remove: readonly string[];
}

/** Identity of a session: address, port, interface. Two of them may share an address. */
export const sessionKey = ({ address, port, device }: Pick<PeerOptions, 'address' | 'port' | 'device'>): string =>
	`${address} ${port} ${device ?? ''}`;

/** Two sessions with one name at one address and interface are one session whose port changed. */
const namedKey = ({ name, address, device }: PeerOptions): string => `${name} ${address} ${device ?? ''}`;

/**
 * A desired session continues the running one with its key, under its original name; else the one
 * of its name whose port changed. No two sessions of the result share a name or a key. Pure.
 */
export function planPeers(current: ReadonlyMap<string, PeerOptions>, desired: readonly PeerOptions[]): PeerPlan {
	const byKey = new Map([...current.values()].map((options) => [sessionKey(options), options]));
	const keys = new Set(desired.map(sessionKey));
	const moved = new Map(
		[...current.values()]
			.filter((options) => !keys.has(sessionKey(options)))
			.map((options) => [namedKey(options), options]),
	);
	const desiredNames = new Map(desired.map((options) => [options.name, options]));
	const update: PeerOptions[] = [];
	const add: PeerOptions[] = [];
	const continued = new Set<string>();
	for (const options of desired) {
		const known = byKey.get(sessionKey(options)) ?? moved.get(namedKey(options));
		const owner = known === undefined ? undefined : desiredNames.get(known.name);
		// A name that another desired session needs is not kept.
		if (known === undefined || continued.has(known.name) || (owner !== undefined && owner !== options)) {
			add.push(options);
			continue;
		}
		continued.add(known.name);
		update.push({ ...options, name: known.name });
	}
	const gone = [...current.values()].filter(({ name }) => !continued.has(name));
	const needed = new Set(add.flatMap((options) => [options.name, sessionKey(options)]));
	const collides = (options: PeerOptions) => needed.has(options.name) || needed.has(sessionKey(options));
	return {
		replace: gone.filter(collides).map(({ name }) => name),
		update,
		add,
		remove: gone.filter((options) => !collides(options)).map(({ name }) => name),
	};
}
