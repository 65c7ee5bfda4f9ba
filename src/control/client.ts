import type { IncomingMessage } from 'node:http';
import {
	type AnswerOf,
	ControlError,
	type Endpoint,
	type EndpointName,
	type ErrorAnswer,
	endpoints,
	type ListedBy,
	type ListingName,
	type RequestOf,
	type StreamName,
} from './api.ts';
import { ListedReader } from './json-text.ts';

/** An answer ended before it was complete: the daemon stopped, or failed in the middle of it. */
export class CutOffError extends Error {
	override readonly name = 'CutOffError';
}

/**
 * One part of a listing: an element of its list, or at the end the answer with that list left
 * empty.
 */
export type Listed<N extends ListingName> =
	| { readonly type: 'row'; readonly row: ListedBy<N> }
	| { readonly type: 'rest'; readonly rest: AnswerOf<N> };

/** No process listens at the socket, or it may not be used. */
export class NoDaemonError extends Error {
	override readonly name = 'NoDaemonError';
	readonly socket: string;
	/** `ENOENT`, `ECONNREFUSED`, `EACCES`, ... */
	readonly code: string;

	constructor(socket: string, code: string, options?: ErrorOptions) {
		super(`no daemon answers at ${socket}: ${code}`, options);
		this.socket = socket;
		this.code = code;
	}
}

/** The control socket, typed by the table of endpoints. */
export class ControlClient {
	readonly #socket: string;

	constructor(socket: string) {
		this.#socket = socket;
	}

	/** One question, one answer. @throws ControlError as the daemon sent it, NoDaemonError */
	async ask<N extends Exclude<EndpointName, StreamName>>(name: N, parameters: RequestOf<N>): Promise<AnswerOf<N>> {
		const response = await this.#send(endpoints[name], parameters);
		const text = await bodyOf(response);
		// The daemon answers with the type of the table.
		return JSON.parse(text) as AnswerOf<N>;
	}

	/**
	 * A listing part by part, however long it is. `tap` gets its text as the daemon sends it; nothing
	 * more is read before it resolves. @throws ControlError, NoDaemonError, CutOffError
	 */
	async *list<N extends ListingName>(
		name: N,
		parameters: RequestOf<N>,
		{ signal, tap }: { readonly signal?: AbortSignal; readonly tap?: (text: string) => void | Promise<void> } = {},
	): AsyncGenerator<Listed<N>> {
		const reader = new ListedReader();
		let complete = false;
		for await (const chunk of this.text(name, parameters, signal)) {
			await tap?.(chunk);
			for (const { type, text } of reader.read(chunk)) {
				complete = type === 'rest';
				// The daemon answers with the type of the table.
				if (type === 'row') yield { type, row: JSON.parse(text) as ListedBy<N> };
				else yield { type, rest: JSON.parse(text) as AnswerOf<N> };
			}
		}
		if (!complete) throw new CutOffError('the answer ended early');
	}

	/** An answer as the daemon sends it. @throws ControlError, NoDaemonError, CutOffError */
	async *text<N extends Exclude<EndpointName, StreamName>>(
		name: N,
		parameters: RequestOf<N>,
		signal?: AbortSignal,
	): AsyncGenerator<string> {
		const response = await this.#send(endpoints[name], parameters, signal);
		response.setEncoding('utf8');
		try {
			for await (const chunk of response as AsyncIterable<string>) yield chunk;
		} catch (error) {
			if (signal?.aborted === true) throw error;
			throw new CutOffError('the answer ended early', { cause: error });
		}
	}

	/** Lines until either side ends. @throws ControlError, NoDaemonError */
	async *listen<N extends StreamName>(
		name: N,
		parameters: RequestOf<N>,
		signal?: AbortSignal,
	): AsyncGenerator<AnswerOf<N>> {
		const response = await this.#send(endpoints[name], parameters, signal);
		response.setEncoding('utf8');
		let rest = '';
		for await (const chunk of response as AsyncIterable<string>) {
			const lines = (rest + chunk).split('\n');
			rest = lines.pop() ?? '';
			for (const line of lines) yield JSON.parse(line) as AnswerOf<N>;
		}
	}

	/** Prometheus' text. */
	async metrics(): Promise<string> {
		return bodyOf(await this.#request('GET', '/metrics', undefined));
	}

	#send(
		endpoint: Endpoint,
		parameters: Readonly<Record<string, unknown>>,
		signal?: AbortSignal,
	): Promise<IncomingMessage> {
		const path = endpoint.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(parameters[name])));
		const others = Object.entries(parameters).filter(
			([name, value]) => value !== undefined && !endpoint.path.includes(`:${name}`),
		);
		if (endpoint.method === 'POST')
			return this.#request('POST', path, JSON.stringify(Object.fromEntries(others)), signal);
		const query = new URLSearchParams(
			others.map(([name, value]): [string, string] => [name, String(value)]),
		).toString();
		return this.#request('GET', query === '' ? path : `${path}?${query}`, undefined, signal);
	}

	async #request(
		method: string,
		path: string,
		body: string | undefined,
		signal?: AbortSignal,
	): Promise<IncomingMessage> {
		// Loaded here: the CNI plugin shares this module, and needs no HTTP library.
		const { request } = await import('node:http');
		const response = await new Promise<IncomingMessage>((resolve, reject) => {
			const headers =
				body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
			const outgoing = request(
				{ socketPath: this.#socket, method, path, headers, agent: false, ...(signal === undefined ? {} : { signal }) },
				resolve,
			);
			outgoing.once('error', (error: NodeJS.ErrnoException) => {
				const code = error.code ?? '';
				reject(
					['ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTSOCK', 'ECONNRESET'].includes(code)
						? new NoDaemonError(this.#socket, code, { cause: error })
						: error,
				);
			});
			outgoing.end(body);
		});
		if (response.statusCode === 200) return response;
		const text = await bodyOf(response);
		const { error } = JSON.parse(text) as ErrorAnswer;
		throw new ControlError(response.statusCode ?? 500, error.code, error.message, error.hint, error.details);
	}
}

async function bodyOf(response: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
	return Buffer.concat(chunks).toString('utf8');
}
