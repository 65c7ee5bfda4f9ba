import test from 'ava';
import { ControlError } from '../../../src/control/index.ts';
import { withTemporaryErrors } from '../../../src/daemon/cluster/server-errors.ts';
import { RetriesExhaustedError } from '../../../src/ipam/index.ts';
import { ApiError, ApiUnreachableError, NotListedError } from '../../../src/kubernetes/index.ts';

/** What a caller is told when a handler fails with `error`. */
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
	['does not answer', new ApiUnreachableError('https://127.0.0.1:1', { cause: new Error('socket hang up') }), 'no-api-server'],
	['has not listed anything since the start', new NotListedError('IPPool', { cause: undefined }), 'no-api-server'],
	['is overloaded', new ApiError(429, 'TooManyRequests', 'slow down'), 'no-api-server'],
	['refuses', new ApiError(403, 'Forbidden', 'may not list'), 'forbidden'],
	['refused the list', new NotListedError('Pod', { cause: new ApiError(403, 'Forbidden', 'may not list') }), 'forbidden'],
	['failed', new ApiError(500, 'InternalError', 'etcd is away'), 'no-api-server'],
	['lets others write first, again and again', new RetriesExhaustedError('block: still conflicting'), 'conflict'],
] as const)
	test(`an API server that ${title} is a 503: to be asked again`, async (t) => {
		const refusal = await told(error);
		t.true(refusal instanceof ControlError);
		t.like(refusal, { status: 503, code });
	});

for (const [title, error] of [
	['a request that is wrong', new ControlError(400, 'bad-request', 'release what?')],
	['what the API server has nothing to say to', new ApiError(404, 'NotFound', 'no such thing')],
	['a mistake of ours', new TypeError('undefined is no function')],
] as const)
	test(`${title} stays what it is`, async (t) => t.is(await told(error), error));

test('an answer is passed on', async (t) => {
	t.is(await withTemporaryErrors({ ask: async (request: string) => `${request}!` }).ask('well'), 'well!');
});
