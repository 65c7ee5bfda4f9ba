import test from 'ava';
import { ControlError } from '../../src/control/index.ts';
import { RetriesExhaustedError } from '../../src/ipam/index.ts';
import { ApiError, ApiUnreachableError, NotListedError } from '../../src/kubernetes/index.ts';
import { withTemporaryErrors } from '../../src/node/server-errors.ts';

/** The response to a caller when a handler fails with `error`. */
const told = async (error: Error) => {
	const { ask } = withTemporaryErrors({
		ask(): Promise<string> {
			throw error;
		},
	});
	return ask().then(
		() => undefined,
		(caught: unknown) => caught,
	);
};

for (const [title, error, code] of [
	[
		'does not respond',
		new ApiUnreachableError('https://127.0.0.1:1', { cause: new Error('socket hang up') }),
		'no-api-server',
	],
	['has returned no list since the start', new NotListedError('IPPool', { cause: undefined }), 'no-api-server'],
	['is overloaded', new ApiError(429, 'TooManyRequests', 'slow down'), 'no-api-server'],
	['refuses', new ApiError(403, 'Forbidden', 'may not list'), 'forbidden'],
	[
		'refused the list request',
		new NotListedError('Pod', { cause: new ApiError(403, 'Forbidden', 'may not list') }),
		'forbidden',
	],
	['failed', new ApiError(500, 'InternalError', 'etcd is away'), 'no-api-server'],
	['reports repeated write conflicts', new RetriesExhaustedError('block: still conflicting'), 'conflict'],
] as const)
	test(`an API server that ${title} is a 503, so that the client retries`, async (t) => {
		const refusal = await told(error);
		t.true(refusal instanceof ControlError);
		t.like(refusal, { status: 503, code });
	});

for (const [title, error] of [
	['an invalid request', new ControlError(400, 'bad-request', 'release what?')],
	['an error unrelated to the API server', new ApiError(404, 'NotFound', 'no such thing')],
	['an internal error', new TypeError('undefined is no function')],
] as const)
	test(`${title} is returned unchanged`, async (t) => t.is(await told(error), error));

test('a response is passed on unchanged', async (t) => {
	t.is(await withTemporaryErrors({ ask: async (request: string) => `${request}!` }).ask('well'), 'well!');
});
