import { z } from 'zod';
import {
	AddressError,
	canonicalAddress,
	extendedCommunityExpected,
	formatAddress,
	type PrefixKey,
	parseAddress,
	parseExtendedCommunity,
	prefixKey,
} from '../core/index.ts';
import { expects } from './keys.ts';

/**
 * Text that `read` converts to a value or refuses with an AddressError; its message is shown to the
 * user.
 */
function text<T>(expected: string, read: (text: string) => T) {
	const parsed = expects(z.string(), expected).transform((value, context): T => {
		try {
			return read(value);
		} catch (error) {
			if (!(error instanceof AddressError)) throw error;
			context.addIssue({ code: 'custom', message: error.message, input: value });
			return z.NEVER;
		}
	});
	return expects(parsed, expected);
}

const addressOf = (family: 'ipv4' | 'ipv6', expected: string) => (given: string) => {
	const address = parseAddress(given);
	if (address.family !== family) throw new AddressError(given, expected);
	return formatAddress(address.bytes);
};

/** An address in canonical text. */
export const address = text('an IPv4 or IPv6 address', canonicalAddress);
export const ipv4Address = text('an IPv4 address', addressOf('ipv4', 'an IPv4 address'));
export const ipv6Address = text('an IPv6 address', addressOf('ipv6', 'an IPv6 address'));
/** A prefix in canonical text; host bits are refused. */
export const prefix = text<PrefixKey>('a prefix such as 10.0.0.0/26', (given) => prefixKey(given));

/**
 * A router or cluster ID: 32 bits, written as an IPv4 address or as a number; not zero. RFC 6286
 * §2.1.
 */
export const routerId = expects(
	z.union([z.int().min(1).max(0xffff_ffff), z.string()]).transform((given, context): string => {
		const text = typeof given === 'number' ? [24, 16, 8, 0].map((shift) => (given >>> shift) & 255).join('.') : given;
		if (
			/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text) &&
			text.split('.').every((part) => Number(part) < 256) &&
			text !== '0.0.0.0'
		)
			return text;
		context.addIssue({ code: 'custom', message: 'no identifier', input: given });
		return z.NEVER;
	}),
	'an identifier such as 10.0.1.2, not 0.0.0.0',
);

/** An AS number as a decimal, or high and low half with a dot (RFC 5396 asdot, `1.10`). */
export const asNumber = expects(
	z.union([z.int(), z.string()]).transform((given, context): number => {
		const [high, low, ...more] = typeof given === 'string' ? given.split('.').map(half) : [given];
		const value = low === undefined ? (high ?? 0) : (high ?? 0) * 0x1_0000 + low;
		const halves = low === undefined || ((high ?? 0) <= 0xffff && low <= 0xffff);
		// RFC 7607: 0 is reserved; RFC 7300: the last ones are reserved.
		if (more.length === 0 && halves && value >= 1 && value < 0xffff_ffff && value !== 0xffff) return value;
		context.addIssue({ code: 'custom', message: 'no AS number', input: given });
		return z.NEVER;
	}),
	'an AS number, 1 to 4294967294 except 65535, or asdot such as 1.10',
);

const half = (digits: string): number => (/^(0|[1-9]\d{0,9})$/.test(digits) ? Number(digits) : Number.NaN);

/** A whole number within bounds, with its unit for the message. */
export const integer = (least: number, most: number, unit = '') =>
	expects(z.int().min(least).max(most), `${unit === '' ? 'a whole number' : unit}, ${least} to ${most}`);

/** RFC 4271 §4.2: 0 for none, or at least three. */
export const holdTimeSeconds = expects(
	z
		.int()
		.min(0)
		.max(65535)
		.refine((value) => value === 0 || value >= 3),
	'seconds, 0 or 3 to 65535',
);
export const port = integer(1, 65535, 'a TCP port');
export const flag = expects(z.boolean(), 'true or false');
export const word = expects(z.string().regex(/^\S+$/), 'a word without spaces');
/** A pattern over the names of network interfaces. */
export const interfacePattern = expects(z.string().regex(/^\S+$/), 'a pattern such as eth* or eth?');
export const sentence = expects(z.string(), 'text');
export const path = expects(z.string().regex(/^\//), 'an absolute path');

/**
 * `sun_path` has 108 bytes, including the terminating zero (unix(7)); the runtime truncates longer
 * paths silently.
 */
const mostSocketPathBytes = 107;
export const socketPath = expects(
	z
		.string()
		.regex(/^\//)
		.refine((text) => Buffer.byteLength(text) <= mostSocketPathBytes),
	`an absolute path of at most ${mostSocketPathBytes} bytes`,
);

/** One of a few words. */
export const oneOf = <const W extends readonly [string, ...string[]]>(...words: W) =>
	expects(z.enum(words), oneOfText(words));

function oneOfText(words: readonly string[]): string {
	return words.length === 1 ? `${words[0]}` : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** A list; `what` names its elements. */
export const list = <S extends z.core.$ZodType>(element: S, what: string) =>
	expects(z.array(element), `a list of ${what}`);

const community16 = (part: string) => half(part) <= 0xffff;
/** RFC 1997: two halves, or the name of a well-known one. */
export const community = expects(
	z.string().refine((given) => {
		const parts = given.split(':');
		return (parts.length === 2 && parts.every(community16)) || wellKnown.test(given);
	}),
	'a community such as 65000:100, or a well-known name such as no-export',
);
const wellKnown =
	/^(graceful-shutdown|accept-own|llgr-stale|no-llgr|blackhole|no-export|no-advertise|no-export-subconfed|no-peer)$/;
/** RFC 8092: three numbers of 32 bits. */
export const largeCommunity = expects(
	z.string().refine((given) => {
		const parts = given.split(':');
		return parts.length === 3 && parts.every((part) => half(part) <= 0xffff_ffff);
	}),
	'a large community such as 65000:1:2',
);
/** RFC 4360, RFC 5668: a route target or origin, or eight octets in hex. */
export const extendedCommunity = expects(
	z.string().refine((given) => parseExtendedCommunity(given) !== undefined),
	extendedCommunityExpected,
);
