import { type AnswerOf, ControlError, endpoints, NoDaemonError, type RequestOf } from '../control/index.ts';

/** The endpoints that the plugin uses. */
export type CniEndpoint = 'cniAdd' | 'cniDelete' | 'cniCheck' | 'cniStatus' | 'cniCollect';

/** Sends one request to the daemon. @throws ControlError, NoDaemonError */
export type AskDaemon = <N extends CniEndpoint>(name: N, parameters: RequestOf<N>) => Promise<AnswerOf<N>>;

/**
 * Sends a message to a Unix socket, and returns all bytes up to the end of the connection. Each
 * runtime has its own: loading `node:net` takes a third of the time of a call of the executable.
 * Rejects with an error that has a `code` (ENOENT, ETIMEDOUT and others).
 */
export type Exchange = (socket: string, message: string, waitMs: number) => Promise<Buffer>;

/** Longest wait for a response, in milliseconds: Calico's limit for one request. */
const patienceMs = 90_000;

/**
 * Client of the control socket: one request and one response per connection. HTTP/1.0 delimits the
 * response by the end of the connection. It needs no HTTP library, and loading one takes a fifth of
 * the processor time of a call.
 */
export const askDaemon =
	(socket: string, exchange: Exchange, waitMs = patienceMs): AskDaemon =>
	async (name, parameters) => {
		const { method, path } = endpoints[name];
		const body = JSON.stringify(parameters);
		const head =
			method === 'GET'
				? `GET ${path} HTTP/1.0\r\n\r\n`
				: `POST ${path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: ` +
					`${Buffer.byteLength(body)}\r\n\r\n`;
		const { status, content } = parseAnswer(
			socket,
			await exchanged(exchange, socket, method === 'GET' ? head : head + body, waitMs),
		);
		// The endpoint table defines the responses; all errors have one form.
		if (status === 200) return content as AnswerOf<typeof name>;
		const { code, message, hint } = refusalOf(content) ?? {};
		if (code === undefined || message === undefined) throw new NoDaemonError(socket, notOurs);
		throw new ControlError(status, code, message, hint);
	};

/** Code of a response that is not from this daemon. */
export const notOurs = 'EPROTO';

/** The error response of the daemon. */
function refusalOf(
	content: unknown,
): { readonly code?: string; readonly message?: string; readonly hint?: string } | undefined {
	return typeof content === 'object' && content !== null
		? (content as { error?: { code: string; message: string; hint?: string } }).error
		: undefined;
}

/** @throws NoDaemonError with the code of the failed exchange */
async function exchanged(exchange: Exchange, socket: string, message: string, waitMs: number): Promise<Buffer> {
	try {
		return await exchange(socket, message, waitMs);
	} catch (error) {
		const { code, message: text } = error as NodeJS.ErrnoException;
		throw new NoDaemonError(socket, code ?? text, { cause: error });
	}
}

/** @throws NoDaemonError if the response is incomplete or not from this daemon */
function parseAnswer(socket: string, answer: Buffer): { readonly status: number; readonly content: unknown } {
	const end = answer.indexOf('\r\n\r\n');
	const head = end < 0 ? '' : answer.toString('latin1', 0, end);
	const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
	const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
	const body = answer.subarray(end + 4);
	// The daemon ended during its response. A repeated request finds the completed work.
	if (status === undefined || (length !== undefined && body.length < Number(length)))
		throw new NoDaemonError(socket, 'ECONNRESET');
	try {
		return { status: Number(status), content: JSON.parse(body.toString('utf8')) };
	} catch (error) {
		throw new NoDaemonError(socket, notOurs, { cause: error });
	}
}
