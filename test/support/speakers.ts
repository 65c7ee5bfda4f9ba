import type { ExecutionContext } from 'ava';

import { type PeerOptions, type PeerRangeOptions, peerOptions, type RestartOptions, Speaker } from '../../src/bgp/index.ts';
import { type Clock, silentLogger, systemClock } from '../../src/core/index.ts';
import { FakeRib } from './fake-rib.ts';
import { loopbackAddress, testPort } from './loopback.ts';

/** A speaker on an address of its own, with the RIB that records. */
export interface TestSpeaker {
	readonly speaker: Speaker;
	readonly rib: FakeRib;
	readonly address: string;
	readonly asNumber: number;
	readonly routerId: number;
}

/** What may be said of a speaker; the rest is made up. */
export interface TestSpeakerOptions {
	readonly asNumber?: number;
	readonly routerId?: number;
	readonly address?: string;
	readonly port?: number;
	readonly peers?: readonly PeerOptions[];
	readonly ranges?: readonly PeerRangeOptions[];
	readonly listen?: boolean;
	readonly restart?: RestartOptions;
	readonly clock?: Clock;
}

let speakers = 0;

/** A speaker that is stopped when the test is over; it does not run yet. */
export function testSpeaker(t: ExecutionContext, given: TestSpeakerOptions = {}): TestSpeaker {
	const address = given.address ?? loopbackAddress();
	const rib = new FakeRib();
	const asNumber = given.asNumber ?? 65001;
	const routerId = given.routerId ?? 0x0a000000 + ++speakers;
	const speaker = new Speaker(
		{
			asNumber,
			routerId,
			clusterId: undefined,
			listen: given.listen === false ? [] : [{ address, port: given.port ?? testPort }],
			peers: given.peers ?? [],
			ranges: given.ranges ?? [],
			gracefulRestart: given.restart ?? { restarting: false, forwardingPreserved: false },
		},
		{ rib, log: silentLogger, clock: given.clock ?? systemClock, random: Math.random },
	);
	t.teardown(() => speaker.stop({ graceful: false, reason: 'the test is over' }));
	return { speaker, rib, address, asNumber, routerId };
}

/** The peer that `other` is to `own`, on loopback: bound to the own address, with short pauses. */
export function loopbackPeer(own: string, given: Partial<PeerOptions> & Pick<PeerOptions, 'address' | 'asNumber'>): PeerOptions {
	return peerOptions({ port: testPort, localAddress: own, ...given });
}
