import {
	decodeAttributes,
	endOfRib,
	type Nlri,
	type PacketContext,
	PacketError,
	type PathAttributes,
	packetContext,
	strongestRemedy,
	validateNlri,
} from 'bgp-packet';

import { formatAddress, formatPrefix } from '../../src/core/index.ts';
import { dataTest, readVectors, type Vector } from '../support/shared-data.ts';
import { fromHex, outcome, withHeader } from './session-context.ts';

const id = (value: number) => formatAddress(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
const prefix = ({ bytes, length }: Nlri) => String(formatPrefix(bytes, length));
const listed = (routes: readonly Nlri[]) =>
	routes.map((route) =>
		route.pathId === undefined ? prefix(route) : { path_id: route.pathId, prefix: prefix(route) },
	);
const communityNames: Readonly<Record<number, string>> = { [0xffffff01]: 'NO_EXPORT', [0xffff029a]: 'BLACKHOLE' };
const segmentCodes = { set: 1, sequence: 2, 'confed-sequence': 3, 'confed-set': 4 };

/** Attributes in the form of yabgp: values under their type codes. */
function yabgpForm({
	origin,
	asPath,
	nextHop,
	med,
	localPref,
	aggregator,
	originatorId,
	clusterList,
	communities,
	largeCommunities,
}: PathAttributes): Record<string, unknown> {
	const form: Record<string, unknown> = {
		1: origin === undefined ? undefined : ['igp', 'egp', 'incomplete'].indexOf(origin),
		2: asPath?.map(({ type, asNumbers }) => [segmentCodes[type], asNumbers]),
		3: nextHop && formatAddress(nextHop),
		4: med,
		5: localPref,
		7: aggregator && [aggregator.asNumber, id(aggregator.routerId)],
		8: communities?.map((value) => communityNames[value] ?? `${value >>> 16}:${value & 0xffff}`),
		9: originatorId === undefined ? undefined : id(originatorId),
		10: clusterList?.map(id),
		32: largeCommunities?.map((value) => value.join(':')),
	};
	return Object.fromEntries(Object.entries(form).filter(([, value]) => value !== undefined));
}

/** The attribute of each yabgp component, with its flags. */
const components: Readonly<Record<string, readonly [code: number, flags: number]>> = {
	aggregator: [7, 0xc0],
	aspath: [2, 0x40],
	atomicaggregate: [6, 0x40],
	clusterlist: [10, 0x80],
	community: [8, 0xc0],
	extcommunity: [16, 0xc0],
	large_community: [32, 0xc0],
	localpref: [5, 0x40],
	med: [4, 0x80],
	mpreachnlri: [14, 0x80],
	mpunreachnlri: [15, 0x80],
	nexthop: [3, 0x40],
	origin: [1, 0x40],
	originatorid: [9, 0x80],
};

/**
 * yabgp accepts 0.0.0.0 and 255.255.255.255; RFC 4271 §6.3 does not. A value of origin is named
 * there.
 */
const otherwise = /^(00000000|ffffffff)$/;

function yabgpContext({ ctx }: Vector): PacketContext {
	const call = String(ctx['call']);
	const addPaths = /ipv4': True|addpath=True|prefix_hex, True/.test(call);
	return packetContext({ fourOctetAs: /asn4=True|; True|msg_hex, True/.test(call), addPath: () => addPaths });
}

const yabgp = 'vectors/yabgp.jsonl';
dataTest(
	`${yabgp}: attributes and updates have the expected values, and malformed ones are detected`,
	yabgp,
	(t, path) => {
		let compared = 0;
		for (const vector of readVectors(path)) {
			if (vector.scope !== 'core') continue;
			const context = yabgpContext(vector);
			const bytes = fromHex(vector.hex);
			// The file's README specifies the shape.
			const expect = (vector.expect ?? {}) as { value?: unknown; path?: readonly string[]; valid?: boolean };
			const component = /attribute\/test_(\w+)$/.exec(String(vector.ctx['component']))?.[1];
			if (
				vector.kind === 'attribute-value' &&
				component !== undefined &&
				!String(vector.ctx['call']).includes('construct')
			) {
				const [code = 0, flags = 0] = components[component] ?? [];
				const { attributes, problems } = decodeAttributes(Uint8Array.of(flags, code, bytes.length, ...bytes), context);
				if (otherwise.test(vector.hex) && component === 'nexthop') {
					t.is(strongestRemedy(problems), 'treat-as-withdraw');
					continue;
				}
				t.is(problems.length > 0, expect.valid === false, vector.id);
				const value = yabgpForm(attributes)[code];
				const whole = expect.path?.length === 0 && Array.isArray(expect.value);
				if (whole && value !== undefined) t.deepEqual(value, expect.value, vector.id);
				// Every prefix and address that it names is in our result.
				if (attributes.mpReach?.routes.type === 'prefixes')
					t.true(names(expect.value, listed(attributes.mpReach.routes.nlri)), vector.id);
				if (attributes.mpUnreach?.routes.type === 'prefixes')
					t.true(names(expect.value, listed(attributes.mpUnreach.routes.nlri)), vector.id);
				compared++;
			} else if (vector.kind === 'update-body') {
				const update = outcome(withHeader(2, bytes), context);
				if (update instanceof PacketError || update.type !== 'update') t.fail(`${vector.id} ${String(update)}`);
				else {
					const parts: Readonly<Record<string, unknown>> = {
						attr: yabgpForm(update.attributes),
						withdraw: listed(update.withdrawn),
						nlri: listed(update.nlri),
					};
					t.deepEqual(parts[expect.path?.[0] ?? ''], expect.value, vector.id);
				}
				compared++;
			} else if (vector.kind === 'open-body') {
				const open = outcome(withHeader(1, bytes), context);
				if (open instanceof PacketError || open.type !== 'open') t.fail(vector.id);
				else {
					const four = open.capabilities.find((capability) => capability.type === 'four-octet-as');
					const { bgp_id, hold_time, asn } = expect.value as Readonly<Record<string, unknown>>;
					t.deepEqual(
						[id(open.routerId), open.holdTimeSeconds, four?.asNumber ?? open.asNumber],
						[bgp_id, hold_time, asn],
						vector.id,
					);
				}
				compared++;
			} else if (String(vector.ctx['call']).startsWith('Update.parse_prefix_list')) {
				t.is(validateNlri(bytes, 0, bytes.length, 32, context.addPath(1, 1)) >= 0, expect.valid !== false, vector.id);
				compared++;
			}
		}
		t.true(compared > 0);
		t.log(`${compared} compared`);
	},
);

/** Does `expected`, as text, contain each of `routes`? */
function names(expected: unknown, routes: readonly unknown[]): boolean {
	const text = JSON.stringify(expected);
	return (
		routes.length > 0 &&
		routes.every((route) =>
			text.includes(JSON.stringify(typeof route === 'string' ? route : (route as { prefix: string }).prefix)),
		)
	);
}

const corebgp = 'vectors/corebgp.jsonl';
dataTest(`${corebgp}: updates have the expected prefixes, path identifiers and error handling`, corebgp, (t, path) => {
	let compared = 0;
	for (const vector of readVectors(path)) {
		const text = String(vector.expect?.['text']);
		if (!text.startsWith('name:')) continue;
		const addPaths = text.includes('addPath: true');
		const update = outcome(withHeader(2, fromHex(vector.hex)), packetContext({ addPath: () => addPaths }));
		if (update instanceof PacketError || update.type !== 'update') {
			t.fail(vector.id);
			continue;
		}
		const remedy = text.includes('wantAsWithdraw: true')
			? 'treat-as-withdraw'
			: text.includes('wantAttrDiscard: true')
				? 'attribute-discard'
				: undefined;
		t.is(strongestRemedy(update.problems), remedy, text);
		compared++;
		if (remedy !== undefined) continue;
		const { mpReach, mpUnreach } = update.attributes;
		const inReach = mpReach?.routes.type === 'prefixes' ? mpReach.routes.nlri : [];
		const inUnreach = mpUnreach?.routes.type === 'prefixes' ? mpUnreach.routes.nlri : [];
		const routes = [...update.withdrawn, ...update.nlri, ...inReach, ...inUnreach];
		t.deepEqual(
			routes.map(prefix).sort(),
			[...text.matchAll(/MustParsePrefix\("([^"]+)"\)/g)].map((match) => String(match[1])).sort(),
			text,
		);
		const identifiers = [...text.matchAll(/(?:"\), |ID: )(\d+)/g)].map((match) => Number(match[1]));
		t.deepEqual(routes.flatMap(({ pathId }) => pathId ?? []).sort(), addPaths ? identifiers.sort() : [], text);
		if (text.includes('end-of-rib')) t.deepEqual(endOfRib(update), { afi: 2, safi: 1 });
	}
	t.true(compared > 0);
	t.log(`${compared} compared`);
});
