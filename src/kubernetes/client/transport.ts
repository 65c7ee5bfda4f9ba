import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isObject, JsonSyntaxError, type JsonValue, parseJson } from '../../json/index.ts';
import type { Credentials } from './credentials.ts';
import { ApiError, ApiUnreachableError, statusError } from './errors.ts';

/** One request on the wire. */
export interface ApiRequest {
	readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	/** With a leading slash. */
	readonly path: string;
	readonly query?: Readonly<Record<string, string | undefined>>;
	readonly body?: string;
	readonly contentType?: string;
	/** Default: `application/json`. */
	readonly accept?: string | undefined;
	readonly signal?: AbortSignal | undefined;
	/**
	 * Without any data for this time the connection counts as broken. For a watch the limit applies
	 * only until the response starts.
	 */
	readonly timeoutMs: number;
	/** A watch uses its own connection for minutes, outside the shared ones, and may be silent. */
	readonly use?: 'request' | 'watch';
}

const userAgent = 'bgpmesh';
/** TCP keepalive time of a watch connection without data, in milliseconds. */
const keepAliveMs = 15_000;

/**
 * Sends one request and returns the response stream; any status except 2xx is an error. @throws
 * ApiError, ApiUnreachableError
 */
export async function send(
	credentials: Credentials,
	{
		method,
		path,
		query = {},
		body,
		contentType,
		accept = 'application/json',
		signal,
		timeoutMs,
		use = 'request',
	}: ApiRequest,
): Promise<IncomingMessage> {
	const { agent, headers } = await credentials.options(use);
	const url = new URL(credentials.server + path);
	for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
	const request = url.protocol === 'http:' ? httpRequest : httpsRequest;
	const response = await new Promise<IncomingMessage>((resolve, reject) => {
		const outgoing = request(
			url,
			{
				method,
				...(agent === undefined ? {} : { agent }),
				...(signal === undefined ? {} : { signal }),
				headers: {
					accept,
					'user-agent': userAgent,
					...(headers as Record<string, string>),
					...(body === undefined
						? {}
						: { 'content-type': contentType ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
				},
			},
			resolve,
		);
		outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
		outgoing.once('error', (error) =>
			reject(signal?.aborted ? error : new ApiUnreachableError(credentials.server, { cause: error })),
		);
		outgoing.end(body);
	});
	const code = response.statusCode ?? 0;
	if (use === 'watch') {
		// Bookmarks are sent only when the version changes. TCP keepalive detects a dead host.
		response.socket.setTimeout(0);
		response.socket.setKeepAlive(true, keepAliveMs);
	}
	if (code >= 200 && code < 300) return response;
	throw await refusal(credentials.server, code, response);
}

/** Reads the whole body. @throws ApiUnreachableError */
export async function textOf(server: string, response: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	try {
		for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
	} catch (error) {
		throw new ApiUnreachableError(server, { cause: error });
	}
	return Buffer.concat(chunks).toString('utf8');
}

/**
 * Streams the body's text. @throws ApiUnreachableError if the stream breaks off, unless `signal` is
 * aborted
 */
export async function* piecesOf(
	server: string,
	response: IncomingMessage,
	signal?: AbortSignal,
): AsyncGenerator<string> {
	response.setEncoding('utf8');
	try {
		for await (const piece of response as AsyncIterable<string>) yield piece;
	} catch (error) {
		throw signal?.aborted ? error : new ApiUnreachableError(server, { cause: error });
	}
}

async function refusal(server: string, code: number, response: IncomingMessage): Promise<ApiError> {
	const text = await textOf(server, response);
	const retryAfter = response.headers['retry-after'];
	let status: JsonValue;
	try {
		status = parseJson(text);
	} catch (error) {
		if (!(error instanceof JsonSyntaxError)) throw error;
		status = {};
	}
	return isObject(status)
		? statusError(code, { message: text.slice(0, 500), ...status }, retryAfter)
		: new ApiError(code, '', text.slice(0, 500));
}
