import test from 'ava';

import { eventually } from '../../support/eventually.ts';
import { WireBench } from '../../support/wire-bench.ts';

const client = { options: { reflectorClient: true } };
const many = (from: number, count: number): string[] =>
	Array.from({ length: count }, (_, index) => `10.${from + (index >> 8)}.${index & 0xff}.0/24`);

test('[C233] a neighbour that does not read delays no other one, and has the last state when it reads again', async (t) => {
	const bench = await WireBench.start(t, {
		peers: { sender: client, watcher: client, stalled: { ...client, hears: false } },
	});
	await bench.connect();
	const { sender, watcher, stalled } = bench.peers;
	const prefixes = many(1, 1000);
	stalled.raw?.socket.pause();
	const rounds = 30;
	const padding = Array.from({ length: 150 }, (_, index) => index);
	for (let round = 1; round <= rounds; round++) {
		// One attribute block per prefix, so that nothing is packed: 18 MB in all.
		for (const [index, prefix] of prefixes.entries())
			sender.announce([prefix], { communities: [round, index, ...padding] });
		await bench.settle();
	}
	t.is(watcher.prefixes.length, 1000);
	t.is(bench.speaker.peer('stalled')?.state, 'established');
	stalled.raw?.socket.resume();
	await eventually('it has the last state', () =>
		prefixes.every((prefix) => stalled.table.get(prefix)?.communities?.[0] === rounds),
	);
	// Missed updates were combined.
	t.true(stalled.history.length < watcher.history.length, `${stalled.history.length} of ${watcher.history.length}`);
});

test('[C235] a session that is lost in the middle of a transfer leaves nothing behind', async (t) => {
	const bench = await WireBench.start(t, { peers: { sender: client, watcher: client, late: client } });
	await bench.connect('sender', 'watcher');
	const { sender, watcher, late } = bench.peers;
	for (let round = 0; round < 3; round++) {
		for (let part = 0; part < 20; part++) sender.announce(many(1 + part, 256));
		await eventually('the first routes are through', () => watcher.prefixes.length > 0);
		if (round === 1) await bench.connect('late');
		sender.raw?.close();
		await eventually('the session is over', () => bench.speaker.peer('sender')?.state !== 'established');
		await eventually('nothing is left', () => watcher.prefixes.length === 0);
		sender.updatesSent = bench.speaker.peer('sender')?.messages.received.update ?? 0;
		await bench.connect('sender');
	}
	sender.announce(['10.200.0.0/16']);
	await bench.settle();
	t.deepEqual(watcher.prefixes, ['10.200.0.0/16']);
	t.deepEqual(late.prefixes, ['10.200.0.0/16']);
});
