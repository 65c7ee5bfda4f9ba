/**
 * `golden/messages.ndjson`: on each line a title, the bytes and the value of one message. Both directions are checked; with
 * UPDATE_GOLDEN=1 the values are written anew from the bytes, and the difference is reviewed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

import { decodeMessage, encodeMessage, type Message, type PacketContext, packetContext } from '../src/index.ts';
import { bytes, hex } from './support.ts';

interface GoldenLine {
	readonly title: string;
	/** What of the context is not the default: path identifiers and IPv6 next hops are for all families or none. */
	readonly context?: {
		readonly fourOctetAs?: boolean;
		readonly external?: boolean;
		readonly addPath?: boolean;
		readonly extendedNextHop?: boolean;
	};
	readonly hex: string;
	readonly message: unknown;
}

const file = join(dirname(fileURLToPath(import.meta.url)), '../../test/golden/messages.ndjson');

/** Bytes are written as `{ "hex": ... }`. */
const toJson = (_key: string, value: unknown) => (value instanceof Uint8Array ? { hex: hex(value) } : value);

function fromJson(_key: string, value: unknown): unknown {
	const isBytes =
		typeof value === 'object' &&
		value !== null &&
		'hex' in value &&
		typeof value.hex === 'string' &&
		Object.keys(value).length === 1;
	return isBytes ? bytes(String(value.hex)) : value;
}

function contextOf({ context = {} }: GoldenLine): PacketContext {
	const { addPath = false, extendedNextHop = false, ...plain } = context;
	return packetContext({ ...plain, addPath: () => addPath, extendedNextHop: () => extendedNextHop });
}

// The file is ours, and has this shape.
const read = () =>
	readFileSync(file, 'utf8')
		.trimEnd()
		.split('\n')
		.map((line) => JSON.parse(line) as GoldenLine);

if (process.env['UPDATE_GOLDEN'] === '1') {
	const renewed = read().map((line) =>
		JSON.stringify({ ...line, message: decodeMessage(bytes(line.hex), contextOf(line)) }, toJson),
	);
	writeFileSync(file, `${renewed.join('\n')}\n`);
}

for (const line of read()) {
	const message = JSON.parse(JSON.stringify(line.message), fromJson) as Message;
	test(`golden: ${line.title} decodes to its value`, (t) =>
		t.deepEqual(decodeMessage(bytes(line.hex), contextOf(line)), message));
	test(`golden: ${line.title} encodes to its bytes`, (t) =>
		t.is(hex(encodeMessage(message, contextOf(line))), line.hex));
}
