import type { ExecutionContext } from 'ava';
import type { OpenMessage } from 'bgp-packet';

import type { PeerOptions, RestartOptions } from '../../src/bgp/index.ts';
import type { Clock, Logger } from '../../src/core/index.ts';
import { loopbackAddress, testPort } from './loopback.ts';
import { RawPeer } from './raw-peer.ts';
import { loopbackPeer, type TestSpeaker, testSpeaker } from './speakers.ts';

/** A speaker with one passive peer, and the means to act as that peer. */
export interface RawSession extends TestSpeaker {
	readonly peerName: string;
	readonly peerAsNumber: number;
	/** A new connection from the peer's address. */
	connect(): Promise<RawPeer>;
	/** A connection up to Established. */
	establish(open?: Partial<OpenMessage>): Promise<RawPeer>;
	/** The state as shown to users. */
	state(): string;
}

/** AS 65001 with identifier 10.0.0.1 towards AS 65002, unless `options` say otherwise. */
export async function rawSession(
	t: ExecutionContext,
	options: Partial<PeerOptions> = {},
	surroundings: {
		readonly clock?: Clock;
		readonly restart?: RestartOptions;
		readonly log?: Logger;
		readonly onFault?: (error: unknown) => void;
	} = {},
): Promise<RawSession> {
	const [own, theirs] = [loopbackAddress(), loopbackAddress()];
	const peer = loopbackPeer(own, { address: theirs, asNumber: 65002, passive: true, ...options });
	const speaker = testSpeaker(t, { address: own, routerId: 0x0a000001, peers: [peer], ...surroundings });
	await speaker.speaker.start();
	const connect = async (): Promise<RawPeer> => {
		const raw = await RawPeer.connect(own, testPort, theirs);
		t.teardown(() => raw.close());
		return raw;
	};
	return {
		...speaker,
		peerName: peer.name,
		peerAsNumber: peer.asNumber,
		connect,
		async establish(open = {}) {
			const raw = await connect();
			await raw.establish({ asNumber: peer.asNumber, routerId: 0x0a000002, ...open });
			return raw;
		},
		state: () => speaker.speaker.peer(peer.name)?.state ?? 'none',
	};
}
