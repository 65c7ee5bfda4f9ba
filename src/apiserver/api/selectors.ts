import { at, type JsonObject, objectAt } from '../../json/index.ts';
import type { ResourceType } from '../resources/index.ts';
import { labelTests } from './label-selector.ts';
import { badRequest } from './status.ts';

/** True if an object matches. */
export type Predicate = (object: JsonObject) => boolean;

const everything: Predicate = () => true;

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k`. @throws ApiError 400 */
function labelSelector(text: string): Predicate {
	const tests = labelTests(text);
	if (tests.length === 0) return everything;
	return (object) => {
		const labels = objectAt(object, 'metadata', 'labels');
		return tests.every((matches) => matches(labels));
	};
}

/**
 * `metadata.name=a,status.phase!=b`; only the selectable fields of the resource. @throws ApiError
 * 400
 */
function fieldSelector(type: ResourceType, text: string): Predicate {
	if (text.trim() === '') return everything;
	const tests = text.split(/(?<!\\),/).map((term): Predicate => {
		const parts = /^([^=!]+)(==|=|!=)(.*)$/s.exec(term.trim());
		if (parts === null) throw badRequest(`invalid field selector: '${term}'; can't understand '${term}'`);
		const field = parts[1] ?? '';
		const path =
			field === 'metadata.name' || field === 'metadata.namespace' ? field.split('.') : type.selectableFields.get(field);
		if (path === undefined)
			throw badRequest(
				type.custom || type.selectableFields.size > 0
					? `field label not supported: ${field}`
					: `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
			);
		const wanted = (parts[3] ?? '').replaceAll(/\\(.)/g, '$1');
		const negative = parts[2] === '!=';
		return (object) => (fieldText(object, path) === wanted) !== negative;
	});
	return (object) => tests.every((matches) => matches(object));
}

function fieldText(object: JsonObject, path: readonly string[]): string {
	const value = at(object, ...path);
	if (value === undefined && path.at(-1) === 'unschedulable') return 'false';
	return value === undefined || value === null ? '' : String(value);
}

/** The label and field selectors of a request. @throws ApiError 400 */
export function selectorOf(
	type: ResourceType,
	query: URLSearchParams,
): { readonly matches: Predicate; readonly selective: boolean } {
	const labels = labelSelector(query.get('labelSelector') ?? '');
	const fields = fieldSelector(type, query.get('fieldSelector') ?? '');
	const selective = labels !== everything || fields !== everything;
	return { matches: selective ? (object) => labels(object) && fields(object) : everything, selective };
}
