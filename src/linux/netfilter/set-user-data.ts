/**
 * User data of a set: for the kernel bytes without a meaning, for `nft` the types of a key that no
 * type number expresses. Parts of type, length and content; a part may contain parts. libnftnl,
 * udata.h; nftables, netlink.c and the `build_udata` of its expressions.
 */
import type { Family } from '../../core/index.ts';

/**
 * Key of a map: destination address (unless `address` is `false`), protocol, destination port and a
 * drawn number; value: an address and a port.
 */
export interface DrawnKey {
	readonly family: Family;
	readonly address: boolean;
	/** The number is below this. */
	readonly below: number;
}

const setPart = { keyTypes: 3, valueTypes: 4, isValueInterval: 6 } as const;
/** EXPR_*: kinds of expressions of nft. */
const kinds = { payload: 7, meta: 9, concatenation: 13, numgen: 23 } as const;
/** Numbers of nft for a header, and for its field with the destination. */
const destinations = {
	ipv4: { header: 12, field: 12 },
	ipv6: { header: 13, field: 9 },
	port: { header: 11, field: 2 },
} as const;
const metaProtocol = 16;
const randomNumber = 1;

/** One part. Content is at most 255 bytes long. */
export const userDataPart = (type: number, content: readonly number[]): number[] => [type, content.length, ...content];

/** A part with a number in the byte order of the machine. */
export const userDataNumber = (type: number, value: number): Uint8Array =>
	Uint8Array.from(userDataPart(type, [...new Uint8Array(Uint32Array.of(value).buffer)]));

/** Several numbers, under the types 0, 1, … */
const numbers = (...values: readonly number[]): number[] =>
	values.flatMap((value, type) => [...userDataNumber(type, value)]);

const expression = (kind: number, content: readonly number[]): number[] => [
	...userDataNumber(0, kind),
	...userDataPart(1, content),
];

const payload = (name: keyof typeof destinations): number[] =>
	expression(kinds.payload, numbers(destinations[name].header, destinations[name].field));

const concatenation = (parts: readonly (readonly number[])[]): number[] =>
	expression(
		kinds.concatenation,
		parts.flatMap((part, index) => userDataPart(index, part)),
	);

/** The parts about types of key and value, beyond byte orders. */
export function drawnKeyUserData({ family, address, below }: DrawnKey): number[] {
	const key = concatenation([
		...(address ? [payload(family)] : []),
		expression(kinds.meta, numbers(metaProtocol)),
		payload('port'),
		expression(kinds.numgen, numbers(randomNumber, below, 0)),
	]);
	const value = concatenation([payload(family), payload('port')]);
	return [
		...userDataPart(setPart.keyTypes, key),
		...userDataPart(setPart.valueTypes, value),
		...userDataNumber(setPart.isValueInterval, 0),
	];
}
