import { ControlError } from '../control/index.ts';
import { RetriesExhaustedError, UnreadableError } from '../ipam/index.ts';
import { ApiError, ApiUnreachableError, NotListedError } from '../kubernetes/index.ts';

const waitHint = 'nothing was lost: ask again; bgpmesh status shows whether the API server answers';

/**
 * Converts the error of an API server that is away or busy to a temporary error. Other errors are
 * returned unchanged.
 */
export function asTemporary(error: unknown): unknown {
	if (error instanceof ApiUnreachableError) {
		const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
		return new ControlError(503, 'no-api-server', `${error.message}${cause}`, waitHint);
	}
	const refused = error instanceof NotListedError ? error.cause : error;
	if (refused instanceof ApiError && refused.code === 403)
		return new ControlError(
			503,
			'forbidden',
			`the API server refuses: ${refused.message}`,
			'config/rbac has the rights that a node needs',
		);
	if (error instanceof NotListedError) return new ControlError(503, 'no-api-server', error.message, waitHint);
	if (error instanceof ApiError && (error.code === 429 || error.code >= 500))
		return new ControlError(503, 'no-api-server', `the API server answered ${error.code}: ${error.message}`, waitHint);
	if (error instanceof UnreadableError)
		return new ControlError(
			503,
			'unreadable',
			error.message,
			'nothing is given or taken back there before it is repaired: bgpmesh ipam check',
			{
				name: error.unreadable.name,
				problem: error.unreadable.problem,
			},
		);
	if (error instanceof RetriesExhaustedError)
		return new ControlError(503, 'conflict', error.message, 'many write the same object: ask again');
	return error;
}

/** The error while writes are locked, with the reason. */
export const readOnlyError = (reason: string): ControlError => new ControlError(503, 'read-only', reason);

type AnyHandler = (request: never) => unknown;

/**
 * Wraps handlers: failures of the API server become a 503, which the CNI plugin reports as "try
 * again later".
 */
export function withTemporaryErrors<H extends { readonly [Name in keyof H]: AnyHandler }>(handlers: H): H {
	const wrapped = Object.entries<AnyHandler>(handlers).map(([name, handler]) => [
		name,
		async (request: never) => {
			try {
				return await handler(request);
			} catch (error) {
				throw asTemporary(error);
			}
		},
	]);
	// The same names, each with a handler of the same parameters and result.
	return Object.fromEntries(wrapped) as H;
}
