import type { PeerView } from '../../core/index.ts';
import { formatAddress } from '../../core/index.ts';
import { describeCapability } from '../fsm/capabilities.ts';
import type { Negotiated } from '../model/negotiated.ts';
import { plainAddress } from './dial.ts';
import type { Peer } from './peer.ts';
import type { PeerHistory } from './peer-history.ts';
import type { Session } from './session.ts';

/** Formats an identifier as a dotted quad. */
function formatRouterId(routerId: number): string {
	return formatAddress(Uint8Array.of(routerId >>> 24, routerId >>> 16, routerId >>> 8, routerId));
}

/** A peer for output. The speaker adds the RIB's prefix counts. */
export function peerView(peer: Peer, history: PeerHistory): PeerView {
	const { options, foremost } = peer;
	const { lastError, lastNotificationSent, lastNotificationReceived } = history;
	return {
		name: options.name,
		...(options.description === undefined ? {} : { description: options.description }),
		address: options.address,
		port: options.port,
		asNumber: options.asNumber,
		localAsNumber: peer.localSide().options.localAsNumber ?? peer.localSide().asNumber,
		kind: peer.kind,
		reflectorClient: options.reflectorClient,
		dynamic: peer.dynamic,
		passive: options.passive,
		state: peer.state,
		enabled: peer.wanted,
		since: new Date(foremost?.sinceWallMs ?? history.idleSinceWallMs).toISOString(),
		prefixes: [],
		messages: { received: peer.received.view(), sent: peer.sent.view() },
		establishedCount: history.establishedCount,
		...(lastError === undefined ? {} : { lastError }),
		...(lastNotificationSent === undefined ? {} : { lastNotificationSent }),
		...(lastNotificationReceived === undefined ? {} : { lastNotificationReceived }),
		...(foremost === undefined ? pauseView(peer.pauseMs) : sessionView(foremost)),
	};
}

/** A peer without a session: the time until the next attempt, if there is one. */
function pauseView(pauseMs: number | undefined): Partial<PeerView> {
	return pauseMs === undefined ? {} : { timers: { idleHold: Math.round(pauseMs / 100) / 10 } };
}

function sessionView(session: Session): Partial<PeerView> {
	const { negotiated, opens, socket, timers } = session;
	const timersLeft = timers.remainingSeconds();
	return {
		...(socket?.localAddress === undefined ? {} : { localAddress: plainAddress(socket.localAddress) }),
		...(negotiated === undefined
			? {}
			: {
					routerId: formatRouterId(negotiated.peerRouterId),
					holdTimeSeconds: negotiated.holdTimeSeconds,
					keepaliveSeconds: Math.floor(negotiated.holdTimeSeconds / 3),
				}),
		...(opens.sent === undefined
			? {}
			: {
					capabilities: {
						sent: opens.sent.capabilities.map(describeCapability),
						received: (opens.received?.capabilities ?? []).map(describeCapability),
						negotiated: negotiated === undefined ? [] : describeNegotiated(negotiated),
					},
				}),
		...(Object.keys(timersLeft).length === 0 ? {} : { timers: timersLeft }),
	};
}

/** The negotiated parameters as text. */
function describeNegotiated(negotiated: Negotiated): string[] {
	const { families, fourOctetAs, routeRefresh, enhancedRefresh, extendedMessageSend, notificationRestart, localRole } =
		negotiated;
	const ofFamily = families.flatMap((family) => [
		family.family,
		...(family.addPathReceive ? [`${family.family} add-path receive`] : []),
		...(family.addPathSend ? [`${family.family} add-path send`] : []),
		...(family.extendedNextHop ? [`${family.family} extended-next-hop`] : []),
		...(family.gracefulRestart === undefined
			? []
			: [`${family.family} graceful-restart ${negotiated.peerRestartSeconds}s`]),
		...(family.longLivedStaleSeconds > 0
			? [`${family.family} long-lived-graceful-restart ${family.longLivedStaleSeconds}s`]
			: []),
	]);
	return [
		...ofFamily,
		...(fourOctetAs ? ['four-octet-as'] : []),
		...(routeRefresh ? ['route-refresh'] : []),
		...(enhancedRefresh ? ['enhanced-route-refresh'] : []),
		...(extendedMessageSend ? ['extended-message'] : []),
		...(notificationRestart ? ['graceful-restart notification'] : []),
		...(localRole === undefined ? [] : [`role ${localRole}`]),
	];
}
