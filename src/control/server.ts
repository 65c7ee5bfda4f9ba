import { link, rename, rm } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Boundary, Entry } from '../core/index.ts';
import { ReaderGoneError, sendLines, sendText } from './answer.ts';
import { ControlError, type EndpointName, endpoints, errorAnswer, type Handlers, type StreamName } from './api.ts';
import { jsonPieces } from './json-text.ts';
import { match, parseBody, parseQuery, parseTarget, type Target } from './route.ts';
import { listenUnix } from './socket.ts';

/** What the server needs from the daemon. */
export interface ControlServerDependencies {
	/** Path of the Unix socket. */
	readonly socket: string;
	/** Group that may use it, by name or number. */
	readonly group: string | undefined;
	/** Where /metrics, /healthz and /readyz are served over TCP as well; nothing else is. */
	readonly metrics: { readonly address: string; readonly port: number } | undefined;
	readonly handlers: Handlers;
	/** Prometheus' text format, in pieces, and its content type. */
	readonly renderMetrics: () => Promise<MetricsText>;
	/** `/healthz` and `/readyz`: whether it is 200 or 503, and the text. */
	readonly renderHealth: (what: 'alive' | 'ready') => Promise<{ readonly ok: boolean; readonly text: string }>;
	/** Where exceptions end that are no ControlError. */
	readonly boundary: Boundary;
}

/** Prometheus' text while it is produced; `undefined` is a place to pause. */
export interface MetricsText {
	readonly contentType: string;
	readonly text: Iterable<string | undefined>;
}

const mostBodyBytes = 1 << 20;

/** HTTP + JSON on a Unix socket. */
export class ControlServer {
	readonly #dependencies: ControlServerDependencies;
	readonly #server: Server;
	#metricsServer: Server | undefined;

	constructor(dependencies: ControlServerDependencies) {
		this.#dependencies = dependencies;
		this.#server = this.#listener('control', (request, response, target) => this.#answer(request, response, target));
	}

	/**
	 * Listens. `leftBehind`: a dead daemon's socket was there. @throws SocketInUseError,
	 * SocketPathError, or the system's error
	 */
	async start(): Promise<{ readonly leftBehind: boolean }> {
		const { socket, group, metrics } = this.#dependencies;
		const left = await listenUnix(this.#server, socket, group);
		if (metrics === undefined) return left;
		const server = this.#listener('metrics', async (_request, response, { pathname }) => {
			if (await this.#probe(pathname, response)) return;
			throw new ControlError(404, 'no-such-endpoint', `there is nothing at ${pathname}`, 'try /metrics');
		});
		await new Promise<void>((resolve, reject) => {
			server.once('error', reject);
			server.listen(metrics.port, metrics.address, resolve);
		});
		this.#metricsServer = server;
		return left;
	}

	/**
	 * Ends open answers, too, and removes the socket; with `leaveBehind` it stays as a killed
	 * daemon's would, a sign for the next start.
	 */
	async stop({ leaveBehind = false } = {}): Promise<void> {
		const { socket } = this.#dependencies;
		const kept = `${socket}.left`;
		// Closing removes the file; another name for it does not go with it.
		const leave = leaveBehind && this.#server.listening;
		if (leave) {
			await rm(kept, { force: true });
			await link(socket, kept);
		}
		for (const server of [this.#server, this.#metricsServer]) {
			if (server?.listening !== true) continue;
			const closed = new Promise((resolve) => server.close(resolve));
			server.closeAllConnections();
			await closed;
		}
		if (leave) await rename(kept, socket);
	}

	/** An HTTP server of which no request and no connection can throw past the boundary. */
	#listener(
		entry: Entry,
		answer: (request: IncomingMessage, response: ServerResponse, target: Target) => Promise<void>,
	): Server {
		// Loaded here: plugin and command share this folder, and have no server.
		const { createServer } = process.getBuiltinModule('node:http');
		const server = createServer((request, response) => {
			// Errors of a connection end its request; without a listener they would end the process.
			request.on('error', () => undefined);
			response.on('error', () => undefined);
			void this.#serve(entry, request, response, answer);
		});
		server.on('error', (error) => {
			if (server.listening) this.#dependencies.boundary.report(entry, error);
		});
		return server;
	}

	async #serve(
		entry: Entry,
		request: IncomingMessage,
		response: ServerResponse,
		answer: (request: IncomingMessage, response: ServerResponse, target: Target) => Promise<void>,
	): Promise<void> {
		try {
			await answer(request, response, parseTarget(request.url ?? ''));
		} catch (error) {
			if (error instanceof ReaderGoneError) {
				response.destroy();
				return;
			}
			if (!(error instanceof ControlError))
				this.#dependencies.boundary.report(entryOf(entry, request.url ?? ''), error, { path: request.url });
			if (response.headersSent) response.destroy();
			else refuse(response, refusalOf(error));
		}
	}

	async #answer(request: IncomingMessage, response: ServerResponse, target: Target): Promise<void> {
		if (await this.#probe(target.pathname, response)) return;
		const { name, endpoint, path } = match(request.method ?? 'GET', target.pathname);
		const given =
			endpoint.method === 'GET'
				? parseQuery(endpoint.parameters, target.query)
				: parseBody(endpoint.parameters, await bodyOf(request));
		// The parameters were checked against the row just now.
		const parameters = { ...given, ...path } as never;
		const { handlers } = this.#dependencies;
		if (isStream(name)) {
			const gone = new AbortController();
			response.once('close', () => gone.abort());
			return sendLines(response, handlers[name](parameters, gone.signal));
		}
		const answer: unknown = await handlers[name](parameters);
		response.setHeader('content-type', 'application/json');
		await sendText(response, withLineEnd(jsonPieces(answer, endpoint.list)));
	}

	/**
	 * Answers what monitoring asks for, on the socket and over TCP. `false`: the path is none of
	 * these.
	 */
	async #probe(pathname: string, response: ServerResponse): Promise<boolean> {
		if (pathname === '/metrics') {
			await this.#metrics(response);
			return true;
		}
		const what = ({ '/healthz': 'alive', '/readyz': 'ready' } as const)[pathname];
		if (what === undefined) return false;
		const { ok, text } = await this.#dependencies.renderHealth(what);
		response.statusCode = ok ? 200 : 503;
		response.setHeader('content-type', 'text/plain; charset=utf-8');
		response.end(text);
		return true;
	}

	async #metrics(response: ServerResponse): Promise<void> {
		const { contentType, text } = await this.#dependencies.renderMetrics();
		response.setHeader('content-type', contentType);
		await sendText(response, text);
	}
}

/** The entry where an exception counts: requests of the CNI plugin and reloads have their own. */
function entryOf(listener: Entry, url: string): Entry {
	if (listener !== 'control') return listener;
	return url.startsWith('/v1/cni/') ? 'cni' : url.startsWith(endpoints.reload.path) ? 'config' : 'control';
}

function* withLineEnd(pieces: Iterable<string | undefined>): Generator<string | undefined> {
	yield* pieces;
	yield '\n';
}

const refusalOf = (error: unknown): ControlError =>
	error instanceof ControlError
		? error
		: new ControlError(
				500,
				'internal',
				error instanceof Error ? error.message : String(error),
				'the log has the details',
			);

function refuse(response: ServerResponse, error: ControlError): void {
	response.statusCode = error.status;
	response.setHeader('content-type', 'application/json');
	response.end(`${JSON.stringify(errorAnswer(error))}\n`);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	let bytes = 0;
	try {
		for await (const chunk of request as AsyncIterable<Buffer>) {
			bytes += chunk.length;
			if (bytes > mostBodyBytes)
				throw new ControlError(413, 'too-large', `the body is longer than ${mostBodyBytes} bytes`);
			chunks.push(chunk);
		}
	} catch (error) {
		if (error instanceof ControlError) throw error;
		throw new ReaderGoneError('the connection ended before the request was complete', { cause: error });
	}
	return Buffer.concat(chunks).toString('utf8');
}

const isStream = (name: EndpointName): name is StreamName => endpoints[name].answer === 'stream';
