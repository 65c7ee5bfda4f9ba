/**
 * Capabilities, one file and one row each. What is not in the table is kept as bytes: an unknown
 * capability is no error (RFC 5492 §3).
 */
import { malformedOpen } from '../errors.ts';
import type { Reader } from '../reader.ts';
import { Writer } from '../writer.ts';
import { addPath } from './add-path.ts';
import type { CapabilityCodec, TypedCapability } from './codec.ts';
import { extendedNextHop } from './extended-next-hop.ts';
import { fourOctetAs } from './four-octet-as.ts';
import { gracefulRestart } from './graceful-restart.ts';
import { longLivedGracefulRestart } from './long-lived-graceful-restart.ts';
import { multiprotocol } from './multiprotocol.ts';
import { enhancedRouteRefresh, extendedMessage, routeRefresh } from './plain.ts';
import { role } from './role.ts';

export type { AddPathCapability, AddPathFamily } from './add-path.ts';
export type { ExtendedNextHopCapability, ExtendedNextHopFamily } from './extended-next-hop.ts';
export type { FourOctetAsCapability } from './four-octet-as.ts';
export type { GracefulRestartCapability, GracefulRestartFamily } from './graceful-restart.ts';
export type { LongLivedFamily, LongLivedGracefulRestartCapability } from './long-lived-graceful-restart.ts';
export type { MultiprotocolCapability } from './multiprotocol.ts';
export type { EnhancedRouteRefreshCapability, ExtendedMessageCapability, RouteRefreshCapability } from './plain.ts';
export type { Role, RoleCapability } from './role.ts';

/** One row per capability. */
const capabilityCodecs = [
	multiprotocol,
	routeRefresh,
	extendedNextHop,
	extendedMessage,
	role,
	gracefulRestart,
	fourOctetAs,
	addPath,
	enhancedRouteRefresh,
	longLivedGracefulRestart,
] as const;

/** A capability that this package does not know. */
export interface UnknownCapability {
	readonly type: 'unknown';
	readonly code: number;
	readonly value: Uint8Array;
}

/** What a speaker is able to do. RFC 5492. */
export type Capability = ReturnType<(typeof capabilityCodecs)[number]['decode']> | UnknownCapability;

// A row is looked up by code or type, so each gets only values of its own.
const rows = capabilityCodecs as readonly unknown[] as readonly CapabilityCodec<string, TypedCapability<string>>[];

/**
 * The next capability: code, length, value. @throws PacketError 2/0 where it is malformed or runs
 * over (RFC 5492 §5)
 */
export function decodeCapability(reader: Reader): Capability {
	const code = reader.u8();
	const value = reader.sub(reader.u8(), () => malformedOpen(`capability ${code} is too short`));
	const row = rows.find((candidate) => candidate.code === code);
	if (row === undefined) return { type: 'unknown', code, value: value.bytes() };
	const capability = row.decode(value);
	if (value.remaining > 0) throw malformedOpen(`capability ${code} is too long`);
	// The row's own value type.
	return capability as Capability;
}

/** Code, length and value of a capability. */
export function encodeCapability(capability: Capability): Uint8Array {
	const value = new Writer(16);
	const row = rows.find(({ type }) => type === capability.type);
	if (capability.type === 'unknown') value.bytes(capability.value);
	else row?.encode(value, capability);
	const code = capability.type === 'unknown' ? capability.code : (row?.code ?? 0);
	if (value.length > 255) throw new RangeError(`capability ${code} has ${value.length} bytes, 255 fit`);
	const writer = new Writer(value.length + 2);
	writer.u8(code);
	writer.u8(value.length);
	writer.bytes(value.finish());
	return writer.finish();
}

/**
 * The last capability of a type, which is the one that counts where one is sent twice (RFC 4724
 * §3).
 */
export function lastCapability<T extends Capability['type']>(
	capabilities: readonly Capability[],
	type: T,
): Extract<Capability, { type: T }> | undefined {
	// The predicate compares the discriminant.
	return capabilities.findLast(
		(capability): capability is Extract<Capability, { type: T }> => capability.type === type,
	);
}
