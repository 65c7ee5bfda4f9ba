import { type PrefixKey, parsePrefix } from '../../core/index.ts';

/**
 * Rows in the order of their prefixes: IPv4 before IPv6, then by address, then the shorter one;
 * rows of one prefix as they came.
 */
export function inOrder<T extends { readonly prefix: PrefixKey }>(rows: readonly T[]): T[] {
	return rows
		.map((row) => ({ row, ...parsePrefix(row.prefix) }))
		.sort(
			(left, right) =>
				left.bytes.length - right.bytes.length || compareBytes(left.bytes, right.bytes) || left.length - right.length,
		)
		.map(({ row }) => row);
}

function compareBytes(left: Uint8Array, right: Uint8Array): number {
	for (const [index, byte] of left.entries()) {
		const difference = byte - (right[index] ?? 0);
		if (difference !== 0) return difference;
	}
	return 0;
}
