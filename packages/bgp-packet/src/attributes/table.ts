import { AttributeFlag } from '../constants.ts';
import type { Remedy } from '../errors.ts';
import { aggregator, as4Aggregator } from './aggregator.ts';
import { as4Path, asPath } from './as-path.ts';
import { atomicAggregate } from './atomic-aggregate.ts';
import { clusterList } from './cluster-list.ts';
import type { AttributeCodec, Fault, Refusal } from './codec.ts';
import { communities } from './communities.ts';
import { extendedCommunities, ipv6ExtendedCommunities } from './extended-communities.ts';
import { largeCommunities } from './large-communities.ts';
import { localPref } from './local-pref.ts';
import { med } from './med.ts';
import { mpReach } from './mp-reach.ts';
import { mpUnreach } from './mp-unreach.ts';
import { nextHop } from './next-hop.ts';
import { onlyToCustomer } from './only-to-customer.ts';
import { origin } from './origin.ts';
import { originatorId } from './originator-id.ts';

/**
 * One row per attribute, in the order of sending: MP attributes first (RFC 7606 §5.1), then by
 * code.
 */
export const attributeCodecs = [
	mpReach,
	mpUnreach,
	origin,
	asPath,
	nextHop,
	med,
	localPref,
	atomicAggregate,
	aggregator,
	communities,
	originatorId,
	clusterList,
	extendedCommunities,
	as4Path,
	as4Aggregator,
	ipv6ExtendedCommunities,
	largeCommunities,
	onlyToCustomer,
] as const;

type Row = (typeof attributeCodecs)[number];

/**
 * An attribute that this package does not decode, as received; `passedOn` decides its fate (RFC
 * 4271 §5).
 */
export interface UnknownAttribute {
	readonly code: number;
	/** Optional, Transitive and Partial. */
	readonly flags: number;
	readonly value: Uint8Array;
}

/** Each attribute of the table under its name, as one message holds it. */
export type WireAttributes = { readonly [R in Row as R['name']]?: ReturnType<R['decode']> } & {
	/** Optional ones, ascending by code. */
	readonly unknown?: readonly UnknownAttribute[];
	/**
	 * Codes of known attributes that came with the Partial bit, which is never cleared (RFC 4271 §5),
	 * ascending.
	 */
	readonly partial?: readonly number[];
};

/** The attributes of a route, AS numbers already as of RFC 6793 §4.2.3. */
export type PathAttributes = Omit<WireAttributes, 'as4Path' | 'as4Aggregator'>;

/** RFC 4271 §4.3: the lower four bits have no meaning; they are sent as 0. */
export const unusedFlags = 0x0f;

/**
 * A row without its types, for loops over the table. All have one shape, which keeps the walk over
 * bytes fast.
 */
export interface AnyCodec
	extends Pick<AttributeCodec<Row['name'], unknown>, 'name' | 'code' | 'flags' | 'check' | 'decode' | 'encode'> {
	readonly flagsRemedy: Remedy;
	readonly refusedFromExternal: Fault | undefined;
	readonly refusedFromFourOctetAs: Fault | undefined;
	/**
	 * Bits of the flags that are not to be sent: the lower ones, and Partial where it has no meaning
	 * (RFC 4271 §4.3).
	 */
	readonly strayFlags: number;
	readonly untidy: ((bytes: Uint8Array, start: number, end: number) => boolean) | undefined;
}

function anyCodec({
	name,
	code,
	flags,
	flagsRemedy = 'treat-as-withdraw',
	refused,
	check,
	untidy,
	decode,
	encode,
}: AttributeCodec<Row['name'], unknown>): AnyCodec {
	const mayBePartial = flags === (AttributeFlag.optional | AttributeFlag.transitive);
	const strayFlags = unusedFlags | (mayBePartial ? 0 : AttributeFlag.partial);
	const refusal = (sender: Refusal['sender']) => (refused?.sender === sender ? refused.fault : undefined);
	const refusals = { refusedFromExternal: refusal('external'), refusedFromFourOctetAs: refusal('four-octet-as') };
	return { name, code, flags, flagsRemedy, ...refusals, strayFlags, untidy, check, decode, encode };
}

// A row is looked up by the code that stands beside the bytes: each `encode` gets only what its own
// `decode` made.
const rows = (attributeCodecs as readonly unknown[] as readonly AttributeCodec<Row['name'], unknown>[]).map(anyCodec);

/** The table by code. */
export const codecByCode: readonly (AnyCodec | undefined)[] = Array.from({ length: 256 }, (_, code) =>
	rows.find((row) => row.code === code),
);
