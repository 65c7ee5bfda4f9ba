import { isObject, type JsonObject, objectAt, stringifyJson, textAt } from '../../json/index.ts';

/**
 * The media type of Kubernetes' OpenAPI v2 in binary: the message Document of gnostic's
 * `OpenAPIv2.proto`.
 */
export const binaryOpenApi = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** Includes the older spelling, which kubectl still requests. */
export const binaryOpenApiNames: readonly string[] = [binaryOpenApi, binaryOpenApi.replace('.v2.v1.0', '.v2@v1.0')];

/** Field numbers of that message and its submessages, as far as our document uses them. */
const documentFields = { swagger: 1, info: 2, paths: 8, definitions: 9 } as const;
const infoFields = { title: 1, version: 2 } as const;
const named = { name: 1, value: 2 } as const;
const schemaFields = { type: 22, vendorExtension: 31 } as const;
const repeated = 1;
const anyYaml = 2;

/**
 * Encodes an OpenAPI v2 document of definitions with types and extensions, as `openApiV2` builds
 * it, in protobuf.
 */
export function encodeOpenApiV2(document: JsonObject): Uint8Array {
	const info = objectAt(document, 'info');
	const definitions = Object.entries(objectAt(document, 'definitions')).flatMap(([name, schema]) =>
		isObject(schema) ? [[name, schema] as const] : [],
	);
	return Buffer.concat([
		field(documentFields.swagger, textAt(document, 'swagger') ?? ''),
		field(
			documentFields.info,
			Buffer.concat([
				field(infoFields.title, textAt(info, 'title') ?? ''),
				field(infoFields.version, textAt(info, 'version') ?? ''),
			]),
		),
		field(documentFields.paths, Buffer.alloc(0)),
		field(
			documentFields.definitions,
			Buffer.concat(
				definitions.map(([name, schema]) =>
					field(repeated, Buffer.concat([field(named.name, name), field(named.value, encodeSchema(schema))])),
				),
			),
		),
	]);
}

function encodeSchema(schema: JsonObject): Buffer {
	const extensions = Object.entries(schema).filter(([key]) => key.startsWith('x-'));
	return Buffer.concat([
		field(schemaFields.type, field(repeated, textAt(schema, 'type') ?? 'object')),
		// Extension values are YAML; JSON is a subset of YAML.
		...extensions.map(([key, value]) =>
			field(
				schemaFields.vendorExtension,
				Buffer.concat([field(named.name, key), field(named.value, field(anyYaml, stringifyJson(value ?? null)))]),
			),
		),
	]);
}

/** A length-delimited field: text or a message. */
function field(number: number, value: string | Buffer): Buffer {
	const bytes = Buffer.from(value);
	return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
	const bytes: number[] = [];
	for (let rest = value; ; rest = Math.floor(rest / 128)) {
		if (rest < 128) return Buffer.from([...bytes, rest]);
		bytes.push((rest % 128) + 128);
	}
}
