import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';

/** A server to measure. */
export interface Target {
	readonly name: string;
	readonly url: string;
	readonly certificateAuthority: string;
	readonly token: string;
	/** Processes whose memory counts. */
	readonly pids: readonly number[];
	stop(): Promise<void>;
}

/** Requests to one server over a fixed number of connections. */
export class Client {
	readonly #target: Target;
	readonly #agent: Agent;

	constructor(target: Target, connections: number) {
		this.#target = target;
		this.#agent = new Agent({ keepAlive: true, maxSockets: connections, ca: target.certificateAuthority });
	}

	/** The text of the response. @throws Error for a code of 400 and above */
	async ask(method: string, path: string, body?: string): Promise<string> {
		const response = await this.#open(this.#agent, method, path, body);
		let text = '';
		response.setEncoding('utf8');
		for await (const chunk of response) text += String(chunk);
		if ((response.statusCode ?? 0) >= 400)
			throw new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 300)}`);
		return text;
	}

	/** A watch on its own connection; each line is passed to `onLine` as it arrives. */
	async watch(path: string, onLine: () => void): Promise<() => void> {
		const agent = new Agent({ ca: this.#target.certificateAuthority });
		const response = await this.#open(agent, 'GET', path, undefined);
		response.on('data', (chunk: Buffer) => {
			for (const byte of chunk) if (byte === 10) onLine();
		});
		response.on('error', () => {});
		return () => {
			response.destroy();
			agent.destroy();
		};
	}

	close(): void {
		this.#agent.destroy();
	}

	#open(agent: Agent, method: string, path: string, body: string | undefined): Promise<IncomingMessage> {
		return new Promise((resolve, reject) => {
			const headers = {
				authorization: `Bearer ${this.#target.token}`,
				accept: 'application/json',
				...(body === undefined
					? {}
					: {
							'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
							'content-length': String(Buffer.byteLength(body)),
						}),
			};
			const sent = request(`${this.#target.url}${path}`, { method, headers, agent }, resolve);
			sent.on('error', reject);
			sent.end(body);
		});
	}
}

/** Runs `work` for each item, `width` at a time. */
export async function inParallel<T>(
	items: readonly T[],
	width: number,
	work: (item: T) => Promise<void>,
): Promise<void> {
	const waiting = items[Symbol.iterator]();
	await Promise.all(
		Array.from({ length: width }, async () => {
			for (let next = waiting.next(); next.done !== true; next = waiting.next()) await work(next.value);
		}),
	);
}
