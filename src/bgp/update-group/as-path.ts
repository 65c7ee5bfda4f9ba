const sequence = 2;

/** Private use. RFC 6996 §5. */
function isPrivateAs(asNumber: number): boolean {
	return (asNumber >= 64512 && asNumber <= 65534) || (asNumber >= 4_200_000_000 && asNumber <= 4_294_967_294);
}

/**
 * Copies the AS_PATH at `[start, end)` of `bytes` (4-octet numbers) to `out` at `at`. Confederation
 * segments are removed, because they are valid only inside (RFC 5065 §5.3); private numbers are
 * removed if requested; `prepend` is prepended (RFC 4271 §5.1.2 b: into the first segment if that
 * is a sequence with room). Returns the end.
 */
export function writeAsPath(
	bytes: Uint8Array,
	start: number,
	end: number,
	prepend: readonly number[],
	dropPrivate: boolean,
	out: Uint8Array,
	at: number,
): number {
	let segment = start;
	while (segment < end && isConfederation(bytes, segment)) segment = endOf(bytes, segment);
	const firstCount = segment < end && bytes[segment] === sequence ? (bytes[segment + 1] ?? 0) : 0;
	if (prepend.length > 0) {
		const joins = firstCount > 0 && firstCount + prepend.length <= 255 && !dropPrivate;
		out[at++] = sequence;
		out[at++] = prepend.length + (joins ? firstCount : 0);
		for (const asNumber of prepend) at = writeU32(out, at, asNumber);
		if (joins) {
			const numbers = segment + 2;
			segment = numbers + firstCount * 4;
			for (let index = numbers; index < segment; index++) out[at++] = bytes[index] ?? 0;
		}
	}
	while (segment < end) {
		const segmentEnd = endOf(bytes, segment);
		if (!isConfederation(bytes, segment))
			at = dropPrivate ? writePublic(bytes, segment, segmentEnd, out, at) : copy(bytes, segment, segmentEnd, out, at);
		segment = segmentEnd;
	}
	return at;
}

/** AS_CONFED_SEQUENCE and AS_CONFED_SET. RFC 5065 §3. */
const isConfederation = (bytes: Uint8Array, segment: number): boolean => (bytes[segment] ?? 0) > sequence;

const endOf = (bytes: Uint8Array, segment: number): number => segment + 2 + (bytes[segment + 1] ?? 0) * 4;

/** One segment without its private numbers; omitted if it becomes empty. */
function writePublic(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
	const head = at;
	out[at++] = bytes[start] ?? 0;
	let count = 0;
	at++;
	for (let index = start + 2; index < end; index += 4) {
		const asNumber =
			(((bytes[index] ?? 0) << 24) |
				((bytes[index + 1] ?? 0) << 16) |
				((bytes[index + 2] ?? 0) << 8) |
				(bytes[index + 3] ?? 0)) >>>
			0;
		if (isPrivateAs(asNumber)) continue;
		at = writeU32(out, at, asNumber);
		count++;
	}
	out[head + 1] = count;
	return count === 0 ? head : at;
}

function copy(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
	for (let index = start; index < end; index++) out[at++] = bytes[index] ?? 0;
	return at;
}

/** Writes an unsigned number in network order; returns the end. */
export function writeU32(out: Uint8Array, at: number, value: number): number {
	out[at] = value >>> 24;
	out[at + 1] = value >>> 16;
	out[at + 2] = value >>> 8;
	out[at + 3] = value;
	return at + 4;
}
