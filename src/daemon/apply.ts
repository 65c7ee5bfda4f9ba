import type { Config } from '../config/index.ts';
import type { DaemonLog } from './log.ts';
import { diffOrigins, originsOf } from './origins.ts';
import { type PasswordKeys, peerOptionsOf, rangeOptionsOf } from './peer-options.ts';
import type { Rooms } from './rooms.ts';

/** From what to what. */
export interface Transition {
	readonly before: Config;
	readonly after: Config;
	readonly keys: PasswordKeys;
	readonly log: DaemonLog;
}

/** Brings the rooms to a new configuration; each decides itself what of it is a change. */
export async function applyReload({ speaker, rib, kernel }: Rooms, { before, after, keys, log }: Transition): Promise<void> {
	const { bgp } = after;
	if (bgp === undefined) return;
	const names = new Set(bgp.peers.map(({ name }) => name));
	const known = new Set(before.bgp?.peers.map(({ name }) => name));
	// Those that go, go first: an address may pass from one name to another.
	for (const name of known) if (!names.has(name)) speaker.removePeer(name);
	for (const peer of bgp.peers) {
		const options = peerOptionsOf(after, peer, keys);
		if (known.has(peer.name)) speaker.updatePeer(options);
		else speaker.addPeer(options);
	}
	speaker.setRanges(bgp.peerRanges.map((range) => rangeOptionsOf(after, range, keys)));

	const { withdraw, originate } = diffOrigins(originsOf(before.bgp), originsOf(bgp));
	for (const prefix of withdraw) rib.withdrawOrigin(prefix);
	for (const [prefix, attributes] of originate) rib.originate(prefix, attributes);
	await kernel?.reconfigure(after);

	log.setLevel(after.log.level);
}
