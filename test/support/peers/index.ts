/**
 * Third-party BGP daemons as peers of a test: each is started with a generated configuration on its
 * own addresses, queried for its state, and stopped by its pid.
 */
import { testedAge } from '../../../lab/debian.ts';
import { bird3Peer, birdPeer } from './bird.ts';
import { exabgpPeer } from './exabgp.ts';
import { frrPeer } from './frr.ts';
import { gobgpPeer } from './gobgp.ts';
import { openbgpdPeer } from './openbgpd.ts';
import type { PeerKind } from './types.ts';

export type * from './types.ts';
export { birdPeer };

/** All known ones of the tested age, in alphabetical order. */
export const peerKinds: readonly PeerKind[] = [
	birdPeer,
	...(testedAge === 'sid' ? [bird3Peer] : []),
	exabgpPeer,
	frrPeer,
	gobgpPeer,
	openbgpdPeer,
];
