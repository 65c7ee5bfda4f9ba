import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isObject, JsonSyntaxError, type JsonValue, parseJson } from '../json/index.ts';
import type { Credentials } from './credentials.ts';
import { ApiError, ApiUnreachableError, statusError } from './errors.ts';

/** One request, as the transport sends it. */
export interface ApiRequest {
	readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	/** With a leading slash. */
	readonly path: string;
	readonly query?: Readonly<Record<string, string | undefined>>;
	readonly body?: string;
	readonly contentType?: string;
	/** `application/json` unless said otherwise. */
	readonly accept?: string | undefined;
	readonly signal?: AbortSignal | undefined;
	/** Nothing heard for so long, the connection counts as broken. */
	readonly timeoutMs: number;
	/** A watch keeps its connection for minutes: it takes none of those that requests share. */
	readonly use?: 'request' | 'watch';
}

const userAgent = 'bgpmesh';

/** Sends one request and gives the response's stream; any status but 2xx is an error. @throws ApiError, ApiUnreachableError */
export async function send(
	credentials: Credentials,
	{ method, path, query = {}, body, contentType, accept = 'application/json', signal, timeoutMs, use = 'request' }: ApiRequest,
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
					...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
				},
			},
			resolve,
		);
		outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
		outgoing.once('error', (error) => reject(signal?.aborted ? error : new ApiUnreachableError(credentials.server, { cause: error })));
		outgoing.end(body);
	});
	const code = response.statusCode ?? 0;
	if (code >= 200 && code < 300) return response;
	throw await refusal(credentials.server, code, response);
}

/** The whole body. @throws ApiUnreachableError */
export async function textOf(server: string, response: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	try {
		for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
	} catch (error) {
		throw new ApiUnreachableError(server, { cause: error });
	}
	return Buffer.concat(chunks).toString('utf8');
}

/** The body's text while it arrives. @throws ApiUnreachableError where it breaks off, unless by `signal` */
export async function* piecesOf(server: string, response: IncomingMessage, signal?: AbortSignal): AsyncGenerator<string> {
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
	return isObject(status) ? statusError(code, { message: text.slice(0, 500), ...status }, retryAfter) : new ApiError(code, '', text.slice(0, 500));
}
