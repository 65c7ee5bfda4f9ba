import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Server } from 'node:net';
import type { Logger } from '../../core/index.ts';
import { stringifyJson } from '../../json/index.ts';
import { type Answer, type Api, ApiError, dispatch, internal, type Request, tooLarge } from '../api/index.ts';
import { ObjectTooLargeError, StoreFailedError } from '../store/index.ts';
import { type Authenticator, authorize } from './auth.ts';
import type { Certificate } from './certificate.ts';
import { type Encoded, encode, type Wishes } from './encode.ts';
import { RequestMetrics } from './metrics.ts';

/** The limit of kube-apiserver. */
const mostBodyBytes = 3 * 1024 * 1024;
/** As kube-apiserver: clients close idle connections earlier. */
const keepAliveTimeoutMs = 90_000;
/**
 * Limits for connections without a complete request, so that silent or slow clients do not hold
 * connections.
 */
export interface ConnectionLimits {
	/**
	 * From the start of a connection, or of a request, to the end of its headers, in milliseconds.
	 * kube-apiserver: 32 s.
	 */
	readonly headersMs: number;
	/** To the end of the request body, in milliseconds. Responses and watches are not limited. */
	readonly requestMs: number;
	/** Duration of a TLS handshake, in milliseconds. */
	readonly handshakeMs: number;
	/** Maximum number of connections; further ones are closed at once. */
	readonly connections: number;
}

const defaultLimits: ConnectionLimits = {
	headersMs: 15_000,
	requestMs: 60_000,
	handshakeMs: 10_000,
	connections: 16_384,
};
/** Upper bound of the interval between checks of the limits, in milliseconds. */
const mostCheckMs = 5000;
const mostHeaderBytes = 64 * 1024;

/**
 * Maximum backlog of a watcher in bytes; above it the connection is closed, and the client lists
 * and watches again.
 */
const mostWaitingBytes = 32 * 1024 * 1024;

/** Dependencies of the listener. */
export interface ListenerDependencies {
	readonly api: Api;
	readonly authenticator: Authenticator;
	readonly log: Logger;
	/** Absent: plain HTTP. */
	readonly certificate: Certificate | undefined;
	/** Ends all watches. */
	readonly signal: AbortSignal;
	readonly limits?: Partial<ConnectionLimits>;
}

/** Creates an HTTP server for Kubernetes API requests. The caller starts it. */
export function createListener(dependencies: ListenerDependencies): Server {
	const metrics = new RequestMetrics();
	const onRequest = (message: IncomingMessage, response: ServerResponse) => {
		response.on('finish', () => metrics.count({ method: message.method ?? '' }, response.statusCode));
		void serve(dependencies, metrics, message, response);
	};
	const limits = { ...defaultLimits, ...dependencies.limits };
	const settings = {
		keepAlive: true,
		noDelay: true,
		headersTimeout: limits.headersMs,
		requestTimeout: limits.requestMs,
		connectionsCheckingInterval: Math.min(mostCheckMs, limits.headersMs / 2),
		keepAliveTimeout: keepAliveTimeoutMs,
		maxHeaderSize: mostHeaderBytes,
	};
	const { certificate } = dependencies;
	const server =
		certificate === undefined
			? createPlainServer(settings, onRequest)
			: createTlsServer({ ...settings, ...certificate, handshakeTimeout: limits.handshakeMs }, onRequest);
	server.maxConnections = limits.connections;
	return server;
}

/**
 * Parses a request target in origin form (RFC 9112 §3.2.1). @throws ApiError 400 for other forms
 */
function targetOf(target: string): URL {
	try {
		if (target.startsWith('/') && !target.startsWith('//')) return new URL(`http://server${target}`);
	} catch {
		// Falls through to the error below.
	}
	throw new ApiError(400, 'BadRequest', 'the request target is not a path');
}

async function serve(
	dependencies: ListenerDependencies,
	metrics: RequestMetrics,
	message: IncomingMessage,
	response: ServerResponse,
): Promise<void> {
	const gone = new AbortController();
	const stopped = () => gone.abort();
	dependencies.signal.addEventListener('abort', stopped, { once: true });
	response.on('close', () => {
		dependencies.signal.removeEventListener('abort', stopped);
		gone.abort();
	});
	try {
		const user = dependencies.authenticator.identify(message.headers.authorization);
		const url = targetOf(message.url ?? '/');
		const request: Request = {
			method: message.method ?? 'GET',
			path: decodePath(url.pathname),
			query: url.searchParams,
			accept: message.headers.accept ?? '',
			contentType: message.headers['content-type'] ?? '',
			userAgent: message.headers['user-agent'] ?? '',
			body: Buffer.alloc(0),
			user,
			signal: gone.signal,
		};
		authorize(request);
		if (request.path[0] === 'metrics' && request.path.length === 1 && request.method === 'GET') {
			await send(
				response,
				{ code: 200, text: metrics.text(dependencies.api), contentType: 'text/plain; version=0.0.4; charset=utf-8' },
				message,
			);
			return;
		}
		await send(response, await dispatch(dependencies.api, { ...request, body: await readBody(message) }), message);
	} catch (error) {
		// The client disconnected during its request: no response is possible.
		if (!(error instanceof ApiError) && !message.complete) {
			dependencies.log.debug('request broken off', { method: message.method, url: message.url });
			response.destroy();
			return;
		}
		const refusal = asApiError(error, dependencies.log, message);
		if (response.headersSent) response.destroy();
		else
			await send(response, { code: refusal.code, body: refusal.toStatus() }, message).catch(() => response.destroy());
	}
}

function asApiError(error: unknown, log: Logger, { method, url }: IncomingMessage): ApiError {
	if (error instanceof ApiError) return error;
	if (error instanceof RangeError) return new ApiError(400, 'BadRequest', 'the object provided is nested too deeply');
	if (error instanceof ObjectTooLargeError) return new ApiError(500, '', 'etcdserver: request is too large');
	if (!(error instanceof StoreFailedError))
		log.error('request failed', {
			method,
			url,
			error: error instanceof Error ? (error.stack ?? error.message) : String(error),
		});
	return internal(error instanceof Error ? error.message : String(error));
}

function decodePath(pathname: string): string[] {
	try {
		return pathname
			.split('/')
			.slice(1)
			.filter((step, index, all) => step !== '' || index < all.length - 1)
			.map(decodeURIComponent);
	} catch {
		throw new ApiError(400, 'BadRequest', 'the path is not properly encoded');
	}
}

async function readBody(message: IncomingMessage): Promise<Buffer> {
	const announced = Number(message.headers['content-length'] ?? 0);
	if (announced > mostBodyBytes) throw tooLarge(mostBodyBytes);
	const chunks: Buffer[] = [];
	let length = 0;
	for await (const chunk of message) {
		// Without an encoding, a request yields buffers.
		const bytes = chunk as Buffer;
		length += bytes.length;
		if (length > mostBodyBytes) throw tooLarge(mostBodyBytes);
		chunks.push(bytes);
	}
	const [only] = chunks;
	return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

async function send(response: ServerResponse, answer: Answer, message: IncomingMessage): Promise<void> {
	if ('stream' in answer) {
		stream(response, answer.stream);
		return;
	}
	const { method = 'GET' } = message;
	for (const warning of answer.warnings ?? []) response.appendHeader('Warning', `299 - ${JSON.stringify(warning)}`);
	const { contentType, bytes, compressed } = await encodedAnswer(answer, message);
	if (response.destroyed) return;
	response.writeHead(answer.code, {
		...(contentType === '' ? {} : { 'Content-Type': contentType }),
		'Content-Length': bytes.length,
		'Cache-Control': 'no-cache, private',
		...(compressed ? { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' } : {}),
	});
	response.end(method === 'HEAD' ? undefined : bytes);
}

async function encodedAnswer(
	answer: Exclude<Answer, { readonly stream: unknown }>,
	message: IncomingMessage,
): Promise<Encoded> {
	if ('bytes' in answer) return { contentType: answer.contentType, bytes: answer.bytes, compressed: false };
	if ('text' in answer && answer.contentType !== undefined)
		return { contentType: answer.contentType, bytes: Buffer.from(answer.text), compressed: false };
	return encode('text' in answer ? answer.text : stringifyJson(answer.body), wishesOf(message));
}

function wishesOf({ method = 'GET', url = '/', headers }: IncomingMessage): Wishes {
	return {
		method,
		accept: headers.accept ?? '',
		acceptEncoding: String(headers['accept-encoding'] ?? ''),
		userAgent: headers['user-agent'] ?? '',
		pretty: /[?&]pretty(?:=([^&]*))?/.exec(url)?.[1],
	};
}

function stream(
	response: ServerResponse,
	run: (write: (chunk: string | Uint8Array) => boolean, end: () => void) => void,
): void {
	response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' });
	response.flushHeaders();
	const write = (chunk: string | Uint8Array): boolean => {
		if (response.destroyed || response.writableEnded) return false;
		if (response.writableLength > mostWaitingBytes) {
			response.destroy();
			return false;
		}
		return response.write(chunk);
	};
	run(write, () => response.end());
}
