import type { ServerResponse } from 'node:http';

const mostBufferedBytes = 4 << 20;

/** Sends values as lines of JSON until the reader goes. A reader that is too slow loses lines and is told how many. */
export function streamLines<T>(response: ServerResponse, start: (send: (value: T) => void, signal: AbortSignal) => void, lost: (count: number) => T): void {
	const ended = new AbortController();
	let left = 0;
	const write = (value: T) => response.write(`${JSON.stringify(value)}\n`);
	const send = (value: T) => {
		if (ended.signal.aborted) return;
		if (response.writableLength > mostBufferedBytes) {
			left++;
			return;
		}
		if (left > 0) write(lost(left));
		left = 0;
		write(value);
	};
	response.setHeader('content-type', 'application/x-ndjson');
	response.flushHeaders();
	response.once('close', () => ended.abort());
	start(send, ended.signal);
}
