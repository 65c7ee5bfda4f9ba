import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { formatAddress } from '../../../src/core/index.ts';
import { readMrt, readMrtFile } from '../../support/mrt.ts';
import { acceptAll, RibBench, type TestPeer } from '../../support/rib-bench.ts';
import { dataTest, sharedDataPath } from '../../support/shared-data.ts';

const file = 'mrt/bgpdump/updates.et-header.2015.gz';

/**
 * The remaining prefixes at the end of the expectation file (announced, not withdrawn later, and
 * well-formed), and the number of announced ones.
 */
function expectedPrefixes(path: string): { readonly left: ReadonlyMap<string, string>; readonly announced: number } {
	const left = new Map<string, string>();
	const announced = new Set<string>();
	for (const line of gunzipSync(readFileSync(path), { maxOutputLength: 2 ** 30 })
		.toString('latin1')
		.split('\n')) {
		const [, , kind, , , prefix = '', asPath = ''] = line.split('|');
		if (kind === 'A') {
			// RFC 7607 §2: a path with AS 0 is malformed, so its routes are withdrawn.
			if (asPath.split(' ').includes('0')) left.delete(prefix);
			else left.set(prefix, asPath);
			announced.add(prefix);
		} else if (kind === 'W') left.delete(prefix);
	}
	return { left, announced: announced.size };
}

dataTest(
	'[C232] a real full table ends with exactly the prefixes of its expectation, at a client too',
	file,
	(t, path) => {
		const expectation = sharedDataPath(`${file}.expect.txt.gz`);
		if (expectation === undefined) throw new Error('the expectation file is missing');
		const { left: wanted, announced } = expectedPrefixes(expectation);
		// Three of them are withdrawn again, four have AS 0 in their path.
		t.deepEqual([announced, wanted.size], [577_706, 577_699]);
		const bench = new RibBench({
			localAsNumber: 3856,
			routerId: 0x7f00_0001,
			clusterId: 0x7f00_0001,
			localAddresses: [],
		});
		const feeder = bench.peer('feeder', { families: [{ family: 'ipv4' }] });
		const reader = bench.peer('reader', { families: [{ family: 'ipv4' }] });
		let updates = 0;
		for (const record of readMrt(readMrtFile(path))) {
			if (record.type !== 'message' || record.message[18] !== 2) continue;
			feeder.receiver.update(record.message, 0, record.message.length);
			if (++updates % 500 === 0) bench.turn();
		}
		bench.run();
		t.is(updates, 89_679);
		const { prefixes, paths } = bench.rib.statistics();
		t.deepEqual({ prefixes: prefixes.ipv4, paths: paths.ipv4 }, { prefixes: wanted.size, paths: wanted.size });
		t.is(reader.held.size, wanted.size);
		let wrong = 0;
		for (const prefix of wanted.keys()) if (!reader.held.has(prefix)) wrong++;
		t.is(wrong, 0);
		const late = bench.peer('late', { families: [{ family: 'ipv4' }] });
		bench.run();
		t.is(late.held.size, wanted.size);
		feeder.end();
		bench.run();
		t.is(reader.held.size, 0);
		t.is(bench.rib.statistics().attributeSets, 0);
	},
);

const churn = 'mrt/bgpdump/updates.20070211.0141.gz';

dataTest(
	'[C234] a quarter of an hour of 31 neighbours ends with the offline result of the same stream',
	churn,
	(t, path) => {
		const expectation = sharedDataPath(`${churn}.expect.txt.gz`);
		if (expectation === undefined) throw new Error('the expectation file is missing');
		const wanted = new Set<string>();
		for (const line of gunzipSync(readFileSync(expectation)).toString('latin1').split('\n')) {
			const [, , kind, peer = '', asNumber = '', prefix = ''] = line.split('|');
			if (kind === 'A') wanted.add(`${peer} ${asNumber} ${prefix}`);
			else if (kind === 'W') wanted.delete(`${peer} ${asNumber} ${prefix}`);
		}
		const bench = new RibBench({ localAddresses: [] });
		const peers = new Map<string, TestPeer>();
		const open = { importPolicies: [acceptAll], exportPolicies: [acceptAll], enforceFirstAs: false };
		for (const record of readMrt(readMrtFile(path))) {
			if (record.type !== 'message' || record.message[18] !== 2) continue;
			const { peerAddress, peerAs } = record.peer;
			const name = `${formatAddress(peerAddress)} ${peerAs}`;
			let peer = peers.get(name);
			if (peer === undefined) {
				peer = bench.peer(name, {
					options: open,
					negotiated: { kind: 'external', peerAsNumber: peerAs, peerAddress, fourOctetAs: record.fourOctetAs },
				});
				peers.set(name, peer);
			}
			peer.receiver.update(record.message, 0, record.message.length);
			bench.turn();
		}
		bench.run();
		const held = new Set(
			[...peers.keys()].flatMap((name) =>
				bench.rib.routes({ received: name }).map(({ prefix }) => `${name} ${prefix}`),
			),
		);
		t.deepEqual([...wanted].filter((line) => !held.has(line)).slice(0, 5), []);
		t.deepEqual([...held].filter((line) => !wanted.has(line)).slice(0, 5), []);
		// Each neighbour holds the best of the others.
		const best = bench.rib.routes({}).filter((route) => route.best);
		for (const [name, peer] of peers)
			t.is(peer.held.size, best.filter((route) => route.peer !== name && !route.prefix.includes(':')).length, name);
	},
);
