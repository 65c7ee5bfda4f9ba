import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { type Applied, type ApplyRequest, ClusterAccessError, type GetAnswer, type GetRequest } from '../cli/index.ts';
import {
	arrayAt,
	at,
	isArray,
	isObject,
	type JsonObject,
	objectAt,
	stringifyJson,
	textAt,
	withAt,
} from '../json/index.ts';
import {
	ApiClient,
	ApiError,
	ApiUnreachableError,
	type DiscoveredKind,
	discoverKind,
	findKind,
	groupOf,
	loadCredentials,
	pathOf,
	toV1Layout,
} from '../kubernetes/index.ts';
import { type FileObject, readResourceFiles } from './resource-files.ts';

/** The field manager of `bgpmesh apply`. */
const fieldManager = 'bgpmesh';
/** A newly defined kind is served after a short delay. */
const servedWithinMs = 10_000;

/** `bgpmesh apply`: server-side apply of each object, in the order of the files. */
export async function* applyFiles(request: ApplyRequest): AsyncGenerator<Applied> {
	const objects = readResourceFiles(request.files);
	const client = await clientOf(request);
	const kinds = new Map<string, DiscoveredKind>();
	let definedAtMs = Number.NEGATIVE_INFINITY;
	for (const { place, object: given } of objects) {
		let object = given;
		const kindName = textAt(object, 'kind') ?? '';
		const key = `${textAt(object, 'apiVersion')} ${kindName}`;
		try {
			let kind = kinds.get(key) ?? (await servedKind(client, object, definedAtMs + servedWithinMs));
			const translated = kind === undefined ? toV1Layout(object) : undefined;
			if (translated !== undefined) {
				kind = await discoverKind(client, textAt(translated, 'apiVersion') ?? '', textAt(translated, 'kind') ?? '');
				object = translated;
			}
			if (kind === undefined) {
				yield {
					object: `${kindName}/${textAt(object, 'metadata', 'name')}`,
					outcome: 'failed',
					reason: `${place}: the server has no ${key}${await hintFor(client, given)}`,
				};
				continue;
			}
			if (translated === undefined) kinds.set(key, kind);
			yield await applyOne(client, kind, object, request);
			if (kindName === 'CustomResourceDefinition' && !request.dryRun) definedAtMs = performance.now();
		} catch (error) {
			if (error instanceof ApiUnreachableError) throw new ClusterAccessError(unreachable(error), { cause: error });
			if (!(error instanceof ApiError)) throw error;
			yield {
				object: `${kindName}/${textAt(object, 'metadata', 'name')}`,
				outcome: 'failed',
				reason: `${place}: ${error.message}`,
			};
		}
	}
}

/** `bgpmesh get`: the server's own table, or the objects. */
export async function getResources(request: GetRequest): Promise<GetAnswer> {
	const client = await clientOf(request);
	try {
		const kind = await findKind(client, request.kind);
		if (kind === undefined) throw new ClusterAccessError(`${client.server} has no resource '${request.kind}'`);
		const namespace = request.allNamespaces ? undefined : (request.namespace ?? client.namespace);
		const query = { labelSelector: request.selector };
		if (request.output === 'table') {
			const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
			return tableOf(
				await client.raw(pathOf(kind, namespace, request.name), { query, accept }),
				kind.namespaced && request.allNamespaces,
			);
		}
		const scope = {
			...(namespace === undefined ? {} : { namespace }),
			...(request.selector === undefined ? {} : { labelSelector: request.selector }),
		};
		const items =
			request.name === undefined
				? (await client.list(kind, scope)).items
				: [await client.raw(pathOf(kind, namespace, request.name))];
		// Members of a list have no type of their own.
		const typed = items.map((item) =>
			withAt({ apiVersion: kind.apiVersion, kind: kind.kind, ...item }, ['metadata', 'managedFields'], undefined),
		);
		if (request.output === 'name')
			return { type: 'text', text: typed.map((item) => `${objectName(kind, item)}\n`).join('') };
		const shown: JsonObject =
			request.name === undefined ? { apiVersion: 'v1', kind: 'List', items: typed } : (typed[0] ?? {});
		return {
			type: 'text',
			text: request.output === 'json' ? `${stringifyJson(shown, 4)}\n` : stringify(shown, { lineWidth: 0 }),
		};
	} catch (error) {
		if (error instanceof ApiUnreachableError) throw new ClusterAccessError(unreachable(error), { cause: error });
		if (error instanceof ApiError) throw new ClusterAccessError(error.message, { cause: error });
		throw error;
	}
}

async function clientOf({ kubeconfig }: { readonly kubeconfig: string | undefined }): Promise<ApiClient> {
	try {
		return new ApiClient(await loadCredentials(kubeconfig), Math.random);
	} catch (error) {
		throw new ClusterAccessError(error instanceof Error ? error.message : String(error), { cause: error });
	}
}

/** Waits briefly for a kind whose definition was applied just before. */
async function servedKind(client: ApiClient, object: JsonObject, untilMs: number): Promise<DiscoveredKind | undefined> {
	for (;;) {
		const kind = await discoverKind(client, textAt(object, 'apiVersion') ?? '', textAt(object, 'kind') ?? '');
		if (kind !== undefined || performance.now() > untilMs) return kind;
		await sleep(200);
	}
}

/** The remedy for a kind of Calico that the server lacks in the layout of the file. */
async function hintFor(client: ApiClient, object: JsonObject): Promise<string> {
	if (!(textAt(object, 'apiVersion') ?? '').includes('projectcalico.org')) return '';
	const layouts = ['crd.projectcalico.org/v1', 'projectcalico.org/v3'] as const;
	for (const layout of layouts)
		if ((await discoverKind(client, layout, 'IPPool')) !== undefined)
			return `; it has Calico's kinds of ${layout}, and this one can not be translated`;
	return "; it has none of Calico's kinds: bgpmesh apply -f config/crds creates them";
}

/**
 * Fields that the server sets: the output of `get` without them can be applied like a manually
 * written file.
 */
const ofServer = ['managedFields', 'resourceVersion', 'uid', 'creationTimestamp', 'generation', 'selfLink'];

function withoutServerFields(object: JsonObject): JsonObject {
	const metadata = objectAt(object, 'metadata');
	return {
		...object,
		metadata: Object.fromEntries(Object.entries(metadata).filter(([key]) => !ofServer.includes(key))),
	};
}

async function applyOne(
	client: ApiClient,
	kind: DiscoveredKind,
	given: FileObject['object'],
	{ namespace, dryRun, force }: ApplyRequest,
): Promise<Applied> {
	const object = withoutServerFields(given);
	const name = textAt(object, 'metadata', 'name') ?? '';
	const place = kind.namespaced
		? (textAt(object, 'metadata', 'namespace') ?? namespace ?? client.namespace)
		: undefined;
	const before = await client.get(kind, name, place);
	const body = place === undefined ? object : withAt(object, ['metadata', 'namespace'], place);
	const after = await client.patch(kind, name, body, 'application/apply-patch+yaml', {
		...(place === undefined ? {} : { namespace: place }),
		query: { fieldManager, force: String(force), ...(dryRun ? { dryRun: 'All' } : {}) },
	});
	const version = (of: JsonObject) => textAt(of, 'metadata', 'resourceVersion');
	const outcome = before === undefined ? 'created' : version(before) === version(after) ? 'unchanged' : 'configured';
	return { object: objectName(kind, after), outcome };
}

function objectName({ singular, apiVersion }: DiscoveredKind, object: JsonObject): string {
	const group = groupOf(apiVersion);
	return `${singular}${group === '' ? '' : `.${group}`}/${textAt(object, 'metadata', 'name')}`;
}

/** The columns of the default output (priority 0). */
function tableOf(table: JsonObject, withNamespace: boolean): GetAnswer {
	const columns = arrayAt(table, 'columnDefinitions').filter(isObject);
	const shown = columns.flatMap((column, index) =>
		at(column, 'priority') === 0 || column['priority'] === undefined ? [index] : [],
	);
	const titles = shown.map((index) => (textAt(columns[index], 'name') ?? '').toUpperCase());
	const rows = arrayAt(table, 'rows').map((row) => {
		const cells = arrayAt(row, 'cells');
		const texts = shown.map((index) => cellText(cells[index]));
		return withNamespace ? [textAt(objectAt(row, 'object'), 'metadata', 'namespace') ?? '', ...texts] : texts;
	});
	return { type: 'table', titles: withNamespace ? ['NAMESPACE', ...titles] : titles, rows };
}

const cellText = (cell: ReturnType<typeof at>): string =>
	cell === undefined || cell === null ? '<none>' : isObject(cell) || isArray(cell) ? stringifyJson(cell) : String(cell);

const unreachable = (error: ApiUnreachableError): string =>
	`${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ''}`;
