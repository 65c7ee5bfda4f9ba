import type { ServerResponse } from 'node:http';
import { Slice } from '../core/index.ts';

/** Text that is collected before it is written, in characters. */
const chunkLength = 1 << 15;

/** The reader went away before the answer was complete. No fault of anyone. */
export class ReaderGoneError extends Error {
	override readonly name = 'ReaderGoneError';
}

/**
 * Writes text that is produced piece by piece: at most a chunk is held, the event loop gets its
 * turn in between, and a reader that does not read holds the production up. `undefined` is a place
 * to pause. @throws ReaderGoneError, and what the production throws
 */
export async function sendText(response: ServerResponse, pieces: Iterable<string | undefined>): Promise<void> {
	const slice = new Slice();
	let text = '';
	for (const piece of pieces) {
		text += piece ?? '';
		if (text.length >= chunkLength) {
			await write(response, text);
			text = '';
		}
		if (!slice.isOver) continue;
		await slice.next();
		if (response.destroyed) throw new ReaderGoneError('the reader closed the connection');
	}
	response.end(text);
}

/**
 * A value that several readers may get as a line of JSON: its text is made once, when the first of
 * them takes it.
 */
export class Line<T> {
	readonly value: T;
	#text: string | undefined;

	constructor(value: T) {
		this.value = value;
	}

	get text(): string {
		this.#text ??= `${JSON.stringify(this.value)}\n`;
		return this.#text;
	}
}

/**
 * Writes lines as they come, until either side ends. A reader that does not read takes no further
 * lines from `batches`.
 */
export async function sendLines(
	response: ServerResponse,
	batches: AsyncIterable<readonly Line<unknown>[]>,
): Promise<void> {
	response.setHeader('content-type', 'application/x-ndjson');
	response.flushHeaders();
	for await (const batch of batches) await write(response, batch.map(({ text }) => text).join(''));
	response.end();
}

/** Resolves when the reader takes more. */
async function write(response: ServerResponse, text: string): Promise<void> {
	if (response.destroyed) throw new ReaderGoneError('the reader closed the connection');
	if (response.write(text)) return;
	await new Promise<void>((resolve) => {
		const go = () => {
			response.off('drain', go);
			response.off('close', go);
			resolve();
		};
		response.on('drain', go);
		response.on('close', go);
	});
	if (response.destroyed) throw new ReaderGoneError('the reader closed the connection');
}
