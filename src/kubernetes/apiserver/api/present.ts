import { type JsonArray, type JsonObject, type JsonValue, objectAt, stringifyJson } from '../../json/index.ts';
import { apiVersionOf, type Column, type ResourceType } from '../resources/index.ts';
import type { Stored } from '../store/index.ts';
import { ApiError } from './status.ts';

/** How objects are wanted. */
export type Form =
	| { readonly type: 'object' }
	| { readonly type: 'table'; readonly include: string }
	/** Metadata alone. */
	| { readonly type: 'partial' };

/** The form that an Accept header asks for, the first one that is known. @throws ApiError 406 */
export function formOf(accept: string, query: URLSearchParams): Form {
	if (accept.trim() === '') return { type: 'object' };
	for (const choice of accept.split(',')) {
		const [media = '', ...parameters] = choice.split(';').map((part) => part.trim());
		const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3);
		const json = media === 'application/json' || media === '*/*' || media === 'application/*' || media === 'application/yaml';
		if (!json) continue;
		if (as === undefined) return { type: 'object' };
		if (!parameters.includes('g=meta.k8s.io') || !parameters.some((parameter) => parameter === 'v=v1' || parameter === 'v=v1beta1')) continue;
		if (as === 'Table') return { type: 'table', include: query.get('includeObject') ?? 'Metadata' };
		if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { type: 'partial' };
	}
	throw new ApiError(406, 'NotAcceptable', 'only the following media types are accepted: application/json, application/yaml', {});
}

/** The object as this version of its resource shows it. */
export function inVersion(type: ResourceType, value: JsonObject): JsonObject {
	const apiVersion = apiVersionOf(type);
	return value['apiVersion'] === apiVersion ? value : { ...value, apiVersion };
}

/** The object's JSON text, without making it anew where the stored one will do. */
function textOf(type: ResourceType, { value, text }: Pick<Stored, 'value' | 'text'>): string {
	return value['apiVersion'] === apiVersionOf(type) ? text : stringifyJson(inVersion(type, value));
}

const partial = (value: JsonObject): JsonObject => ({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: value['metadata'] ?? {} });

/** One object in a form, as JSON text. */
export function presentObject(type: ResourceType, form: Form, stored: Pick<Stored, 'value' | 'text'>, nowMs: number, columns = true): string {
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

/** A list in a form, as JSON text. */
export function presentList(type: ResourceType, form: Form, items: readonly Stored[], metadata: ListMetadata, nowMs: number): string {
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
	const [kind, apiVersion] = form.type === 'partial' ? ['PartialObjectMetadataList', 'meta.k8s.io/v1'] : [type.listKind, apiVersionOf(type)];
	const texts = items.map((item) => (form.type === 'partial' ? stringifyJson(partial(item.value)) : listItemText(type, item)));
	return `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":${JSON.stringify(metadata)},"items":[${texts.join(',')}]}`;
}

/** Items of built-in kinds do not repeat what the list says of their kind. */
function listItemText(type: ResourceType, item: Stored): string {
	const text = textOf(type, item);
	if (type.custom) return text;
	const head = `{"kind":"${type.kind}","apiVersion":"${apiVersionOf(type)}",`;
	return text.startsWith(head) ? `{${text.slice(head.length)}` : text;
}

function table(type: ResourceType, include: string, values: readonly JsonObject[], metadata: JsonObject, nowMs: number, withColumns: boolean): JsonObject {
	const { columns } = type;
	const columnDefinitions: JsonArray = columns.map(({ name, type: kind, format = '', description = '', priority }) => ({
		name,
		type: kind,
		format,
		description,
		priority,
	}));
	const rows = values.map((value) => row(type, columns, include, value, nowMs));
	return { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: withColumns ? columnDefinitions : null, rows };
}

function row(type: ResourceType, columns: readonly Column[], include: string, value: JsonObject, nowMs: number): JsonObject {
	const cells: JsonValue[] = columns.map((column) => column.value(value, nowMs));
	if (include === 'None') return { cells };
	return { cells, object: include === 'Object' ? inVersion(type, value) : partial(value) };
}
