import { createConnection } from 'node:net';
import { type AnswerOf, ControlError, endpoints, NoDaemonError, type RequestOf } from '../control/index.ts';

/** What the plugin asks the daemon. */
export type CniEndpoint = 'cniAdd' | 'cniDelete' | 'cniCheck' | 'cniStatus' | 'cniCollect';

/** One question to the daemon. @throws ControlError, NoDaemonError */
export type AskDaemon = <N extends CniEndpoint>(name: N, parameters: RequestOf<N>) => Promise<AnswerOf<N>>;

/** Longest wait for an answer, in milliseconds: Calico's own bound of a request. */
const patienceMs = 90_000;

/**
 * The control socket as the plugin uses it: one request, one answer, the end. In HTTP/1.0, where the end of the answer is the end of the
 * connection, that needs no HTTP library, whose loading is a fifth of the processor time of a whole call.
 */
export const askDaemon =
	(socket: string, waitMs = patienceMs): AskDaemon =>
	async (name, parameters) => {
		const { method, path } = endpoints[name];
		const body = JSON.stringify(parameters);
		const head =
			method === 'GET'
				? `GET ${path} HTTP/1.0\r\n\r\n`
				: `POST ${path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
		const { status, content } = parseAnswer(socket, await exchange(socket, method === 'GET' ? head : head + body, waitMs));
		// The daemon answers what the table says, and refuses in one form.
		if (status === 200) return content as AnswerOf<typeof name>;
		const { code, message, hint } = refusalOf(content) ?? {};
		if (code === undefined || message === undefined) throw new NoDaemonError(socket, notOurs);
		throw new ControlError(status, code, message, hint);
	};

/** Somebody else answers there. */
export const notOurs = 'EPROTO';

/** What a daemon says when it refuses. */
function refusalOf(content: unknown): { readonly code?: string; readonly message?: string; readonly hint?: string } | undefined {
	return typeof content === 'object' && content !== null ? (content as { error?: { code: string; message: string; hint?: string } }).error : undefined;
}

/** Sends, and gives everything that came until the other side ended. */
function exchange(socket: string, message: string, waitMs: number): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		const connection = createConnection(socket);
		const fail = (code: string, cause?: Error) => reject(new NoDaemonError(socket, code, { cause }));
		connection.setTimeout(waitMs, () => {
			fail('ETIMEDOUT');
			connection.destroy();
		});
		connection.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error));
		connection.on('data', (chunk: Buffer) => chunks.push(chunk));
		connection.once('end', () => resolve(Buffer.concat(chunks)));
		// Not ended from here: the server takes the end of a request for the end of whoever asks.
		connection.write(message);
	});
}

/** @throws NoDaemonError where the answer broke off, or is none of ours */
function parseAnswer(socket: string, answer: Buffer): { readonly status: number; readonly content: unknown } {
	const end = answer.indexOf('\r\n\r\n');
	const head = end < 0 ? '' : answer.toString('latin1', 0, end);
	const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
	const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
	const body = answer.subarray(end + 4);
	// A daemon that ends while it answers: what it did is found again by asking again.
	if (status === undefined || (length !== undefined && body.length < Number(length))) throw new NoDaemonError(socket, 'ECONNRESET');
	try {
		return { status: Number(status), content: JSON.parse(body.toString('utf8')) };
	} catch (error) {
		throw new NoDaemonError(socket, notOurs, { cause: error });
	}
}
