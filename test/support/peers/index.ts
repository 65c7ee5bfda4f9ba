/**
 * BGP daemons of other people as peers of a test: each is started with a generated configuration on addresses of its own,
 * asked for what it sees, and ended by its pid.
 */
import { birdPeer } from './bird.ts';
import { exabgpPeer } from './exabgp.ts';
import { frrPeer } from './frr.ts';
import { gobgpPeer } from './gobgp.ts';
import { openbgpdPeer } from './openbgpd.ts';
import type { PeerKind } from './types.ts';

export type * from './types.ts';
export { birdPeer };

/** All that we know, in the order of the alphabet. */
export const peerKinds: readonly PeerKind[] = [birdPeer, exabgpPeer, frrPeer, gobgpPeer, openbgpdPeer];
