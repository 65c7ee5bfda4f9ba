import { type JsonArray, type JsonObject, type JsonValue, objectAt, stringifyJson } from '../../json/index.ts';
import { apiVersionOf, type Column, type ResourceType } from '../resources/index.ts';
import type { Stored } from '../store/index.ts';
import { ApiError } from './status.ts';

/** The representation of objects in a response. */
export type Form =
	| { readonly type: 'object' }
	| { readonly type: 'table'; readonly include: string }
	/** Only metadata. */
	| { readonly type: 'partial' };

/** The first supported form of an Accept header. @throws ApiError 406 */
export function formOf(accept: string, query: URLSearchParams): Form {
	if (accept.trim() === '') return { type: 'object' };
	for (const choice of accept.split(',')) {
		const [media = '', ...parameters] = choice.split(';').map((part) => part.trim());
		const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3);
		const json =
			media === 'application/json' || media === '*/*' || media === 'application/*' || media === 'application/yaml';
		if (!json) continue;
		if (as === undefined) return { type: 'object' };
		if (
			!parameters.includes('g=meta.k8s.io') ||
			!parameters.some((parameter) => parameter === 'v=v1' || parameter === 'v=v1beta1')
		)
			continue;
		if (as === 'Table') return { type: 'table', include: query.get('includeObject') ?? 'Metadata' };
		if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { type: 'partial' };
	}
	throw new ApiError(
		406,
		'NotAcceptable',
		'only the following media types are accepted: application/json, application/yaml',
		{},
	);
}

/** The object in this version of its resource. */
export function inVersion(type: ResourceType, value: JsonObject): JsonObject {
	const apiVersion = apiVersionOf(type);
	return value['apiVersion'] === apiVersion ? value : { ...value, apiVersion };
}

/** The object's JSON text; reuses the stored text if the version matches. */
function textOf(type: ResourceType, { value, text }: Pick<Stored, 'value' | 'text'>): string {
	return value['apiVersion'] === apiVersionOf(type) ? text : stringifyJson(inVersion(type, value));
}

const partial = (value: JsonObject): JsonObject => ({
	kind: 'PartialObjectMetadata',
	apiVersion: 'meta.k8s.io/v1',
	metadata: value['metadata'] ?? {},
});

/** Renders one object in a form, as JSON text. */
export function presentObject(
	type: ResourceType,
	form: Form,
	stored: Pick<Stored, 'value' | 'text'>,
	nowMs: number,
	columns = true,
): string {
	if (form.type === 'object') return textOf(type, stored);
	if (form.type === 'partial') return stringifyJson(partial(stored.value));
	const metadata = { resourceVersion: objectAt(stored.value, 'metadata')['resourceVersion'] };
	return stringifyJson(table(type, form.include, [stored.value], metadata, nowMs, columns));
}

/** The metadata of a list. */
export interface ListMetadata {
	readonly resourceVersion: string;
	readonly continue?: string;
	readonly remainingItemCount?: number;
}

/** Renders a list in a form, as JSON text. */
export function presentList(
	type: ResourceType,
	form: Form,
	items: readonly Stored[],
	metadata: ListMetadata,
	nowMs: number,
): string {
	if (form.type === 'table')
		return stringifyJson(
			table(
				type,
				form.include,
				items.map(({ value }) => value),
				{ ...metadata },
				nowMs,
				true,
			),
		);
	const [kind, apiVersion] =
		form.type === 'partial' ? ['PartialObjectMetadataList', 'meta.k8s.io/v1'] : [type.listKind, apiVersionOf(type)];
	const texts = items.map((item) =>
		form.type === 'partial' ? stringifyJson(partial(item.value)) : listItemText(type, item),
	);
	// The items are JSON already.
	const rest = JSON.stringify({ kind, apiVersion, metadata }).slice(0, -1);
	return `${rest},"items":[${texts.join(',')}]}`;
}

/** Items of built-in kinds omit `apiVersion` and `kind`, which the list has. */
function listItemText(type: ResourceType, item: Stored): string {
	const text = textOf(type, item);
	if (type.custom) return text;
	const head = `{"kind":"${type.kind}","apiVersion":"${apiVersionOf(type)}",`;
	return text.startsWith(head) ? `{${text.slice(head.length)}` : text;
}

function table(
	type: ResourceType,
	include: string,
	values: readonly JsonObject[],
	metadata: JsonObject,
	nowMs: number,
	withColumns: boolean,
): JsonObject {
	const { columns } = type;
	const columnDefinitions: JsonArray = columns.map(({ name, type: kind, format = '', description = '', priority }) => ({
		name,
		type: kind,
		format,
		description,
		priority,
	}));
	const rows = values.map((value) => row(type, columns, include, value, nowMs));
	return {
		kind: 'Table',
		apiVersion: 'meta.k8s.io/v1',
		metadata,
		columnDefinitions: withColumns ? columnDefinitions : null,
		rows,
	};
}

function row(
	type: ResourceType,
	columns: readonly Column[],
	include: string,
	value: JsonObject,
	nowMs: number,
): JsonObject {
	const cells: JsonValue[] = columns.map((column) => column.value(value, nowMs));
	if (include === 'None') return { cells };
	return { cells, object: include === 'Object' ? inVersion(type, value) : partial(value) };
}
