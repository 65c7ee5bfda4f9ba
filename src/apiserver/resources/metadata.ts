import { arrayAt, isObject, type JsonObject, objectAt, stringifyJson, textAt } from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import type { ResourceType } from './types.ts';

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const serviceName = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const subdomainRule =
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or " +
	"'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used " +
	"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const labelRule =
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " +
	"must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex " +
	"used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const serviceRule =
	"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an " +
	"alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or " +
	"'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const valueRule =
	"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or " +
	"'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value', " +
	" or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const nameRule =
	"name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
	"with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " +
	"validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const nameRules = {
	subdomain: { pattern: subdomain, rule: subdomainRule, most: 253 },
	label: { pattern: label, rule: labelRule, most: 63 },
	service: { pattern: serviceName, rule: serviceRule, most: 63 },
} as const;

/** Maximum total size of all annotations, in bytes. */
const mostAnnotationBytes = 256 * 1024;

/** Errors in an object's metadata. `previous` is the replaced object. */
export function validateMetadata(type: ResourceType, object: JsonObject, previous: JsonObject | undefined): Cause[] {
	const metadata = objectAt(object, 'metadata');
	const name = textAt(metadata, 'name') ?? '';
	return [
		...(previous === undefined
			? validateName(type, name)
			: validateUnchanged(metadata, objectAt(previous, 'metadata'))),
		...validateLabels(objectAt(metadata, 'labels')),
		...validateAnnotations(objectAt(metadata, 'annotations')),
		...validateOwners(metadata),
	];
}

/** Validates a name by the format of its kind. */
function validateName({ rules: { nameFormat } }: ResourceType, name: string): Cause[] {
	if (name === '') return [cause.required('metadata.name', 'name or generateName is required')];
	const shown = stringifyJson(name);
	if (nameFormat === 'segment')
		return segmentProblems(name).map((problem) => cause.invalid('metadata.name', shown, problem));
	const { pattern, rule, most } = nameRules[nameFormat];
	return [
		...(name.length > most ? [cause.invalid('metadata.name', shown, `must be no more than ${most} characters`)] : []),
		...(pattern.test(name) ? [] : [cause.invalid('metadata.name', shown, rule)]),
	];
}

function segmentProblems(name: string): string[] {
	if (name === '.' || name === '..') return [`may not be '${name}'`];
	return ['/', '%']
		.filter((character) => name.includes(character))
		.map((character) => `may not contain '${character}'`);
}

function validateUnchanged(metadata: JsonObject, previous: JsonObject): Cause[] {
	return ['name', 'namespace', 'uid', 'creationTimestamp']
		.filter((field) => metadata[field] !== previous[field])
		.map((field) => cause.invalid(`metadata.${field}`, stringifyJson(metadata[field] ?? null), 'field is immutable'));
}

/**
 * Validates a label or annotation key: an optional DNS prefix, and a name of at most 63 characters.
 */
export function keyProblem(key: string): string | undefined {
	const parts = key.split('/');
	const [prefix, name] = parts.length === 2 ? [parts[0] ?? '', parts[1] ?? ''] : [undefined, key];
	if (parts.length > 2)
		return (
			`${nameRule.replace('name part', 'a qualified name')} with an optional DNS subdomain prefix ` +
			"and '/' (e.g. 'example.com/MyName')"
		);
	if (prefix !== undefined && !subdomain.test(prefix))
		return `prefix part ${prefix === '' ? 'must be non-empty' : subdomainRule}`;
	if (name === '') return 'name part must be non-empty';
	if (name.length > 63) return 'name part must be no more than 63 characters';
	return qualifiedName.test(name) ? undefined : nameRule;
}

/** Validates a label value: empty, or at most 63 characters. */
export function labelValueProblem(value: string): string | undefined {
	if (value.length > 63) return 'must be no more than 63 characters';
	return value === '' || qualifiedName.test(value) ? undefined : valueRule;
}

function validateLabels(labels: JsonObject): Cause[] {
	return Object.entries(labels).flatMap(([key, value]) => {
		const wrongKey = keyProblem(key);
		const wrongValue = typeof value === 'string' ? labelValueProblem(value) : undefined;
		return [
			...(wrongKey === undefined ? [] : [cause.invalid('metadata.labels', stringifyJson(key), wrongKey)]),
			...(wrongValue === undefined ? [] : [cause.invalid('metadata.labels', stringifyJson(value ?? null), wrongValue)]),
		];
	});
}

function validateAnnotations(annotations: JsonObject): Cause[] {
	const causes = Object.keys(annotations).flatMap((key) => {
		const problem = keyProblem(key.toLowerCase());
		return problem === undefined ? [] : [cause.invalid('metadata.annotations', stringifyJson(key), problem)];
	});
	const bytes = Object.entries(annotations).reduce(
		(sum, [key, value]) => sum + key.length + (typeof value === 'string' ? Buffer.byteLength(value) : 0),
		0,
	);
	if (bytes > mostAnnotationBytes)
		causes.push(cause.tooLong('metadata.annotations', `may not be more than ${mostAnnotationBytes} bytes`));
	return causes;
}

function validateOwners(metadata: JsonObject): Cause[] {
	return arrayAt(metadata, 'ownerReferences').flatMap((owner, index) => {
		if (!isObject(owner)) return [];
		return ['apiVersion', 'kind', 'name', 'uid']
			.filter((field) => (textAt(owner, field) ?? '') === '')
			.map((field) => cause.invalid(`metadata.ownerReferences[${index}].${field}`, '""', `${field} must not be empty`));
	});
}
