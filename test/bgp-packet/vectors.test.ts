import { isDeepStrictEqual } from 'node:util';
import {
	encodeMessage,
	type Message,
	type PacketContext,
	PacketError,
	packetContext,
	strongestRemedy,
} from 'bgp-packet';

import { formatPrefix } from '../../src/core/index.ts';
import { dataTest, readVectors, sharedDataFiles } from '../support/shared-data.ts';
import { exabgpContext, frameOf, outcome, Streams } from './session-context.ts';

const withoutProblems = (message: Message) => (message.type === 'update' ? { ...message, problems: [] } : message);

/** The error of encoding a message and reading it back; `undefined` if there is none. */
function roundTripFailure(message: Message, context: PacketContext): string | undefined {
	const again = outcome(encodeMessage(message, context), context);
	if (again instanceof PacketError) return `does not decode after encoding: ${again.message}`;
	return isDeepStrictEqual(withoutProblems(again), withoutProblems(message))
		? undefined
		: 'is another message after encoding';
}

/**
 * Messages that violate the RFCs, with their error handling: `code/subcode` of the NOTIFICATION, or
 * the treatment of the UPDATE. Matched by the end of the id, so that further captures of the same
 * kind are judged only by the rules.
 */
const wrong: readonly { readonly id: RegExp; readonly deserves: string; readonly why: string }[] = [
	{
		id: /^exabgp\/conf-generic-attribute\//,
		deserves: '3/2',
		why: 'attribute 0x99 with flags 0x60 or 0x70 claims to be well-known',
	},
	{ id: /bgp-infinite-loop\.pcap/, deserves: '1/2', why: 'an UPDATE of 19 bytes' },
	{ id: /bgp_mp_reach_nlri-oobr\.pcap/, deserves: '3/1', why: 'a length that exceeds the message' },
	{ id: /evpn_(nlri|esi)_.*\.pcap/, deserves: 'treat-as-withdraw', why: 'routes without ORIGIN and AS_PATH' },
	{ id: /bgpsec.*\.pcap/, deserves: 'treat-as-withdraw', why: 'no AS_PATH: BGPsec is not supported' },
	{
		id: /bgp-(aigp-2|rt-prefix)\.pcap/,
		deserves: 'attribute-discard',
		why: 'NEXT_HOP 0.0.0.0 beside MP_REACH_NLRI: ignored and counted (RFC 4760 §3, RFC 7606 §7.3)',
	},
	{ id: /test_update_bad_length\//, deserves: '3/1', why: 'inconsistent lengths' },
];

function verdictOf(result: Message | PacketError): string | undefined {
	if (result instanceof PacketError) return `${result.code}/${result.subcode}`;
	return result.type === 'update' ? strongestRemedy(result.problems) : undefined;
}

for (const file of sharedDataFiles('vectors', ['.jsonl']).filter(
	(name) => !/yabgp|netgauze\.jsonl|corebgp/.test(name) || name.includes('pcap'),
)) {
	dataTest(
		`${file}: every whole message decodes or causes its error, and encodes to bytes that decode to the same`,
		file,
		(t, path) => {
			const vectors = readVectors(path);
			const streams = new Streams(vectors);
			const failures: string[] = [];
			let identical = 0;
			const messages = vectors.filter(({ kind }) => /message|-body/.test(kind));
			for (const vector of messages) {
				const wire = frameOf(vector);
				const contexts = vector.ctx['stream'] === undefined ? [exabgpContext(vector)] : streams.possible(vector);
				const tried = contexts.map((context) => ({ context, result: outcome(wire, context) }));
				const deserved = wrong.find(({ id }) => id.test(vector.id))?.deserves;
				const { context, result } = tried.find(({ result }) => verdictOf(result) === undefined) ??
					tried.find(({ result }) => verdictOf(result) === deserved) ??
					tried[0] ?? { context: packetContext(), result: undefined };
				if (result === undefined) continue;
				const verdict = verdictOf(result);
				if (verdict !== undefined && verdict !== deserved)
					failures.push(`${vector.id}: ${verdict} ${result instanceof PacketError ? result.message : ''}`);
				if (result instanceof PacketError) continue;
				if (Buffer.compare(encodeMessage(result, context), wire) === 0) identical++;
				else {
					const failure = roundTripFailure(result, context);
					if (failure !== undefined) failures.push(`${vector.id}: ${failure}`);
				}
			}
			t.deepEqual(failures, []);
			t.log(`${messages.length} messages, ${identical} of them byte for byte`);
		},
	);
}

interface ExabgpUpdate {
	readonly attribute?: Readonly<Record<string, unknown>>;
	readonly announce?: Readonly<Record<string, Readonly<Record<string, readonly { readonly nlri: string }[]>>>>;
	readonly withdraw?: Readonly<Record<string, readonly { readonly nlri: string }[]>>;
}

const unicast = (family: string) => family === 'ipv4 unicast' || family === 'ipv6 unicast';

dataTest('vectors/exabgp.jsonl: routes and attributes equal those of its JSON', 'vectors/exabgp.jsonl', (t, path) => {
	let compared = 0;
	for (const vector of readVectors(path)) {
		if (vector.scope !== 'core' || wrong.some(({ id }) => id.test(vector.id))) continue;
		// The file's README specifies the shape.
		const json = vector.expect?.['exabgp_json'] as { neighbor?: { message?: { update?: ExabgpUpdate } } } | undefined;
		const expected = json?.neighbor?.message?.update;
		if (expected === undefined) continue;
		const result = outcome(frameOf(vector), exabgpContext(vector));
		if (result instanceof PacketError || result.type !== 'update') {
			t.fail(vector.id);
			continue;
		}
		const { mpReach, mpUnreach, origin, localPref, med, largeCommunities, communities } = result.attributes;
		const text = (routes: readonly { bytes: Uint8Array; length: number }[]) =>
			routes.map(({ bytes, length }) => String(formatPrefix(bytes, length)));
		const announced = [...text(result.nlri), ...(mpReach?.routes.type === 'prefixes' ? text(mpReach.routes.nlri) : [])];
		const withdrawn = [
			...text(result.withdrawn),
			...(mpUnreach?.routes.type === 'prefixes' ? text(mpUnreach.routes.nlri) : []),
		];
		const routesOf = (families: Readonly<Record<string, unknown>>) =>
			Object.entries(families).filter(([family]) => unicast(family));
		const toAnnounce = routesOf(expected.announce ?? {}).flatMap(([family]) =>
			Object.values(expected.announce?.[family] ?? {}).flat(),
		);
		const toWithdraw = routesOf(expected.withdraw ?? {}).flatMap(([family]) => expected.withdraw?.[family] ?? []);
		if (routesOf({ ...expected.announce, ...expected.withdraw }).length > 0) {
			t.deepEqual(announced.sort(), toAnnounce.map(({ nlri }) => nlri).sort(), vector.id);
			t.deepEqual(withdrawn.sort(), toWithdraw.map(({ nlri }) => nlri).sort(), vector.id);
		}
		const attribute = expected.attribute ?? {};
		const ours: Readonly<Record<string, unknown>> = {
			origin: origin,
			'local-preference': localPref,
			med: med,
			community: communities?.map((value) => [value >>> 16, value & 0xffff]),
			'large-community': largeCommunities,
		};
		for (const [name, value] of Object.entries(attribute))
			if (name in ours) t.deepEqual(ours[name], value, `${vector.id} ${name}`);
		compared++;
	}
	t.true(compared > 0);
	t.log(`${compared} updates compared`);
});
