import { isDeepStrictEqual } from 'node:util';

import {
	AttributeScan,
	decodeMessage,
	encodeMessage,
	judgeAttributes,
	type Message,
	MessageTooLongError,
	type Nlri,
	NlriCursor,
	type PacketContext,
	PacketError,
	packetContext,
	remedyLevel,
	scanUpdate,
	strongestRemedy,
	UpdateSpans,
	validateNlri,
} from '../src/index.ts';
import { naiveLevel } from './naive.ts';

/** Contexts that differ in everything that changes how bytes are read. */
export const contexts: readonly PacketContext[] = [true, false].flatMap((fourOctetAs) =>
	[true, false].flatMap((external) =>
		[true, false].map((rich) =>
			packetContext({
				fourOctetAs,
				external,
				addPath: () => rich,
				extendedNextHop: () => rich,
				enhancedRefresh: rich,
				extendedMessage: rich,
			}),
		),
	),
);

const levels = { 'attribute-discard': 1, 'treat-as-withdraw': 2, 'session-reset': 3 } as const;
const spans = new UpdateSpans();
const scan = new AttributeScan();
const cursor = new NlriCursor();

function decodeOrError(wire: Uint8Array, context: PacketContext): Message | PacketError {
	try {
		return decodeMessage(wire, context);
	} catch (error) {
		if (error instanceof PacketError) return error;
		throw error;
	}
}

/** The verdict of the walk over bytes: its level, and `scan` filled. */
function levelOfScan(wire: Uint8Array, context: PacketContext): number {
	try {
		scanUpdate(wire, 0, wire.length, spans);
	} catch (error) {
		if (error instanceof PacketError) return 3;
		throw error;
	}
	const addPath = context.addPath(1, 1);
	if (validateNlri(wire, spans.withdrawnStart, spans.withdrawnEnd, 32, addPath) < 0) return 3;
	if (validateNlri(wire, spans.nlriStart, spans.nlriEnd, 32, addPath) < 0) return 3;
	return remedyLevel(
		judgeAttributes(wire, spans.attributesStart, spans.attributesEnd, context, scan),
		spans.nlriEnd > spans.nlriStart,
	);
}

/** The prefixes that the cursor finds, as text. */
function walked(wire: Uint8Array, start: number, end: number, addPath: boolean): string[] {
	const found: string[] = [];
	cursor.reset(wire, start, end, addPath);
	while (cursor.nextIpv4()) found.push(`${addPath ? cursor.pathId : ''} ${cursor.word0}/${cursor.length}`);
	return found;
}

const asText = ({ bytes, length, pathId }: Nlri) =>
	`${pathId ?? ''} ${new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)}/${length}`;

const withoutProblems = (message: Message) => (message.type === 'update' ? { ...message, problems: [] } : message);

/**
 * What is wrong with how a frame is treated, `undefined` if nothing: any bytes decode or raise `PacketError`; what decodes encodes to
 * what decodes to the same; the walk over bytes has the verdict, the attributes and the prefixes of the objects, and the verdict of
 * `naiveLevel`.
 */
export function disagreement(wire: Uint8Array, context: PacketContext): string | undefined {
	const result = decodeOrError(wire, context);
	const isUpdate = wire.length >= 23 && wire[18] === 2 && !(result instanceof PacketError && result.code === 1);
	if (isUpdate) {
		const level = levelOfScan(wire, context);
		const naive = naiveLevel(wire, context);
		if (level !== naive) return `by the RFC read naively the level is ${naive}, the walk has ${level}`;
		if (result instanceof PacketError) {
			if (level !== 3) return `the objects ask for a reset (${result.message}), the walk for level ${level}`;
		} else if (result.type === 'update') {
			const remedy = strongestRemedy(result.problems);
			if (level !== (remedy === undefined ? 0 : levels[remedy]))
				return `the objects ask for ${remedy}, the walk for level ${level}`;
			const addPath = context.addPath(1, 1);
			if (!isDeepStrictEqual(walked(wire, spans.nlriStart, spans.nlriEnd, addPath), result.nlri.map(asText)))
				return 'the NLRI differ';
			if (
				!isDeepStrictEqual(
					walked(wire, spans.withdrawnStart, spans.withdrawnEnd, addPath),
					result.withdrawn.map(asText),
				)
			)
				return 'the withdrawn routes differ';
			const { unknown = [], partial, ...known } = result.attributes;
			const as4 = [...scan.codes.subarray(0, scan.count)].filter((code) => code === 17 || code === 18).length;
			if (scan.count !== Object.keys(known).length + unknown.length + as4) return 'the number of attributes differs';
		}
	}
	if (result instanceof PacketError) return undefined;
	return notTheSameAgain(result, context);
}

function notTheSameAgain(message: Message, context: PacketContext): string | undefined {
	try {
		const again = decodeOrError(encodeMessage(message, context), context);
		if (again instanceof PacketError) return `does not decode after encoding: ${again.message}`;
		return isDeepStrictEqual(withoutProblems(again), withoutProblems(message))
			? undefined
			: 'is another message after encoding';
	} catch (error) {
		// AS4_PATH may be added, and an attribute that was not canonical may grow.
		if (error instanceof MessageTooLongError) return undefined;
		throw error;
	}
}
