import test from 'ava';
import { RibBench } from '../../support/rib-bench.ts';

const prefixes = ['10.1.0.0/24', '10.2.0.0/24'];
const restarting = {
	negotiated: { enhancedRefresh: true, peerRestartSeconds: 60 },
	families: [{ family: 'ipv4' as const, gracefulRestart: { forwarding: true } }],
};

/** A neighbour with two routes during a refresh: one was sent again. */
function refreshing() {
	const bench = new RibBench();
	const peer = bench.peer('a', restarting);
	const other = bench.peer('b');
	peer.announce(prefixes);
	peer.receiver.refresh('ipv4', 'begin');
	peer.announce(prefixes.slice(0, 1));
	bench.run();
	return { bench, peer, other };
}

test('[C191][C204] a session lost during a refresh removes no routes', (t) => {
	const { bench, peer, other } = refreshing();
	peer.end('retain');
	bench.run();
	t.deepEqual(other.prefixes, prefixes);
	peer.restart();
	peer.announce(prefixes.slice(1));
	peer.endOfRib('ipv4');
	bench.run();
	t.deepEqual(other.prefixes, prefixes.slice(1));
});

test('[C208] routes that were stale at the second loss of the session are removed', (t) => {
	const { bench, peer, other } = refreshing();
	peer.end('retain');
	peer.restart();
	peer.announce(prefixes.slice(0, 1));
	peer.end('retain');
	bench.run();
	t.deepEqual(other.prefixes, prefixes.slice(0, 1));
});
