import type { BgpConfig, Config } from '../config/index.ts';
import { inSlices, type Steps } from '../core/index.ts';
import { applyIdentity } from './identity.ts';
import type { DaemonLog } from './log.ts';
import { bgpOf } from './node-state.ts';
import { applyOriginSteps, diffOriginSteps, originSteps } from './origins.ts';
import { type PasswordKeys, peerOptionsOf, rangeOptionsOf } from './peer-options.ts';
import type { Rooms } from './rooms.ts';

/** The old and the new configuration. */
export interface Transition {
	/** The name of this node. */
	readonly node: string;
	readonly before: Config;
	readonly after: Config;
	readonly keys: PasswordKeys;
	readonly log: DaemonLog;
}

/** Applies a new configuration to the rooms; each room determines its own changes. */
export async function applyReload(
	{ speaker, rib, planes, cluster, follower, services, policy }: Rooms,
	{ node, before, after, keys, log }: Transition,
): Promise<void> {
	log.setLevel(after.log.level);
	policy?.reload(after);
	const { bgp } = after;
	// In a cluster the follower does it: cluster resources may override the file.
	const speakers = cluster === undefined ? bgpOf({ node, config: after, cluster }) : undefined;
	if (speakers !== undefined) await applyIdentity(speaker, speakers, log);
	if (bgp !== undefined) await inSlices(peerSteps(speaker, bgp, { before, after, keys }));
	if (cluster !== undefined && follower !== undefined) {
		// Own blocks, pools and the tunnel are derived from both file and cluster.
		follower.setConfig(after);
		await follower.apply(cluster.state());
		services?.follow({ node, config: after, cluster: cluster.state() });
		return;
	}
	await inSlices(originsSteps(rib, before.bgp, bgp));
	planes.apply({ node, config: after, cluster: undefined });
	await planes.whenIdle();
}

/** Each peer is a step: there may be thousands. */
function* peerSteps(
	speaker: Rooms['speaker'],
	bgp: BgpConfig,
	{ before, after, keys }: Pick<Transition, 'before' | 'after' | 'keys'>,
): Steps<void> {
	const names = new Set(bgp.peers.map(({ name }) => name));
	const known = new Set(before.bgp?.peers.map(({ name }) => name));
	// Removals precede additions: an address may move from one name to another.
	for (const name of known) {
		if (names.has(name)) continue;
		speaker.removePeer(name);
		yield;
	}
	for (const peer of bgp.peers) {
		const options = peerOptionsOf(after, peer, keys);
		if (known.has(peer.name)) speaker.updatePeer(options);
		else speaker.addPeer(options);
		yield;
	}
	speaker.setRanges(bgp.peerRanges.map((range) => rangeOptionsOf(after, range, keys)));
}

function* originsSteps(rib: Rooms['rib'], before: BgpConfig | undefined, after: BgpConfig | undefined): Steps<void> {
	const change = yield* diffOriginSteps(yield* originSteps(before), yield* originSteps(after));
	yield* applyOriginSteps(rib, change);
}
