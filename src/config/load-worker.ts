/**
 * The thread that parses a large configuration, so that the daemon's main thread is free meanwhile.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ConfigError } from './errors.ts';
import { parseConfig } from './parse.ts';
import { type ConfigPart, partsOf } from './transfer.ts';

/** The input of the thread. */
export interface LoadRequest {
	readonly text: string;
	readonly fileName: string;
}

function* answer({ text, fileName }: LoadRequest): Generator<ConfigPart, void, void> {
	try {
		yield* partsOf(parseConfig(text, fileName));
	} catch (error) {
		if (error instanceof ConfigError) yield { type: 'refused', problems: error.problems };
		else yield { type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
	}
}

if (parentPort !== null) {
	const port = parentPort;
	// The daemon starts this thread with a LoadRequest.
	const parts = answer(workerData as LoadRequest);
	const next = () => {
		const { value, done } = parts.next();
		if (done === true) port.close();
		else port.postMessage(value);
	};
	// Each message from the daemon requests the next part, so that one turn processes at most one
	// part.
	port.on('message', next);
	next();
}
