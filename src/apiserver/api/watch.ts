import { type JsonObject, stringifyJson, textAt, withAt } from '../../json/index.ts';
import { apiVersionOf, collectionOf } from '../resources/index.ts';
import { CompactedError, type StoreEvent } from '../store/index.ts';
import { revisionParameter, waitFor } from './list.ts';
import { integerParameter } from './options.ts';
import { type Form, formOf, presentObject } from './present.ts';
import { type Predicate, selectorOf } from './selectors.ts';
import { ApiError, cause, expired, invalid } from './status.ts';
import type { Answer, Api, Request, Target } from './types.ts';

/** Interval of bookmarks on an idle watch, in milliseconds. */
const bookmarkMs = 60_000;

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/**
 * GET of a collection with `watch`: the events after a revision, one JSON object per line. @throws
 * ApiError
 */
export async function watch(api: Api, request: Request, target: Target): Promise<Answer> {
	const { store, clock } = api;
	const { query, signal } = request;
	const { type, namespace, name } = target;
	const form = formOf(request.accept, query);
	const selector = selectorOf(type, query);
	const inScope = scope(namespace, name, selector.matches);
	const initial = query.get('sendInitialEvents') === 'true';
	checkOptions(query);
	const asked = revisionParameter(query);
	const fromNow = asked === undefined || asked === 0 || initial;
	const collection = collectionOf(type);
	const missed = fromNow ? [] : eventsSince(api, collection, asked);
	if (missed instanceof ApiError) return refusedInStream(missed);
	if (initial && asked !== undefined && asked > store.committed) await waitFor(api, asked, signal);
	const bookmarks = query.get('allowWatchBookmarks') === 'true' || query.get('allowWatchBookmarks') === '1';
	// The maximum of a timer: 24 days.
	const timeoutSeconds = Math.min(
		integerParameter(query, 'timeoutSeconds') || 1800 + Math.floor(api.random() * 1800),
		2_000_000,
	);

	return {
		code: 200,
		stream(write, end) {
			let columns = true;
			const line = (kind: EventType, value: JsonObject, text: () => string) => {
				const object = presentObject(
					type,
					form,
					{
						value,
						get text() {
							return text();
						},
					},
					clock.wallMs(),
					columns,
				);
				columns = false;
				write(`{"type":"${kind}","object":${object}}\n`);
			};
			const bookmark = (annotations?: JsonObject) =>
				write(`{"type":"BOOKMARK","object":${bookmarkText(target, form, store.committed, annotations)}}\n`);
			const deliver = (event: StoreEvent) => {
				// A client may have a revision from before a restore that is ahead of this server.
				// Its watch waits until the server has passed it.
				if (!fromNow && event.revision <= asked) return;
				const seen = classify(event, inScope);
				if (seen === undefined) return;
				const gone =
					seen.type === 'DELETED'
						? withAt(seen.value, ['metadata', 'resourceVersion'], String(event.revision))
						: undefined;
				const text = () => (gone === undefined ? event.current.text : stringifyJson(gone));
				if (form.type !== 'object') line(seen.type, gone ?? seen.value, text);
				else
					write(
						sharedLine(event, `${seen.type} ${apiVersionOf(type)}`, () =>
							presentObject(type, form, { value: gone ?? seen.value, text: text() }, 0),
						),
					);
			};
			if (fromNow && query.get('sendInitialEvents') !== 'false') {
				for (const item of store.scan(collection, namespace === '' ? '' : `${namespace}/`))
					if (inScope(item.key, item.value)) line('ADDED', item.value, () => item.text);
				if (initial) bookmark({ 'k8s.io/initial-events-end': 'true' });
			}
			for (const event of missed) deliver(event);
			const unsubscribe = store.subscribe(collection, deliver);
			const timers = new Set<NodeJS.Timeout>();
			const stop = () => {
				unsubscribe();
				for (const timer of timers) clearTimeout(timer);
				end();
			};
			timers.add(setTimeout(stop, timeoutSeconds * 1000));
			if (bookmarks) {
				timers.add(setInterval(bookmark, bookmarkMs));
				// The last bookmark is sent shortly before the end, so that the next watch starts
				// at a recent revision.
				if (timeoutSeconds > 2) timers.add(setTimeout(bookmark, (timeoutSeconds - 2) * 1000));
			}
			if (signal.aborted) stop();
			else signal.addEventListener('abort', stop, { once: true });
		},
	};
}

const lines = new WeakMap<StoreEvent, Map<string, Buffer>>();

/** The text line of an event, built once for all watchers. */
function sharedLine(event: StoreEvent, name: string, object: () => string): Buffer {
	const made = lines.get(event) ?? new Map<string, Buffer>();
	lines.set(event, made);
	const line = made.get(name) ?? Buffer.from(`{"type":"${name.slice(0, name.indexOf(' '))}","object":${object()}}\n`);
	made.set(name, line);
	return line;
}

type InScope = (key: string, value: JsonObject) => boolean;

function scope(namespace: string, name: string, matches: Predicate): InScope {
	const prefix = namespace === '' ? '' : `${namespace}/`;
	return (key, value) =>
		key.startsWith(prefix) && (name === '' || textAt(value, 'metadata', 'name') === name) && matches(value);
}

/**
 * Maps an event to a watcher's view: an object that begins to match is added, an object that no
 * longer matches is deleted. Pure.
 */
function classify(
	{ key, current, previous }: StoreEvent,
	inScope: InScope,
): { type: EventType; value: JsonObject } | undefined {
	const before = previous?.value !== undefined && inScope(key, previous.value) ? previous.value : undefined;
	const after = current.value !== undefined && inScope(key, current.value) ? current.value : undefined;
	if (after !== undefined) return { type: before === undefined ? 'ADDED' : 'MODIFIED', value: after };
	return before === undefined ? undefined : { type: 'DELETED', value: before };
}

/** After the watch is accepted, an error is sent as an event. */
function refusedInStream(error: ApiError): Answer {
	return {
		code: 200,
		stream(write, end) {
			write(`{"type":"ERROR","object":${stringifyJson(error.toStatus())}}\n`);
			end();
		},
	};
}

function eventsSince({ store }: Api, collection: string, revision: number): readonly StoreEvent[] | ApiError {
	try {
		return store.eventsSince(collection, revision);
	} catch (error) {
		if (!(error instanceof CompactedError)) throw error;
		return expired(`too old resource version: ${error.revision} (${error.oldest})`);
	}
}

function bookmarkText({ type }: Target, form: Form, revision: number, annotations: JsonObject | undefined): string {
	const metadata = {
		resourceVersion: String(revision),
		creationTimestamp: null,
		...(annotations === undefined ? {} : { annotations }),
	};
	if (form.type === 'table') {
		return stringifyJson({
			kind: 'Table',
			apiVersion: 'meta.k8s.io/v1',
			metadata: { resourceVersion: String(revision) },
			columnDefinitions: null,
			rows: [],
		});
	}
	if (form.type === 'partial')
		return stringifyJson({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata });
	return stringifyJson({ kind: type.kind, apiVersion: apiVersionOf(type), metadata });
}

function checkOptions(query: URLSearchParams): void {
	const sent = query.get('sendInitialEvents') !== null;
	const match = query.get('resourceVersionMatch');
	const refuse = (detail: string) =>
		invalid('meta.k8s.io', 'ListOptions', '', [cause.forbidden('resourceVersionMatch', detail)]);
	if (sent && match !== 'NotOlderThan')
		throw refuse('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
	if (!sent && match !== null)
		throw refuse('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
}
