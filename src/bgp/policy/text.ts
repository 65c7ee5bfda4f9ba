import { type AsPath, type LargeCommunity, WellKnownCommunity } from 'bgp-packet';
import { extendedCommunityExpected, parseExtendedCommunity } from '../../core/index.ts';

/** Text that is no community; `text` is the input. */
export class CommunityError extends Error {
	override readonly name = 'CommunityError';
	readonly text: string;

	constructor(text: string, expected: string) {
		super(`'${text}' is not ${expected}`);
		this.text = text;
	}
}

/** Names of well-known communities. */
const names: Readonly<Record<string, number>> = {
	'graceful-shutdown': WellKnownCommunity.gracefulShutdown,
	'llgr-stale': WellKnownCommunity.llgrStale,
	'no-llgr': WellKnownCommunity.noLlgr,
	blackhole: WellKnownCommunity.blackhole,
	'no-export': WellKnownCommunity.noExport,
	'no-advertise': WellKnownCommunity.noAdvertise,
	'no-export-subconfed': WellKnownCommunity.noExportSubconfed,
	'no-peer': WellKnownCommunity.noPeer,
	'accept-own': WellKnownCommunity.acceptOwn,
};

/**
 * `65000:100`, or the name of a well-known community, as an unsigned 32-bit number. @throws
 * CommunityError
 */
export function parseCommunity(text: string): number {
	const named = names[text];
	if (named !== undefined) return named;
	const [high, low] = numbers(text, 2, 0xffff) ?? [];
	if (high === undefined || low === undefined) throw new CommunityError(text, 'a community such as 65000:100');
	return high * 0x1_0000 + low;
}

/** `65000:1:2`. @throws CommunityError */
export function parseLargeCommunity(text: string): LargeCommunity {
	const [global, first, second] = numbers(text, 3, 0xffff_ffff) ?? [];
	if (global === undefined || first === undefined || second === undefined)
		throw new CommunityError(text, 'a large community such as 65000:1:2');
	return [global, first, second];
}

/** The reason why this text, of two or three numbers, is no community; `undefined`: valid. */
export function communityProblem(text: string): string | undefined {
	try {
		if (text.split(':').length === 3) parseLargeCommunity(text);
		else parseCommunity(text);
		return undefined;
	} catch (error) {
		if (error instanceof CommunityError) return error.message;
		throw error;
	}
}

/** The eight octets of `rt:65000:100` and similar forms. @throws CommunityError */
export function readExtendedCommunity(text: string): Uint8Array {
	const bytes = parseExtendedCommunity(text);
	if (bytes === undefined) throw new CommunityError(text, extendedCommunityExpected);
	return bytes;
}

/** `65000:100`. */
export function formatCommunity(value: number): string {
	return `${value >>> 16}:${value & 0xffff}`;
}

/** `64999 65001 {65002 65003}`; confederation segments in parentheses and brackets. */
export function formatAsPath(path: AsPath): string {
	return path
		.map(({ type, asNumbers }) => {
			const text = asNumbers.join(' ');
			switch (type) {
				case 'sequence':
					return text;
				case 'set':
					return `{${text}}`;
				case 'confed-sequence':
					return `(${text})`;
				case 'confed-set':
					return `[${text}]`;
				default:
					return type satisfies never;
			}
		})
		.join(' ');
}

function numbers(text: string, count: number, most: number): number[] | undefined {
	const parts = text.split(':');
	if (parts.length !== count || !parts.every((part) => /^(0|[1-9]\d*)$/.test(part) && Number(part) <= most))
		return undefined;
	return parts.map(Number);
}
