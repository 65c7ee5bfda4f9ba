import type { ExecutionContext } from 'ava';

import {
	type PeerOptions,
	type PeerRangeOptions,
	peerOptions,
	type RestartOptions,
	Speaker,
} from '../../src/bgp/index.ts';
import { type Clock, type Logger, silentLogger, systemClock } from '../../src/core/index.ts';
import { FakeRib } from './fake-rib.ts';
import { loopbackAddress, testPort } from './loopback.ts';

/** A speaker on its own address, with the recording RIB. */
export interface TestSpeaker {
	readonly speaker: Speaker;
	readonly rib: FakeRib;
	readonly address: string;
	readonly asNumber: number;
	readonly routerId: number;
}

/** Options of a speaker; all others have defaults. */
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
	readonly log?: Logger;
	readonly onFault?: (error: unknown) => void;
}

let speakers = 0;

/** A speaker that is stopped at the end of the test; it does not run yet. */
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
		{
			rib,
			log: given.log ?? silentLogger,
			clock: given.clock ?? systemClock,
			random: Math.random,
			...(given.onFault === undefined ? {} : { onFault: given.onFault }),
		},
	);
	t.teardown(() => speaker.stop({ graceful: false, reason: 'the test is over' }));
	return { speaker, rib, address, asNumber, routerId };
}

/**
 * The peer configuration of `other` for `own`, on loopback: bound to the own address, with short
 * intervals.
 */
export function loopbackPeer(
	own: string,
	given: Partial<PeerOptions> & Pick<PeerOptions, 'address' | 'asNumber'>,
): PeerOptions {
	return peerOptions({ port: testPort, localAddress: own, ...given });
}
