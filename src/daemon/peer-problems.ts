import type { ExplanationView, PeerProblemView, PeerView } from '../core/index.ts';
import { type Finding, peerFindings, problems, sessionFinding } from '../health/index.ts';
import { peerFacts } from './health.ts';
import type { Rooms } from './rooms.ts';

/** Peers without a session that `explain` looks at. */
const mostPeers = 1000;

/** The problems of a peer as `status` has them, without its bound on their number. */
export function problemsOfPeers(rooms: Pick<Rooms, 'rib' | 'speaker'>): (peer: PeerView) => readonly PeerProblemView[] {
	const found = grouped(peerFindings(peerFacts(rooms)));
	return (peer) => {
		const down = sessionFinding(peer);
		return [...(down === undefined ? [] : [down]), ...(found.get(peer.name) ?? [])].map(viewOf);
	};
}

/** The peer with its problems, if it has any. */
export function withProblems(peer: PeerView, problemsOf: (peer: PeerView) => readonly PeerProblemView[]): PeerView {
	const found = problemsOf(peer);
	return found.length === 0 ? peer : { ...peer, problems: found };
}

/** The reasons on the part of sessions why a route is not announced, in the order of the peers. */
export function withheldBySessions({
	speaker,
}: Pick<Rooms, 'speaker'>): NonNullable<ExplanationView['announced']>['withheld'] {
	const byReason = new Map<string, string[]>();
	let seen = 0;
	for (const { name } of speaker.eachPeerOptions()) {
		const state = speaker.stateOf(name);
		if (state === undefined || state === 'established') continue;
		if (++seen > mostPeers) break;
		const view = speaker.peer(name);
		const reason =
			view?.enabled === false
				? 'the peer is disabled'
				: `no session (${state}${view?.lastError === undefined ? '' : `: ${view.lastError.message}`})`;
		const peers = byReason.get(reason);
		if (peers === undefined) byReason.set(reason, [name]);
		else peers.push(name);
	}
	return [...byReason].map(([reason, peers]) => ({ reason, peers }));
}

/** Peers that may have announced more than this node took, as text. */
export const limitNotes = ({ rib }: Pick<Rooms, 'rib'>): string[] =>
	rib
		.nearLimit()
		.filter(({ received, limit, action }) => received >= limit && action !== 'warn')
		.map(({ peer, family, limit }) => `further ${family} prefixes of ${peer} are not taken: its limit is ${limit}`);

function grouped(findings: readonly Finding[]): ReadonlyMap<string, readonly Finding[]> {
	const byPeer = new Map<string, Finding[]>();
	for (const finding of findings) {
		const known = byPeer.get(finding.subject);
		if (known === undefined) byPeer.set(finding.subject, [finding]);
		else known.push(finding);
	}
	return byPeer;
}

const viewOf = ({ id, reason }: Finding): PeerProblemView => {
	const { severity, remedy } = problems[id];
	return { id, severity, reason, remedy };
};
