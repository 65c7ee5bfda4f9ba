import { type JsonObject, objectAt, textAt } from '../../json/index.ts';

/** What every resource has. */
export interface Metadata {
	readonly name: string;
	readonly namespace: string | undefined;
	readonly generation: number;
	readonly labels: Readonly<Record<string, string>>;
}

/** Reads `metadata`; members of another type than expected are left out. */
export function metadataOf(raw: JsonObject): Metadata {
	const generation = objectAt(raw, 'metadata')['generation'];
	return {
		name: textAt(raw, 'metadata', 'name') ?? '',
		namespace: textAt(raw, 'metadata', 'namespace'),
		generation: typeof generation === 'number' ? generation : 0,
		labels: textMembers(objectAt(raw, 'metadata', 'labels')),
	};
}

/** The members of an object that are text. */
export function textMembers(object: JsonObject): Readonly<Record<string, string>> {
	const result: Record<string, string> = {};
	for (const [key, value] of Object.entries(object)) if (typeof value === 'string') result[key] = value;
	return result;
}
