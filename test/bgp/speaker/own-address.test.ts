import test, { type ExecutionContext } from 'ava';
import { createRib, type PeerOptions, peerOptions, Speaker } from '../../../src/bgp/index.ts';
import { silentLogger, systemClock } from '../../../src/core/index.ts';
import { eventually } from '../../support/eventually.ts';
import { loopbackAddress, testPort } from '../../support/loopback.ts';

/** A speaker with one peer that listens at these addresses. */
async function startSpeaker(
	t: ExecutionContext,
	index: number,
	addresses: readonly string[],
	peer: PeerOptions,
): Promise<Speaker> {
	const identity = { asNumber: 64512, routerId: index, clusterId: undefined };
	const rib = createRib(
		{
			...{ localAsNumber: 64512, routerId: index, clusterId: undefined },
			...{ clientToClientReflection: true, localAddresses: [] },
		},
		{ clock: systemClock, log: silentLogger },
	);
	const speaker = new Speaker(
		{
			...identity,
			listen: addresses.map((address) => ({ address, port: testPort })),
			...{ peers: [peer], ranges: [], gracefulRestart: { restarting: false, forwardingPreserved: true } },
		},
		{ rib, log: silentLogger, clock: systemClock, random: Math.random },
	);
	await speaker.start();
	t.teardown(() => speaker.stop({ graceful: false, reason: 'the test ends' }));
	return speaker;
}

test('a session that the peer made to the new address of this node is not ended when this node reads of it', async (t) => {
	const [old, current, third, far] = Array.from({ length: 4 }, () => loopbackAddress()) as [
		string,
		string,
		string,
		string,
	];
	const options = (localAddress: string) =>
		peerOptions({ address: far, asNumber: 64512, localAddress, port: testPort, passive: true });
	const own = await startSpeaker(t, 1, [old, current], options(old));
	const { name } = options(old);
	// The other node has read the new address already.
	await startSpeaker(
		t,
		2,
		[far],
		peerOptions({ address: current, asNumber: 64512, localAddress: far, port: testPort, connectRetrySeconds: 1 }),
	);
	await eventually('the session is up', () => own.stateOf(name) === 'established', 60);
	t.is(own.updatePeer(options(current)).effect, 'reset');
	t.is(own.stateOf(name), 'established', 'it has that address already');
	own.updatePeer(options(third));
	t.not(own.stateOf(name), 'established', 'this address is another one');
});
