import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { decodeAttributes, decodeMessage, encodeMessage, type Message, PacketError, packetContext } from 'bgp-packet';

import { formatAddress, formatPrefix, parseAddress } from '../../src/core/index.ts';
import { bytes } from '../support/hex.ts';
import { type MrtRecord, readMrt, readMrtFile } from '../support/mrt.ts';
import { dataTest, sharedDataFiles, sharedDataPath } from '../support/shared-data.ts';
import { attributeText, updateLines } from './bgpdump.ts';
import { Recording } from './recording.ts';

/** Updates with an error: their attributes differ from those of the file, their prefixes do not. */
const upToPrefix = (line: string) => line.split('|').slice(0, 4).join('|');

for (const name of sharedDataFiles('mrt', ['.expect.txt.gz'])) {
	const recorded = name.replace('.expect.txt.gz', '');
	if (recorded.includes('bview')) continue;
	dataTest(
		`${recorded}: every announcement and withdrawal is the expected one, with its attributes`,
		recorded,
		(t, path) => {
			const expected = gunzipSync(readFileSync(sharedDataPath(name) ?? ''))
				.toString()
				.split('\n')
				.filter((line) => /\|[AW]\|/.test(line))
				.map((line) => line.slice(line.indexOf('|', line.indexOf('|') + 1) + 1))
				// bgpdump shortens single groups of zeros, RFC 5952 does not.
				.map((line) =>
					line.replace(/(?<=\|)[0-9a-f:.]*::[0-9a-f:.]*(?=[|/])/g, (address) =>
						formatAddress(parseAddress(address).bytes),
					),
				);
			const recording = new Recording();
			let at = 0;
			let wrong = 0;
			for (const record of readMrt(readMrtFile(path))) {
				if (record.type !== 'message' || record.message[18] !== 2) continue;
				const update = decodeMessage(record.message, recording.context(record));
				if (update.type !== 'update') continue;
				const lines = updateLines(update, `${formatAddress(record.peer.peerAddress)}|${record.peer.peerAs}`);
				const known = expected.slice(at, at + lines.length);
				at += lines.length;
				const comparable = update.problems.length > 0 ? upToPrefix : (line: string) => line;
				if (known.map(comparable).sort().join('\n') !== lines.map(comparable).sort().join('\n') && wrong++ < 5)
					t.deepEqual(lines, known);
			}
			t.is(wrong, 0);
			t.is(at, expected.length);
		},
	);
}

/** The errors that files are known to contain; every other message decodes. */
const knownErrors: Readonly<Record<string, Readonly<Record<string, number>>>> = {
	// The collector truncated its records.
	'mrt/ripe-bgpkit/rrc01/2000.11/updates.20001104.0124.gz': { '1/2': 21 },
};

const withoutProblems = (message: Message) => (message.type === 'update' ? { ...message, problems: [] } : message);

for (const name of sharedDataFiles('mrt').filter((file) => !/\.(md|rst|conf)$|\.expect\.txt/.test(file))) {
	dataTest(`${name}: every message decodes, and encodes to bytes that decode to the same`, name, (t, path) => {
		const recording = new Recording();
		const errors: Record<string, number> = {};
		let messages = 0;
		let identical = 0;
		for (const record of readMrt(readMrtFile(path))) {
			if (record.type !== 'message') continue;
			try {
				const context = recording.context(record);
				const message = decodeMessage(record.message, context);
				messages++;
				const wire = encodeMessage(message, context);
				if (Buffer.compare(wire, record.message) === 0) identical++;
				else {
					const again = withoutProblems(decodeMessage(wire, context));
					if (!isDeepStrictEqual(again, withoutProblems(message))) t.deepEqual(again, withoutProblems(message));
				}
			} catch (error) {
				if (!(error instanceof PacketError)) throw error;
				const key = `${error.code}/${error.subcode}`;
				errors[key] = (errors[key] ?? 0) + 1;
			}
		}
		t.deepEqual(errors, knownErrors[name] ?? {});
		t.log(`${messages} messages, ${identical} of them byte for byte`);
	});
}

type RibRecord = Extract<MrtRecord, { type: 'rib' }>;

/**
 * RFC 6396 §4.3.4: the MP_REACH_NLRI of a table has only next hop length and next hop. Completed
 * here, without routes.
 */
function wholeAttributes(block: Uint8Array, { afi, safi }: RibRecord): Uint8Array {
	const pieces: Uint8Array[] = [];
	for (let offset = 0; offset < block.length; ) {
		const extended = ((block[offset] ?? 0) & 0x10) !== 0;
		const valueStart = offset + (extended ? 4 : 3);
		const end =
			valueStart + (extended ? (block[offset + 2] ?? 0) * 256 + (block[offset + 3] ?? 0) : (block[offset + 2] ?? 0));
		const value = block.subarray(valueStart, end);
		const isShort = block[offset + 1] === 14 && value[0] === value.length - 1;
		pieces.push(
			isShort
				? Uint8Array.of(0x80, 14, value.length + 4, afi >> 8, afi, safi, ...value, 0)
				: block.subarray(offset, end),
		);
		offset = end;
	}
	return Buffer.concat(pieces);
}

for (const name of sharedDataFiles('mrt').filter(
	(file) => /bview|_rib/.test(file) && !file.includes('expect') && !file.endsWith('-mp'),
)) {
	dataTest(`${name}: the attributes of every route decode`, name, (t, path) => {
		let routes = 0;
		for (const record of readMrt(readMrtFile(path))) {
			t.true(record.type === 'rib' || record.type === 'peer-index' || record.type === 'unknown');
			if (record.type !== 'rib') continue;
			const context = packetContext({ fourOctetAs: record.fourOctetAs });
			for (const entry of record.entries) {
				const { attributes, problems } = decodeAttributes(wholeAttributes(entry.attributes, record), context);
				// The recorder's own routes may have none.
				const wrong =
					problems.some(({ remedy }) => remedy !== 'attribute-discard') ||
					(entry.attributes.length > 0 && attributes.origin === undefined);
				if (wrong) t.fail(`${problems.map(String).join()} in ${Buffer.from(entry.attributes).toString('hex')}`);
				routes++;
			}
		}
		t.true(routes > 0);
		t.log(`${routes} routes`);
	});
}

const addPathTable = 'mrt/bgpdump/bview.ipv4_unicast_add_path.gz';
dataTest(`${addPathTable}: every path has the expected identifier and attributes`, addPathTable, (t, path) => {
	const expected = gunzipSync(readFileSync(sharedDataPath(`${addPathTable}.expect.txt.gz`) ?? ''))
		.toString()
		.trim()
		.split('\n');
	const lines: string[] = [];
	let peers: Extract<MrtRecord, { type: 'peer-index' }>['peers'] = [];
	for (const record of readMrt(readMrtFile(path))) {
		if (record.type === 'peer-index') peers = record.peers;
		if (record.type !== 'rib') continue;
		const address = new Uint8Array(4);
		address.set(record.prefix.bytes);
		for (const { peerIndex, pathId, attributes: block } of record.entries) {
			const peer = peers[peerIndex ?? 0];
			// The output of bgpdump for a route of the recorder itself, which has no
			// attributes.
			const own = { origin: 'incomplete', nextHop: Uint8Array.of(255, 255, 255, 255) } as const;
			const attributes = block.length === 0 ? own : decodeAttributes(block, packetContext()).attributes;
			const who = peer === undefined ? '' : `${formatAddress(peer.address)}|${peer.asNumber}`;
			lines.push(
				`TABLE_DUMP2_AP|${record.timeSeconds}|B|${who}|${formatPrefix(address, record.prefix.length)}|${pathId}|${attributeText(attributes, '')}`,
			);
		}
	}
	t.deepEqual(lines, expected);
});

/** One record of TABLE_DUMP_V2. */
function tableRecord(subtype: number, body: string): Uint8Array {
	const content = bytes(body);
	return Uint8Array.of(...bytes('00000001 000d'), 0, subtype, 0, 0, 0, content.length, ...content);
}

for (const { title, subtype, head, entry, prefix, afi, addPath } of [
	{
		title: 'IPv4',
		subtype: 6,
		head: '0001 01 18 0a0105',
		entry: '0000 00000002 0004 40010100',
		prefix: '10.1.5.0/24',
		afi: 1,
		addPath: false,
	},
	{
		title: 'IPv6',
		subtype: 6,
		head: '0002 01 20 20010db8',
		entry: '0000 00000002 0004 40010100',
		prefix: '2001:db8::/32',
		afi: 2,
		addPath: false,
	},
	{
		title: 'identified paths',
		subtype: 12,
		head: '0001 01 18 0a0105',
		entry: '0000 00000002 00000007 0004 40010100',
		prefix: '10.1.5.0/24',
		afi: 1,
		addPath: true,
	},
]) {
	test(`RIB_GENERIC of ${title} is read like the family's own record`, (t) => {
		const [record] = readMrt(tableRecord(subtype, `00000009 ${head} 0001 ${entry}`));
		t.like(record, {
			type: 'rib',
			afi,
			safi: 1,
			addPath,
			entries: [{ peerIndex: 0, originatedSeconds: 2, pathId: addPath ? 7 : undefined, attributes: bytes('40010100') }],
		});
		t.is(
			record?.type === 'rib'
				? formatPrefix(
						Uint8Array.of(...record.prefix.bytes, ...new Uint8Array(16)).slice(0, afi === 1 ? 4 : 16),
						record.prefix.length,
					)
				: '',
			prefix,
		);
	});
}

test('RIB_GENERIC of an unsupported family is reported as unknown, a truncated one as damaged', (t) => {
	const kinds = ['00000009 0001 80 58 000000000000000000', '00000009 0001 01 18 0a0105 0002 0000'].map(
		(body) => [...readMrt(tableRecord(6, body))][0]?.type,
	);
	t.deepEqual(kinds, ['unknown', 'damaged']);
});
