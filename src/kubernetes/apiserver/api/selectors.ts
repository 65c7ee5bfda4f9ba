import { at, type JsonObject, objectAt } from '../../json/index.ts';
import { keyProblem, labelValueProblem, type ResourceType } from '../resources/index.ts';
import { badRequest } from './status.ts';

/** Does an object match? */
export type Predicate = (object: JsonObject) => boolean;

export const everything: Predicate = () => true;

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k`. @throws ApiError 400 */
export function labelSelector(text: string): Predicate {
	if (text.trim() === '') return everything;
	const tests = splitRequirements(text).map(labelRequirement);
	return (object) => {
		const labels = objectAt(object, 'metadata', 'labels');
		return tests.every((matches) => matches(labels));
	};
}

/** Commas inside parentheses separate values, not requirements. */
function splitRequirements(text: string): string[] {
	const parts: string[] = [];
	let depth = 0;
	let start = 0;
	for (let index = 0; index < text.length; index++) {
		if (text[index] === '(') depth++;
		else if (text[index] === ')') depth--;
		else if (text[index] === ',' && depth === 0) {
			parts.push(text.slice(start, index));
			start = index + 1;
		}
	}
	return [...parts, text.slice(start)];
}

function labelRequirement(text: string): (labels: JsonObject) => boolean {
	const refuse = (why: string) => badRequest(`unable to parse requirement: ${why}`);
	const checkedKey = (key: string): string => {
		const problem = keyProblem(key);
		if (problem !== undefined) throw refuse(`<nil>: Invalid value: ${JSON.stringify(key)}: ${problem}`);
		return key;
	};
	const checkedValue = (key: string, value: string): string => {
		const problem = labelValueProblem(value);
		if (problem !== undefined) throw refuse(`values[0][${key}]: Invalid value: ${JSON.stringify(value)}: ${problem}`);
		return value;
	};
	const set = /^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$/.exec(text);
	if (set !== null) {
		const key = checkedKey(set[1] ?? '');
		const values = new Set((set[3] ?? '').split(',').map((value) => checkedValue(key, value.trim())));
		return set[2] === 'in' ? (labels) => values.has(String(labels[key] ?? '\0')) : (labels) => !values.has(String(labels[key] ?? '\0'));
	}
	const comparison = /^\s*([^\s=!<>]+)\s*(==|=|!=|>|<)\s*(\S*)\s*$/.exec(text);
	if (comparison !== null) {
		const key = checkedKey(comparison[1] ?? '');
		const value = checkedValue(key, comparison[3] ?? '');
		if (comparison[2] === '!=') return (labels) => labels[key] !== value;
		if (comparison[2] === '>') return (labels) => labels[key] !== undefined && Number(labels[key]) > Number(value);
		if (comparison[2] === '<') return (labels) => labels[key] !== undefined && Number(labels[key]) < Number(value);
		return (labels) => labels[key] === value;
	}
	const existence = /^\s*(!?)\s*([^\s=!<>(),]+)\s*$/.exec(text);
	if (existence === null) throw refuse(`found '${text.trim()}', expected: identifier, 'in', 'notin', '=', '==', '!=', 'gt', 'lt'`);
	const key = checkedKey(existence[2] ?? '');
	return existence[1] === '!' ? (labels) => !Object.hasOwn(labels, key) : (labels) => Object.hasOwn(labels, key);
}

/** `metadata.name=a,status.phase!=b`; only fields that the resource lists. @throws ApiError 400 */
export function fieldSelector(type: ResourceType, text: string): Predicate {
	if (text.trim() === '') return everything;
	const tests = text.split(/(?<!\\),/).map((term): Predicate => {
		const parts = /^([^=!]+)(==|=|!=)(.*)$/s.exec(term.trim());
		if (parts === null) throw badRequest(`invalid field selector: '${term}'; can't understand '${term}'`);
		const field = parts[1] ?? '';
		const path = field === 'metadata.name' || field === 'metadata.namespace' ? field.split('.') : type.selectableFields.get(field);
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

/** Both kinds of selector of a request. @throws ApiError 400 */
export function selectorOf(type: ResourceType, query: URLSearchParams): { readonly matches: Predicate; readonly selective: boolean } {
	const labels = labelSelector(query.get('labelSelector') ?? '');
	const fields = fieldSelector(type, query.get('fieldSelector') ?? '');
	const selective = labels !== everything || fields !== everything;
	return { matches: selective ? (object) => labels(object) && fields(object) : everything, selective };
}
