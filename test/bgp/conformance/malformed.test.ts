import test from 'ava';
import { PacketError } from 'bgp-packet';
import type { Logger } from '../../../src/core/index.ts';
import { type LogLine, recordingLogger } from '../../fakes/log.ts';
import { bytes } from '../../support/hex.ts';
import { RibBench } from '../../support/rib-bench.ts';

const said = ({ lines }: { readonly lines: readonly LogLine[] }) =>
	lines.filter(({ message }) => message === 'a malformed UPDATE').map(({ fields }) => fields);
const bench = (log: Logger) => new RibBench({}, Math.random, log);

/** ORIGIN, an empty AS_PATH, NEXT_HOP and LOCAL_PREF; then the malformed attribute. */
const mandatory = '400101 00 400200 400304 0a000101 400504 00000064';
const update = (attributes: string, nlri: string) => {
	const block = bytes(attributes);
	const routes = bytes(nlri);
	const length = 23 + block.length + routes.length;
	return Uint8Array.of(...new Uint8Array(16).fill(0xff), 0, length, 2, 0, 0, 0, block.length, ...block, ...routes);
};
const badMed = update(`${mandatory} 800403 000000`, '18 0a0101');
const badAggregate = update(`${mandatory} 400601 00`, '18 0a0102');
const badLengths = Uint8Array.of(...new Uint8Array(16).fill(0xff), 0, 23, 2, 0, 9, 0, 0);

test('[C231] a malformed UPDATE is logged with what is wrong, its routes and all of its bytes, with every outcome (RFC 7606 §8)', (t) => {
	const log = recordingLogger();
	const peer = bench(log).peer('a');
	peer.sendBytes(badMed);
	peer.sendBytes(badAggregate);
	t.throws(() => peer.sendBytes(badLengths));
	const hex = (message: Uint8Array) => Buffer.from(message).toString('hex');
	t.like(said(log), [
		{ peer: 'a', remedy: 'treat-as-withdraw', count: 1, routes: ['10.1.1.0/24'], hex: hex(badMed) },
		{ peer: 'a', remedy: 'attribute-discard', count: 1, routes: ['10.1.2.0/24'], hex: hex(badAggregate) },
		{ peer: 'a', remedy: 'session-reset', count: 1, hex: hex(badLengths) },
	]);
	t.true(said(log).every((fields) => Array.isArray(fields?.['problems']) && fields['problems'].length === 1));
});

test('[C231] a peer that sends nothing else is logged ever less often, and counted each time', (t) => {
	const log = recordingLogger();
	const rib = bench(log);
	const peer = rib.peer('a');
	for (let index = 0; index < 100; index++) peer.sendBytes(badMed);
	for (let index = 0; index < 5; index++) peer.sendBytes(badAggregate);
	t.deepEqual(
		said(log).map((fields) => fields?.['count']),
		[1, 2, 4, 8, 16, 32, 64, 1, 2, 4],
	);
	t.deepEqual(rib.rib.malformed('a'), { treatedAsWithdraw: 100, attributesDiscarded: 5 });
	peer.end();
	t.is(rib.rib.malformed('a'), undefined);
});

test('[C231] a withdrawal of everything in its place is logged, too, where the block is judged as a whole', (t) => {
	const log = recordingLogger();
	const peer = bench(log).peer('a');
	// MP_REACH_NLRI with the Transitive bit.
	peer.sendBytes(
		update(
			`c00e1d 0002 01 10 ${'20010db8000000000000000000000001'} 00 38 20010db8000100 400101 00 400200 400504 00000064`,
			'',
		),
	);
	t.like(said(log), [{ remedy: 'treat-as-withdraw', routes: ['2001:db8:1::/56'] }]);
});

test('[C231] what is well-formed is not logged', (t) => {
	const log = recordingLogger();
	const rib = bench(log);
	const peer = rib.peer('a');
	peer.announce(['10.1.0.0/24'], { communities: [1] });
	peer.withdraw(['10.1.0.0/24']);
	t.deepEqual(said(log), []);
	t.deepEqual(rib.rib.malformed('a'), { treatedAsWithdraw: 0, attributesDiscarded: 0 });
});

test('[C231] of a long message the log has what is wrong with its attributes, not with its length', (t) => {
	const log = recordingLogger();
	const peer = bench(log).peer('a');
	const block = bytes(`${mandatory} 800403 000000 d0fa1388 ${'00'.repeat(5000)}`);
	const length = 23 + block.length + 4;
	const head = [
		...new Uint8Array(16).fill(0xff),
		length >> 8,
		length & 0xff,
		2,
		0,
		0,
		block.length >> 8,
		block.length & 0xff,
	];
	peer.sendBytes(Uint8Array.of(...head, ...block, ...bytes('18 0a0101')));
	t.like(said(log), [
		{ remedy: 'treat-as-withdraw', problems: ['MULTI_EXIT_DISC is not 4 bytes'], routes: ['10.1.1.0/24'] },
	]);
});

test('[C88] the data of a NOTIFICATION is the erroneous attribute as received (RFC 4271 §6.3)', (t) => {
	const peer = bench(recordingLogger()).peer('a');
	// A next hop of 5 octets; the length in two octets, and a route behind it.
	const reach = `900e 0012 0002 01 05 20010db800 00 38 20010db8000100`;
	const error = t.throws(() => peer.sendBytes(update(`${reach} 400101 00 400200 400504 00000064`, '')), {
		instanceOf: PacketError,
	});
	t.deepEqual([error?.code, error?.subcode], [3, 9]);
	t.is(Buffer.from(error?.data ?? []).toString('hex'), reach.replaceAll(' ', ''));
});

for (const { title, reach } of [
	{
		title: 'beside MP_REACH_NLRI',
		reach: `800e1d 0002 01 10 ${'20010db8000000000000000000000001'} 00 38 20010db8000100`,
	},
	{ title: 'without any route', reach: '' },
]) {
	test(`[C93] a malformed NEXT_HOP ${title} is ignored, counted and logged (RFC 7606 §7.3)`, (t) => {
		const log = recordingLogger();
		const rib = bench(log);
		const peer = rib.peer('a');
		peer.sendBytes(update(`${reach} 400101 00 400200 400303 0a0000 400504 00000064`, ''));
		t.deepEqual(rib.rib.malformed('a'), { treatedAsWithdraw: 0, attributesDiscarded: 1 });
		t.like(said(log), [{ remedy: 'attribute-discard' }]);
		t.is(rib.rib.routes({}).length, reach === '' ? 0 : 1);
	});
}
