import type { JsonObject } from '../../json/index.ts';
import { at, textAt } from '../../json/index.ts';

/** The API server rejected a request: its Status, as a value. */
export class ApiError extends Error {
	override readonly name = 'ApiError';
	/** HTTP status. */
	readonly code: number;
	/**
	 * Kubernetes' reason: `Conflict`, `AlreadyExists`, `NotFound`, `Expired`, `TooManyRequests`,
	 * ...
	 */
	readonly reason: string;
	/** The delay before the next attempt that the server requests. */
	readonly retryAfterSeconds: number | undefined;

	constructor(code: number, reason: string, message: string, retryAfterSeconds?: number) {
		super(message);
		this.code = code;
		this.reason = reason;
		this.retryAfterSeconds = retryAfterSeconds;
	}
}

/** The API server is unreachable, or the connection broke; `cause` is the socket error. */
export class ApiUnreachableError extends Error {
	override readonly name = 'ApiUnreachableError';
	readonly server: string;

	constructor(server: string, options: ErrorOptions) {
		super(`the API server at ${server} does not answer`, options);
		this.server = server;
	}
}

/**
 * No decision is possible yet: the resources of a kind have not been listed since the start.
 * `cause`: why the server is unreachable; without it, the response is still pending.
 */
export class NotListedError extends Error {
	override readonly name = 'NotListedError';
	readonly kind: string;

	constructor(kind: string, { cause }: { readonly cause: unknown }) {
		super(
			cause === undefined
				? `the API server has not listed yet which ${kind} there are`
				: `which ${kind} there are is not known since the start: ` +
						`${cause instanceof Error ? cause.message : String(cause)}`,
			{ cause },
		);
		this.kind = kind;
	}
}

/** Converts a `Status` object (a body, or the object of an ERROR event of a watch) to an error. */
export function statusError(code: number, status: JsonObject, retryAfterHeader?: string): ApiError {
	const details = at(status, 'details', 'retryAfterSeconds');
	const seconds = Number(retryAfterHeader ?? (typeof details === 'number' ? details : Number.NaN));
	const stated = at(status, 'code');
	return new ApiError(
		typeof stated === 'number' ? stated : code,
		textAt(status, 'reason') ?? '',
		textAt(status, 'message') ?? `HTTP ${code}`,
		Number.isFinite(seconds) ? seconds : undefined,
	);
}
