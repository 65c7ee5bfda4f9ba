import { type PrefixKey, prefixKey } from '../../core/index.ts';
import type { JsonValue } from '../../json/index.ts';

/** The prefixes in a list of a resource; other entries are skipped. */
export function prefixesIn(values: readonly JsonValue[]): PrefixKey[] {
	return values.flatMap((value) => {
		try {
			return typeof value === 'string' ? [prefixKey(value, 'clear')] : [];
		} catch {
			return [];
		}
	});
}
