import { arrayAt, at, isObject, type JsonObject, objectAt, textAt } from '../../json/index.ts';
import { type Definitions, Schema } from '../schema/index.ts';
import { ageCell, byJsonPath, nameColumn } from './columns.ts';
import { commonRules } from './common-rules.ts';
import { objectMeta } from './definitions.ts';
import type { Column, ResourceType, Rules } from './types.ts';

/** The resources of a CustomResourceDefinition: one per served version. */
export function customTypes(definition: JsonObject, definitions: Definitions): ResourceType[] {
	const spec = objectAt(definition, 'spec');
	const names = objectAt(spec, 'names');
	const kind = textAt(names, 'kind') ?? '';
	return arrayAt(spec, 'versions').flatMap((version) => {
		if (!isObject(version) || version['served'] !== true) return [];
		const status = at(version, 'subresources', 'status') !== undefined;
		const scale = objectAt(version, 'subresources', 'scale');
		return [
			{
				group: textAt(spec, 'group') ?? '',
				version: textAt(version, 'name') ?? '',
				kind,
				listKind: textAt(names, 'listKind') ?? `${kind}List`,
				plural: textAt(names, 'plural') ?? '',
				singular: textAt(names, 'singular') ?? kind.toLowerCase(),
				shortNames: textsOf(names, 'shortNames'),
				categories: textsOf(names, 'categories'),
				namespaced: textAt(spec, 'scope') === 'Namespaced',
				custom: true,
				status,
				scale: at(version, 'subresources', 'scale') === undefined ? undefined : scaleOf(scale),
				schema: rootSchema(objectAt(version, 'schema', 'openAPIV3Schema'), definitions),
				columns: columnsOf(version),
				selectableFields: new Map(
					arrayAt(version, 'selectableFields')
						.map((field) => pathOf(textAt(field, 'jsonPath') ?? ''))
						.map((path) => [path.join('.'), path]),
				),
				rules: customRules,
			} satisfies ResourceType,
		];
	});
}

/** The version in which objects are stored. */
export function storageVersion(definition: JsonObject): string {
	return (
		textAt(
			arrayAt(definition, 'spec', 'versions').find((version) => at(version, 'storage') === true) ?? null,
			'name',
		) ?? ''
	);
}

const customRules: Rules = { ...commonRules, unconditionalUpdate: false, generation: true, statusKeepsMetadata: true };

/** Every resource has apiVersion, kind and metadata, regardless of its schema. */
function rootSchema(raw: JsonObject, definitions: Definitions): Schema {
	const properties = {
		...objectAt(raw, 'properties'),
		apiVersion: { type: 'string' },
		kind: { type: 'string' },
		metadata: { $ref: objectMeta },
	};
	return new Schema({ ...raw, type: 'object', properties }, definitions);
}

function columnsOf(version: JsonObject): Column[] {
	const declared = arrayAt(version, 'additionalPrinterColumns');
	if (declared.length === 0)
		return [nameColumn, columnOf({ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' })];
	return [nameColumn, ...declared.filter(isObject).map(columnOf)];
}

function columnOf(declared: JsonObject): Column {
	const type = textAt(declared, 'type') ?? 'string';
	const path = textAt(declared, 'jsonPath') ?? '';
	const shown = type === 'integer' || type === 'number' || type === 'boolean' || type === 'date' ? type : 'string';
	const { format } = declared;
	const description =
		textAt(declared, 'description') || `Custom resource definition column (in JSONPath format): ${path}`;
	return {
		name: textAt(declared, 'name') ?? '',
		type: shown,
		...(typeof format === 'string' ? { format } : {}),
		description,
		priority: Number(declared['priority'] ?? 0),
		value(object, nowMs) {
			const value = byJsonPath(object, path);
			if (value === undefined) return null;
			if (shown === 'date') return ageCell(value, nowMs);
			return shown === 'string' && typeof value !== 'string'
				? isObject(value) || Array.isArray(value)
					? JSON.stringify(value)
					: String(value)
				: value;
		},
	};
}

const pathOf = (jsonPath: string): string[] => jsonPath.split('.').filter((step) => step !== '');

function scaleOf(scale: JsonObject): NonNullable<ResourceType['scale']> {
	return {
		spec: pathOf(textAt(scale, 'specReplicasPath') ?? ''),
		status: pathOf(textAt(scale, 'statusReplicasPath') ?? ''),
		selector: pathOf(textAt(scale, 'labelSelectorPath') ?? ''),
	};
}

const textsOf = (value: JsonObject, member: string): string[] =>
	arrayAt(value, member).filter((item) => typeof item === 'string');
