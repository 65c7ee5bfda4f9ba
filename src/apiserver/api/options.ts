import { at, isArray, isObject, type JsonObject, type JsonValue, stringifyJson } from '../../json/index.ts';
import { type DeleteOptions, deleteOptions } from '../objects/index.ts';
import { goKind } from '../patch/index.ts';
import type { Registry } from '../resources/index.ts';
import { bodyValue } from './body.ts';
import { ApiError, badRequest, type Cause, cause, invalid } from './status.ts';
import type { Request } from './types.ts';

const mostManagerBytes = 128;

/**
 * Checks the query parameters of a write: field manager, dry run, field validation. @throws
 * ApiError 422
 */
export function checkWriteOptions({ query }: Request, kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions'): void {
	const manager = query.get('fieldManager') ?? '';
	const validation = query.get('fieldValidation') ?? '';
	const causes: Cause[] = [];
	if (Buffer.byteLength(manager) > mostManagerBytes)
		causes.push(cause.tooLong('fieldManager', `may not be more than ${mostManagerBytes} bytes`));
	const control = [...manager].findIndex((letter) => letter < ' ' || letter === '\u007f');
	if (control >= 0)
		causes.push(
			cause.invalid(
				'fieldManager',
				quoted(manager),
				`invalid character ${codePoint(manager[control] ?? '')} (at position ${control})`,
			),
		);
	causes.push(...dryRunCauses(query.getAll('dryRun')));
	if (!['', 'Ignore', 'Strict', 'Warn'].includes(validation))
		causes.push(
			cause.unsupported('fieldValidation', JSON.stringify(validation), ['""', '"Ignore"', '"Strict"', '"Warn"']),
		);
	if (causes.length > 0) throw invalid('meta.k8s.io', kind, '', causes);
}

/** Quotes as Go does for text with unprintable characters. */
const quoted = (text: string): string => JSON.stringify(text).replaceAll(/\\u00(..)/g, '\\x$1');
const codePoint = (letter: string): string => `U+${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

function dryRunCauses(values: readonly JsonValue[]): Cause[] {
	return values.some((value) => value !== 'All' && value !== '')
		? [cause.unsupported('dryRun', JSON.stringify(values), ['"All"'])]
		: [];
}

/** True for a dry run. */
export const isDryRun = ({ query }: Request): boolean => query.getAll('dryRun').includes('All');

/**
 * The delete options, from the body or else from the query. Also returns the request with the
 * dry-run setting of these options. @throws ApiError
 */
export function deletionAsked(
	request: Request,
	registry: Registry,
): { readonly options: DeleteOptions; readonly request: Request } {
	const said = request.body.length > 0 ? fromBody(request, registry) : fromQuery(request.query);
	const dryRun = at(said, 'dryRun');
	const tries = isArray(dryRun) ? dryRun : [];
	const policy = at(said, 'propagationPolicy') ?? null;
	const causes: Cause[] = [];
	if ((at(said, 'orphanDependents') ?? null) !== null && policy !== null) {
		causes.push(
			cause.invalid(
				'propagationPolicy',
				stringifyJson(policy),
				'orphanDependents and deletionPropagation cannot be both set',
			),
		);
	}
	if (policy !== null && !['Foreground', 'Background', 'Orphan'].includes(String(policy)))
		causes.push(
			cause.unsupported('propagationPolicy', stringifyJson(policy), [
				'"Foreground"',
				'"Background"',
				'"Orphan"',
				'"nil"',
			]),
		);
	causes.push(...dryRunCauses(tries));
	if (causes.length > 0) throw invalid('meta.k8s.io', 'DeleteOptions', '', causes);
	const query = new URLSearchParams(request.query);
	query.delete('dryRun');
	if (tries.includes('All')) query.set('dryRun', 'All');
	return { options: deleteOptions(said), request: { ...request, query } };
}

function fromBody(request: Request, registry: Registry): JsonObject {
	const unreadable = (why: string) => new ApiError(500, '', `couldn't get version/kind; ${why}`);
	const body = bodyValue(request, registry, unreadable);
	if (!isObject(body)) throw unreadable(`json parse error: json: cannot unmarshal ${goKind(body)} into Go value`);
	const kind = at(body, 'kind') ?? 'DeleteOptions';
	// The options kinds exist in every group.
	if (kind !== 'DeleteOptions')
		throw new ApiError(
			500,
			'',
			`no kind ${stringifyJson(kind)} is registered for version ${stringifyJson(at(body, 'apiVersion') ?? '')}`,
		);
	return body;
}

function fromQuery(query: URLSearchParams): JsonObject {
	const grace = integerParameter(query, 'gracePeriodSeconds');
	const orphan = query.get('orphanDependents');
	const policy = query.get('propagationPolicy');
	return {
		...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
		...(orphan === null ? {} : { orphanDependents: booleanParameter(query, 'orphanDependents') }),
		...(policy === null ? {} : { propagationPolicy: policy }),
		...(query.has('dryRun') ? { dryRun: query.getAll('dryRun') } : {}),
	};
}

/** An integer parameter; `undefined` if absent. @throws ApiError 400 */
export function integerParameter(query: URLSearchParams, name: string): number | undefined {
	const text = query.get(name);
	if (text === null || text === '') return undefined;
	if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
	return Number(text);
}

/** Any value except `false` and `0` is true. */
export function booleanParameter(query: URLSearchParams, name: string): boolean {
	const text = query.get(name);
	return text !== null && !['false', '0'].includes(text.toLowerCase());
}
