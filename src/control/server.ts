import { link, rename, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../core/index.ts';
import { ControlError, errorAnswer, type Handlers } from './api.ts';
import { match, parseBody, parseQuery } from './route.ts';
import { listenUnix } from './socket.ts';
import { streamLines } from './stream.ts';
import type { MonitorEvent } from './views.ts';

/** What the server needs from the daemon. */
export interface ControlServerOptions {
	/** Path of the Unix socket. */
	readonly socket: string;
	/** Group that may use it, by name or number. */
	readonly group: string | undefined;
	/** Where /metrics is served over TCP as well; nothing else is. */
	readonly metrics: { readonly address: string; readonly port: number } | undefined;
	readonly handlers: Handlers;
	/** Prometheus' text format and its content type. */
	readonly renderMetrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
	readonly log: Logger;
}

const mostBodyBytes = 1 << 20;

/** HTTP + JSON on a Unix socket. */
export class ControlServer {
	readonly #options: ControlServerOptions;
	readonly #server: Server;
	#metricsServer: Server | undefined;

	constructor(options: ControlServerOptions) {
		this.#options = options;
		this.#server = createServer((request, response) => this.#serve(request, response, (url) => this.#answer(request, response, url)));
	}

	/** Listens. `leftBehind`: a dead daemon's socket was there. @throws SocketInUseError, SocketPathError, or the system's error */
	async start(): Promise<{ readonly leftBehind: boolean }> {
		const { socket, group, metrics } = this.#options;
		const left = await listenUnix(this.#server, socket, group);
		if (metrics === undefined) return left;
		const server = createServer((request, response) =>
			this.#serve(request, response, async ({ pathname }) => {
				if (pathname !== '/metrics') throw new ControlError(404, 'no-such-endpoint', `there is nothing at ${pathname}`, 'try /metrics');
				await this.#metrics(response);
			}),
		);
		await new Promise<void>((resolve, reject) => {
			server.once('error', reject);
			server.listen(metrics.port, metrics.address, resolve);
		});
		this.#metricsServer = server;
		return left;
	}

	/** Ends open answers, too, and removes the socket; with `leaveBehind` it stays as a killed daemon's would, a sign for the next start. */
	async stop({ leaveBehind = false } = {}): Promise<void> {
		const { socket } = this.#options;
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

	#serve(request: IncomingMessage, response: ServerResponse, answer: (url: URL) => Promise<void>): void {
		const url = new URL(request.url ?? '/', 'http://localhost');
		answer(url).catch((error: unknown) => {
			if (!(error instanceof ControlError))
				this.#options.log.error('control request failed', { path: url.pathname, error: error instanceof Error ? (error.stack ?? '') : String(error) });
			if (response.headersSent) response.destroy();
			else
				refuse(
					response,
					error instanceof ControlError
						? error
						: new ControlError(500, 'internal', error instanceof Error ? error.message : String(error), 'the log has the details'),
				);
		});
	}

	async #answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
		if (url.pathname === '/metrics') return this.#metrics(response);
		const { name, endpoint, path } = match(request.method ?? 'GET', url.pathname);
		const given = endpoint.method === 'GET' ? parseQuery(endpoint.parameters, url.searchParams) : parseBody(endpoint.parameters, await bodyOf(request));
		// The parameters were checked against the row just now.
		const parameters = { ...given, ...path } as never;
		const { handlers } = this.#options;
		if (name === 'monitor') {
			streamLines<MonitorEvent>(
				response,
				(send, signal) => handlers.monitor(parameters, send, signal),
				(count) => ({ type: 'lost', at: new Date().toISOString(), count }),
			);
			return;
		}
		const answer: unknown = await handlers[name](parameters);
		response.setHeader('content-type', 'application/json');
		response.end(`${JSON.stringify(answer)}\n`);
	}

	async #metrics(response: ServerResponse): Promise<void> {
		const { contentType, text } = await this.#options.renderMetrics();
		response.setHeader('content-type', contentType);
		response.end(text);
	}
}

function refuse(response: ServerResponse, error: ControlError): void {
	response.statusCode = error.status;
	response.setHeader('content-type', 'application/json');
	response.end(`${JSON.stringify(errorAnswer(error))}\n`);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	let bytes = 0;
	for await (const chunk of request as AsyncIterable<Buffer>) {
		bytes += chunk.length;
		if (bytes > mostBodyBytes) throw new ControlError(413, 'too-large', `the body is longer than ${mostBodyBytes} bytes`);
		chunks.push(chunk);
	}
	return Buffer.concat(chunks).toString('utf8');
}
