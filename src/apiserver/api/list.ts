import { at, isObject, parseJson, textAt } from '../../json/index.ts';
import { collectionOf } from '../resources/index.ts';
import { CompactedError, type Stored } from '../store/index.ts';
import { integerParameter } from './options.ts';
import { formOf, type ListMetadata, presentList } from './present.ts';
import { selectorOf } from './selectors.ts';
import { ApiError, badRequest, cause, expired, invalid, tooNew } from './status.ts';
import type { Answer, Api, Request, Target } from './types.ts';

/** Position of a continued list: its revision, and the key to start from. */
interface Continuation {
	readonly revision: number;
	readonly from: string;
}

const encode = ({ revision, from }: Continuation): string =>
	Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: from })).toString('base64url');

function decode(token: string): Continuation {
	try {
		const value = parseJson(Buffer.from(token, 'base64url').toString());
		const revision = at(value, 'rv');
		const from = textAt(value, 'start');
		if (isObject(value) && typeof revision === 'number' && from !== undefined) return { revision, from };
	} catch {}
	throw badRequest('invalid continue token: continue key is not valid: illegal base64 data or unknown version');
}

/** The revision of the request; `undefined` if it has none. @throws ApiError */
export function revisionParameter(
	query: URLSearchParams,
	refuse = (message: string): ApiError => new ApiError(500, '', message),
): number | undefined {
	const text = query.get('resourceVersion') ?? '';
	if (text === '') return undefined;
	if (!/^\d+$/.test(text))
		throw refuse(
			`resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ` +
				`${JSON.stringify(text)}: invalid syntax`,
		);
	return Number(text);
}

/** GET of a collection. @throws ApiError */
export async function list(api: Api, request: Request, target: Target): Promise<Answer> {
	const { query } = request;
	const form = formOf(request.accept, query);
	const { items, metadata } = await page(api, request, target);
	return { code: 200, text: presentList(target.type, form, items, metadata, api.clock.wallMs()) };
}

/** The objects of a list request, independent of the form. @throws ApiError */
export async function page(
	api: Api,
	{ query, signal }: Request,
	{ type, namespace, name }: Target,
): Promise<{ items: Stored[]; metadata: ListMetadata }> {
	const { store } = api;
	const selector = selectorOf(type, query);
	const given = integerParameter(query, 'limit') ?? 0;
	integerParameter(query, 'timeoutSeconds');
	const token = query.get('continue') ?? '';
	checkMatch(query, token);
	const asked = revisionParameter(query, (message) => badRequest(`invalid resource version: ${message}`));
	// Any age is acceptable here. kube-apiserver serves such a list from its cache, without pages.
	const limit = given > 0 && !(query.get('resourceVersion') === '0' && token === '') ? given : Number.POSITIVE_INFINITY;
	const exact =
		query.get('resourceVersionMatch') === 'Exact' ||
		(asked !== undefined && asked > 0 && Number.isFinite(limit) && query.get('resourceVersionMatch') === null);
	if (asked !== undefined && asked > store.committed) await waitFor(api, asked, signal);
	const { revision, from } =
		token === ''
			? { revision: exact && asked !== undefined ? asked : store.committed, from: '' }
			: continued(api, decode(token));
	const prefix = namespace === '' ? '' : `${namespace}/`;
	const items: Stored[] = [];
	let next: string | undefined;
	let remaining = 0;
	try {
		for (const item of store.scan(collectionOf(type), prefix, from, revision)) {
			if (items.length === limit) {
				next ??= item.key;
				// The remaining count is reported only without a filter, because only then it is
				// exact.
				if (selector.selective) break;
				remaining++;
				continue;
			}
			if ((name === '' || textAt(item.value, 'metadata', 'name') === name) && selector.matches(item.value))
				items.push(item);
		}
	} catch (error) {
		if (!(error instanceof CompactedError)) throw error;
		throw expired(`The resourceVersion for the provided list is too old.`);
	}
	const paging =
		next === undefined
			? {}
			: {
					continue: encode({ revision, from: next }),
					...(selector.selective ? {} : { remainingItemCount: remaining }),
				};
	return { items, metadata: { resourceVersion: String(revision), ...paging } };
}

function continued({ store }: Api, continuation: Continuation): Continuation {
	// Revision -1: continue at the newest state.
	if (continuation.revision < 0) return { revision: store.committed, from: continuation.from };
	if (continuation.revision >= store.oldest) return continuation;
	throw expired(
		'The provided continue parameter is too old to display a consistent list result. You can ' +
			'start a new list without the continue parameter, or use the continue token in this response ' +
			'to retrieve the remainder of the results. Continuing with the provided token results in an ' +
			'inconsistent list - objects that were created, modified, or deleted between the time the ' +
			'first chunk was returned and now may show up in the list.',
		encode({ revision: -1, from: continuation.from }),
	);
}

/**
 * A client may be ahead of this server, for example after a restore. It gets an error after a time
 * limit.
 */
export async function waitFor({ store, clock }: Api, revision: number, signal: AbortSignal): Promise<void> {
	const deadline = clock.monotonicMs() + 3000;
	while (store.committed < revision && clock.monotonicMs() < deadline && !signal.aborted) {
		await new Promise<void>((resolve) => void setTimeout(resolve, 50));
	}
	if (store.committed < revision) throw tooNew(revision, store.committed);
}

function checkMatch(query: URLSearchParams, token: string): void {
	const match = query.get('resourceVersionMatch');
	if (query.get('sendInitialEvents') !== null)
		throw invalid('meta.k8s.io', 'ListOptions', '', [
			cause.forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'),
		]);
	if (match === null) {
		if (token !== '' && !['', '0'].includes(query.get('resourceVersion') ?? '')) {
			throw badRequest('specifying resource version is not allowed when using continue');
		}
		return;
	}
	const version = query.get('resourceVersion') ?? '';
	const refuse = (detail: string) =>
		invalid('meta.k8s.io', 'ListOptions', '', [cause.forbidden('resourceVersionMatch', detail)]);
	if (token !== '') throw refuse('resourceVersionMatch is forbidden when continue is provided');
	if (match !== 'Exact' && match !== 'NotOlderThan') {
		throw invalid('meta.k8s.io', 'ListOptions', '', [
			cause.unsupported('resourceVersionMatch', JSON.stringify(match), ['"Exact"', '"NotOlderThan"', '""']),
		]);
	}
	if (version === '' && query.get('watch') === null)
		throw refuse('resourceVersionMatch is forbidden unless resourceVersion is provided');
	if (version === '0' && match === 'Exact')
		throw refuse('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
}
