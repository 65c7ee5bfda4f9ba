import { readFileSync } from 'node:fs';
import {
	type Capability,
	decodeMessage,
	lastCapability,
	type Message,
	type PacketContext,
	PacketError,
	packetContext,
} from 'bgp-packet';

import { sharedDataPath, type Vector } from '../support/shared-data.ts';

/** Bytes from hex digits. */
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** A vector as a whole message. */
export function frameOf({ kind, hex }: Vector): Uint8Array {
	const bytes = fromHex(hex);
	if (kind === 'message' || kind === 'truncated-message') return bytes;
	return withHeader(kind === 'open-body' ? 1 : 2, bytes);
}

/** A message from its type and body. */
export function withHeader(type: number, body: Uint8Array): Uint8Array {
	const length = body.length + 19;
	return Uint8Array.of(...Array.from({ length: 16 }, () => 0xff), length >> 8, length, type, ...body);
}

/** The result of decoding: a message, or the error; any other exception is passed on. */
export function outcome(frame: Uint8Array, context: PacketContext): Message | PacketError {
	try {
		return decodeMessage(frame, context);
	} catch (error) {
		if (error instanceof PacketError) return error;
		throw error;
	}
}

const streamOf = ({ source, ctx }: Vector, reversed = false) => {
	const ends = String(ctx['stream']).split('>');
	return `${source} ${(reversed ? ends.reverse() : ends).join('>')}`;
};

/**
 * Contexts of captured messages: the result of the OPENs of both directions of their connection.
 */
export class Streams {
	readonly #capabilities = new Map<string, readonly Capability[]>();

	constructor(vectors: readonly Vector[]) {
		for (const vector of vectors) {
			const message = vector.kind === 'message' ? outcome(fromHex(vector.hex), packetContext()) : undefined;
			if (message instanceof PacketError || message?.type !== 'open') continue;
			this.#capabilities.set(streamOf(vector), message.capabilities);
		}
	}

	/**
	 * Every context that the OPENs permit: one if both are known, more if one or both were not
	 * captured.
	 */
	possible(vector: Vector): PacketContext[] {
		const sender = this.#capabilities.get(streamOf(vector));
		const receiver = this.#capabilities.get(streamOf(vector, true));
		const choices = <T>(known: boolean, value: T, all: readonly T[]) => (known ? [value] : all);
		const both = sender !== undefined && receiver !== undefined;
		const has = (type: 'four-octet-as') =>
			[sender, receiver].every((side) => side === undefined || lastCapability(side, type) !== undefined);
		const nextHop = (side: readonly Capability[] | undefined, afi: number, safi: number) =>
			side === undefined ||
			(lastCapability(side, 'extended-next-hop')?.families.some((row) => row.afi === afi && row.safi === safi) ??
				false);
		const paths = (side: readonly Capability[] | undefined, mode: string, afi: number, safi: number) =>
			side === undefined ||
			(lastCapability(side, 'add-path')?.families.some(
				(row) => row.afi === afi && row.safi === safi && (row.mode === mode || row.mode === 'both'),
			) ??
				false);
		const agreed = (afi: number, safi: number) =>
			paths(sender, 'send', afi, safi) && paths(receiver, 'receive', afi, safi);
		return choices(both || !has('four-octet-as'), has('four-octet-as'), [true, false]).flatMap((fourOctetAs) =>
			choices(both, true, [false, true]).map((addPaths) =>
				packetContext({
					fourOctetAs,
					addPath: (afi, safi) => addPaths && agreed(afi, safi),
					extendedNextHop: (afi, safi) => nextHop(sender, afi, safi) && nextHop(receiver, afi, safi),
				}),
			),
		);
	}
}

/** The context of an ExaBGP vector: its configuration determines whether paths have identifiers. */
export function exabgpContext({ ctx }: Vector): PacketContext {
	const path = sharedDataPath(`exabgp/conf/${String(ctx['conf'])}`);
	const addPath = path !== undefined && ctx['conf'] !== undefined && /^\s*add-path\s/m.test(readFileSync(path, 'utf8'));
	return packetContext({ addPath: () => addPath, extendedNextHop: () => true });
}
