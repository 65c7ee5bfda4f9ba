import { parse as parseYaml } from 'yaml';
import {
	isObject,
	type JsonObject,
	JsonSyntaxError,
	type JsonValue,
	parseJson,
	stringifyJson,
	textAt,
} from '../../json/index.ts';
import { goKind } from '../patch/index.ts';
import { decodeMessage, openEnvelope, ProtobufError } from '../protobuf/index.ts';
import { apiVersionOf, definitionOf, type Registry, type ResourceType } from '../resources/index.ts';
import { Schema } from '../schema/index.ts';
import { mostDepth, scanJson } from './scan.ts';
import { ApiError, badRequest } from './status.ts';
import type { Request, Target } from './types.ts';

const binary = 'application/vnd.kubernetes.protobuf';

/**
 * Parses the body as JSON, YAML or the binary encoding of built-in kinds; `refuse` builds the error
 * for any other body. @throws ApiError
 */
export function bodyValue(
	{ body, contentType }: Pick<Request, 'body' | 'contentType'>,
	registry: Registry,
	refuse: (why: string) => ApiError = badRequest,
): JsonValue {
	if (contentType.startsWith(binary)) return fromBinary(body, registry);
	const text = body.toString();
	const yaml = contentType.includes('yaml') && !text.trimStart().startsWith('{');
	// Cheap check: a text is longer than its nesting depth.
	const problem = yaml || text.length <= mostDepth ? undefined : scanJson(text).problem;
	if (problem !== undefined) throw refuse(`json parse error: ${problem}`);
	try {
		return yaml ? fromYaml(text) : parseJson(text);
	} catch (error) {
		if (yaml && !(error instanceof RangeError))
			throw badRequest(`error converting YAML to JSON: ${error instanceof Error ? error.message : String(error)}`);
		throw refuse(`json parse error: ${scanJson(text).problem ?? 'nested too deeply'}`);
	}
}

/** Paths of duplicate members; detected only in JSON. */
export function duplicateFields({ method, body, contentType }: Request): readonly string[] {
	if ((method !== 'POST' && method !== 'PUT') || contentType.startsWith(binary) || contentType.includes('yaml'))
		return [];
	return scanJson(body.toString()).duplicates;
}

/** The beginning of a body, for an error message. */
function summary(body: Buffer): string {
	if (body.length === 0) return '<empty>';
	const start = body.subarray(0, 30);
	return `${body[0] === 0x7b ? start.toString() : start.toString('hex')}${body.length > 30 ? ' ...' : ''}`;
}

function fromBinary(body: Buffer, { definitions, fieldTable }: Registry): JsonValue {
	try {
		const { apiVersion, kind, raw } = openEnvelope(body);
		const [version = '', group = ''] = apiVersion.split('/').reverse();
		const name = kind === 'DeleteOptions' ? deleteOptionsName : definitionOf(definitions, group, version, kind)?.name;
		if (name === undefined) throw new ProtobufError(`no kind "${kind}" is registered for version "${apiVersion}"`);
		return { apiVersion, kind, ...decodeMessage(fieldTable, name, new Schema({ $ref: name }, definitions), raw) };
	} catch (error) {
		if (error instanceof ProtobufError || error instanceof JsonSyntaxError) throw badRequest(error.message);
		throw error;
	}
}

const deleteOptionsName = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';

function fromYaml(text: string): JsonValue {
	const value: unknown = parseYaml(text, { intAsBigInt: true });
	// Converted through JSON, so that safe integers become ordinary numbers.
	return parseJson(
		JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? `\u0000${member}` : member)).replaceAll(
			/"\\u0000(-?\d+)"/g,
			'$1',
		),
	);
}

/** Parses the body as an object of the target's kind. @throws ApiError 400, 415 */
export function bodyObject(registry: Registry, request: Request, target: Target): JsonObject {
	const media = request.contentType.split(';')[0]?.trim() ?? '';
	if (!['', 'application/json', 'application/yaml', '*/*', ...(target.type.custom ? [] : [binary])].includes(media)) {
		throw new ApiError(
			415,
			'UnsupportedMediaType',
			'the body of the request was in an unknown format - accepted media types include: ' +
				'application/json, application/yaml, application/vnd.kubernetes.protobuf',
		);
	}
	const unrecognized = (why: string) =>
		badRequest(
			`the object provided is unrecognized (must be of type ${target.type.kind}): ${why} (${summary(request.body)})`,
		);
	const value = bodyValue(request, registry, (why) => unrecognized(`couldn't get version/kind; ${why}`));
	if (!isObject(value)) {
		throw unrecognized(
			`couldn't get version/kind; json parse error: json: cannot unmarshal ${goKind(value)} into ` +
				'Go value of type struct',
		);
	}
	if (target.type.custom && (textAt(value, 'kind') ?? '') === '')
		throw unrecognized(`Object 'Kind' is missing in '${request.body.toString()}'`);
	return ofKind(target.type, value);
}

/**
 * Sets `apiVersion` and `kind`; if the body has them, they must match the type. @throws ApiError
 * 400
 */
export function ofKind(type: ResourceType, value: JsonObject): JsonObject {
	const wanted = apiVersionOf(type);
	const apiVersion = textAt(value, 'apiVersion') ?? '';
	const kind = textAt(value, 'kind') ?? '';
	if (type.custom && kind === '') throw badRequest(`Object 'Kind' is missing in '${stringifyJson(value)}'`);
	if ((apiVersion !== '' && apiVersion !== wanted) || (kind !== '' && kind !== type.kind)) {
		throw badRequest(
			`${kind === '' ? type.kind : kind} in version "${apiVersion.split('/').at(-1)}" cannot be ` +
				`handled as a ${type.kind}: no kind "${kind}" is registered for version "${apiVersion}"`,
		);
	}
	return { ...value, apiVersion: wanted, kind: type.kind };
}

/**
 * Sets the namespace and name of the URL; if the object has them, they must match. @throws ApiError
 * 400
 */
export function placed(target: Target, object: JsonObject): JsonObject {
	const { namespace, name } = target;
	const metadata = isObject(object['metadata']) ? object['metadata'] : {};
	const ownNamespace = textAt(metadata, 'namespace') ?? '';
	const ownName = textAt(metadata, 'name') ?? '';
	if (ownNamespace !== '' && ownNamespace !== namespace) {
		throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
	}
	if (name !== '' && ownName !== '' && ownName !== name) {
		throw badRequest(`the name of the object (${ownName}) does not match the name on the URL (${name})`);
	}
	const own = name === '' ? ownName : name;
	return {
		...object,
		metadata: { ...metadata, ...(own === '' ? {} : { name: own }), ...(namespace === '' ? {} : { namespace }) },
	};
}
