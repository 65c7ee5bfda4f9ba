import { decodeAttributes, type PacketContext, PacketError, packetContext, validateNlri } from 'bgp-packet';

import { dataTest, readVectors, type Vector } from '../support/shared-data.ts';
import { frameOf, fromHex, outcome, withHeader } from './session-context.ts';

const file = 'vectors/netgauze.jsonl';

/**
 * The suite's context: its arguments name AS numbers of 4 octets and families with path
 * identifiers.
 */
function contextOf({ ctx, id }: Vector): PacketContext {
	const args = String(ctx['args'] ?? '');
	const addPaths = /add_path|rfc7606_attr/.test(id);
	return packetContext({
		fourOctetAs: !args.includes('asn2_default') && !/as2/.test(id),
		addPath: () => addPaths,
		extendedNextHop: () => true,
	});
}

/** Does the piece decode? */
type Judge = (bytes: Uint8Array, vector: Vector) => boolean;

const accepts = (frame: Uint8Array, context = packetContext()) => !(outcome(frame, context) instanceof PacketError);

/** One whole attribute. Discarding one counts as refusing it. */
const attribute: Judge = (bytes, vector) => decodeAttributes(bytes, contextOf(vector)).problems.length === 0;

/**
 * Length and value of the attribute `code`; the suite's second argument determines whether the
 * length has 2 octets.
 */
const valueWithLength =
	(code: number, flags: number): Judge =>
	(bytes, vector) => {
		const extended = /&\w+,\s*true/.test(String(vector.ctx['args'])) || /extended_wire/.test(String(vector.ctx['var']));
		return attribute(Uint8Array.of(flags | (extended ? 0x10 : 0), code, ...bytes), vector);
	};

const open = (parameters: Uint8Array) =>
	withHeader(1, Uint8Array.of(4, 0xfd, 0xe8, 0, 90, 10, 0, 0, 1, parameters.length, ...parameters));
const capability: Judge = (bytes) => accepts(open(Uint8Array.of(2, bytes.length, ...bytes)));
const prefixes =
	(bits: 32 | 128): Judge =>
	(bytes) =>
		validateNlri(bytes, 0, bytes.length, bits, false) === 1;

/**
 * The reader for the pieces of each test; first match counts. Sub-pieces that this package does not
 * decode separately are absent.
 */
const judges: readonly (readonly [test: RegExp, judge: Judge])[] = [
	[
		/^capabilities\/test_extended_next_hop_encodings\//,
		(bytes, vector) => capability(Uint8Array.of(5, ...bytes), vector),
	],
	[
		/^capabilities\/test_extended_next_hop_encoding\//,
		(bytes, vector) => capability(Uint8Array.of(5, bytes.length, ...bytes), vector),
	],
	[/^capabilities\//, capability],
	[/^path_attribute\/test_origin_value\//, valueWithLength(1, 0x40)],
	[
		/^path_attribute\/test_as[24]_path_segment\//,
		(bytes, vector) => attribute(Uint8Array.of(0x40, 2, bytes.length, ...bytes), vector),
	],
	[/^path_attribute\/test_as[24]_path_segments\//, valueWithLength(2, 0x40)],
	[/^path_attribute\/test_next_hop\//, valueWithLength(3, 0x40)],
	[/^path_attribute\/test_multi_exit_discriminator\//, valueWithLength(4, 0x80)],
	[/^path_attribute\/test_local_preference\//, valueWithLength(5, 0x40)],
	[/^path_attribute\/test_atomic_aggregate\//, valueWithLength(6, 0x40)],
	[/^path_attribute\/test_as[24]_aggregator\//, valueWithLength(7, 0xc0)],
	[/^path_attribute\/test_mp_reach_nlri_ip(v6\/|v4_ipv6|v4_mpls)/, valueWithLength(14, 0x80)],
	[
		/^path_attribute\/test_unknown_attribute\//,
		(bytes, vector) => attribute(Uint8Array.of(vector.id.includes('extended') ? 0xd0 : 0xc0, ...bytes), vector),
	],
	[/^path_attribute\/(?!test_segment_identifier)/, attribute],
	[/^nlri\/test_ipv6_(uni|multi)cast\//, prefixes(128)],
	[/^nlri\/test_ipv4_(uni|multi)cast\//, prefixes(32)],
	[/^update\/test_(withdraw_route|ipv4_nlri)\//, prefixes(32)],
	[/^open\//, (bytes) => accepts(withHeader(1, bytes))],
	[
		/^route_refresh\/|^mod\/test_bgp_message_route_refresh\//,
		(bytes) => accepts(withHeader(5, bytes), packetContext({ enhancedRefresh: true })),
	],
	[/^mod\/test_bgp_message_not_synchronized_marker\//, (bytes) => accepts(Uint8Array.of(...bytes, 0, 19, 4))],
	[/^notification\/test_bgp_notification_/, (bytes) => accepts(withHeader(3, bytes))],
];

/** Deviations of the suite from the RFCs. */
const otherwise: readonly (readonly [id: RegExp, why: string])[] = [
	[
		/bad_multicast|test_ipv[46]_multicast\/bad_unicast|nlri_ipv[46]_(uni|multi)cast\/invalid/,
		'RFC 4271 §6.3: a prefix that makes no sense is ignored, the message stands',
	],
	[/test_parse_add_path\/bad_send_receive/, 'RFC 7911 §4: the entry is ignored'],
	[/bgp_role_capability\/undefined_role/, 'RFC 9234 §4.2: matches no role'],
	[/invalid_afi|invalid_safi/, 'RFC 4760 §6: a family that is not known is carried as bytes'],
	[/fqdn_capability_invalid_utf8/, 'RFC 5492 §3: an unknown capability is ignored'],
	[/bad_undefined|route_refresh\/bad_payload/, 'RFC 4271 §6.4, RFC 7313 §5: codes that are not known are no error'],
	[/communities\/good_zero_wire/, 'RFC 7606 §7.8: an empty COMMUNITIES is malformed'],
	[
		/as4_path_transitional\/good_wire_(extended|partial)/,
		'RFC 6793 §4.1: AS4_PATH between speakers of 4-octet AS numbers is dropped',
	],
	[/test_open_bad_capability_params\/cap_ignored/, 'the suite shows what is left of an OPEN it mended'],
	[/test_mp_reach_multi_labels/, 'a labelled VPN route, carried as bytes'],
	[/test_bgp_rfc7606_attr/, 'RFC 4271 §4.3: the low bits of the flags are ignored'],
];

dataTest(`${file}: pieces decode or fail as in the suite, except where the RFCs differ`, file, (t, path) => {
	const failures: string[] = [];
	const unread: string[] = [];
	let judged = 0;
	for (const vector of readVectors(path)) {
		const name = vector.id.replace('netgauze/', '');
		const judge =
			vector.kind === 'message'
				? (_bytes: Uint8Array, whole: Vector) => accepts(frameOf(whole), contextOf(whole))
				: judges.find(([id]) => id.test(name))?.[1];
		if (judge === undefined) {
			unread.push(name);
			continue;
		}
		judged++;
		const expected = vector.class !== 'error';
		const decodes = judge(fromHex(vector.hex), vector);
		const exception = otherwise.some(([id]) => id.test(vector.id));
		if (decodes !== expected && !exception)
			failures.push(`${vector.id} ${vector.hex}: ${decodes ? 'decodes' : 'fails'}`);
	}
	t.deepEqual(failures, []);
	t.log(`${judged} judged, ${unread.length} pieces of what is carried as bytes`);
	// Only pieces of communities, NOTIFICATION data, and routes of families carried as bytes
	// have no reader.
	t.deepEqual(
		unread.filter(
			(name) => !/^(community|nlri|bgp_ls|notification|update|path_attribute\/test_segment_identifier)/.test(name),
		),
		[],
	);
});
