import type { BgpConfig, Config } from '../config/index.ts';
import { applyIdentity } from './identity.ts';
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
export async function applyReload({ speaker, rib, kernel, cluster, follower }: Rooms, { before, after, keys, log }: Transition): Promise<void> {
	log.setLevel(after.log.level);
	const { bgp } = after;
	// In a cluster the follower does it: the cluster may have a say in it.
	if (bgp !== undefined && cluster === undefined) await applyIdentity(speaker, bgp, log);
	if (bgp !== undefined) applyPeers(speaker, bgp, { before, after, keys, log });
	if (cluster !== undefined && follower !== undefined) {
		// Own blocks, pools and the tunnel are the file's and the cluster's together.
		follower.setConfig(after);
		await follower.apply(cluster.state());
		return;
	}
	const { withdraw, originate } = diffOrigins(originsOf(before.bgp), originsOf(bgp));
	for (const prefix of withdraw) rib.withdrawOrigin(prefix);
	for (const [prefix, attributes] of originate) rib.originate(prefix, attributes);
	await kernel?.reconfigure(after, undefined);
}

function applyPeers(speaker: Rooms['speaker'], bgp: BgpConfig, { before, after, keys }: Transition): void {
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
}
