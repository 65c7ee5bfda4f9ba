import { MessageChannel } from 'node:worker_threads';
import { copyBytes } from './copy-bytes.ts';

/** An offset counts units of two bytes, which allows 8 GiB. */
const unitShift = 1;
/** Units of a segment: 512 KiB, filled to seven eighths or more by the longest blocks. */
const segmentShift = 18;
const segmentUnits = 1 << segmentShift;
const segmentBytes = segmentUnits << unitShift;
/**
 * More than 32 MiB: glibc allocates such a region by mmap, so that a freed region returns to the
 * kernel.
 */
const regionSegments = 66;
/** Owner (32 bits) and length (16 bits) before each block. */
const headerUnits = 3;
/** Bytes freed between two checks of the memory use. */
const freedBetweenLooks = 64 * 1024;
/** Allowed memory use in addition to `wasteShare` of the live bytes. */
const slackBytes = 2 * segmentBytes;
/** A quarter of the live bytes may be wasted, in dead blocks and free segments together. */
const wasteShare = 1 / 4;

/** One segment: a window of a region. */
interface Segment {
	readonly bytes: Uint8Array;
	readonly region: Region;
	/** First offset. */
	readonly base: number;
	/** Written units from the start, and live units among them. */
	used: number;
	live: number;
	/** True if its pages are resident: it was written since its region was created. */
	touched: boolean;
}

/**
 * Memory that is allocated and freed as a whole. Segments of a region that is being cleared accept
 * no new blocks.
 */
interface Region {
	buffer: ArrayBuffer;
	readonly segments: Segment[];
	clearing: boolean;
}

/**
 * Storage for attribute blocks, similar to a log: blocks are appended to an open segment; a segment
 * without live blocks is reused. If dead blocks and free segments exceed a quarter of the live
 * bytes, blocks move: out of the segment with the fewest live bytes, or out of a whole region,
 * which then returns to the kernel. Memory use thus follows the live bytes for any pattern of
 * sizes, and each call moves at most one segment.
 */
export class Arena {
	readonly #moved: (owner: number, offset: number) => void;
	/** By the upper bits of an offset; `undefined` for a freed region. */
	readonly #segments: (Segment | undefined)[] = [];
	readonly #regions: Region[] = [];
	/** Segments without blocks, those with resident pages on top. */
	readonly #free: Segment[] = [];
	#open: Segment | undefined = undefined;
	#touched = 0;
	#liveUnits = 0;
	#freedSinceLook = 0;

	/** `moved` is called with the new offset of a moved block, during `allocate` and `free`. */
	constructor(moved: (owner: number, offset: number) => void) {
		this.#moved = moved;
	}

	/** Bytes of segments that were written and not returned to the kernel. */
	get residentBytes(): number {
		return this.#touched * segmentBytes;
	}

	/** Bytes of the live blocks, including headers. */
	get liveBytes(): number {
		return this.#liveUnits << unitShift;
	}

	/** Allocates `length` bytes, at most 65535, for `owner`, a number above 0. */
	allocate(owner: number, length: number): number {
		if (this.#open === undefined || this.#open.used + unitsOf(length) > segmentUnits) this.#tidy();
		return this.#append(owner, length);
	}

	free(offset: number): void {
		const segment = this.#segmentOf(offset);
		const at = (offset - segment.base) << unitShift;
		const units = unitsOf(readLength(segment.bytes, at));
		writeOwner(segment.bytes, at, 0);
		this.#liveUnits -= units;
		this.#lose(segment, units);
		this.#freedSinceLook += units << unitShift;
		if (this.#freedSinceLook >= freedBetweenLooks) this.#tidy();
	}

	/** The array that contains a block. Valid until the next `allocate` or `free`. */
	slab(offset: number): Uint8Array {
		return this.#segmentOf(offset).bytes;
	}

	/** The start of a block in its slab. */
	start(offset: number): number {
		return ((offset & (segmentUnits - 1)) + headerUnits) << unitShift;
	}

	#segmentOf(offset: number): Segment {
		// Every live offset has a segment.
		return this.#segments[offset >>> segmentShift] as Segment;
	}

	#append(owner: number, length: number): number {
		const units = unitsOf(length);
		let segment = this.#open;
		if (segment === undefined || segment.used + units > segmentUnits) segment = this.#openNext();
		const at = segment.used << unitShift;
		writeOwner(segment.bytes, at, owner);
		segment.bytes[at + 4] = length;
		segment.bytes[at + 5] = length >>> 8;
		const offset = segment.base + segment.used;
		segment.used += units;
		segment.live += units;
		this.#liveUnits += units;
		return offset;
	}

	/** Subtracts `units` from a segment, which becomes free when it is empty. */
	#lose(segment: Segment, units: number): void {
		segment.live -= units;
		if (segment.live > 0) return;
		segment.used = 0;
		if (segment === this.#open) return;
		if (segment.region.clearing) this.#dropIfEmpty(segment.region);
		else this.#free.push(segment);
	}

	#openNext(): Segment {
		const before = this.#open;
		this.#open = undefined;
		if (before?.live === 0) this.#free.push(before);
		if (this.#free.length === 0) this.#addRegion();
		// There is a free segment: a region was added if there was none.
		const segment = this.#free.pop() as Segment;
		if (!segment.touched) {
			segment.touched = true;
			this.#touched++;
		}
		this.#open = segment;
		return segment;
	}

	/** The first region is one segment, because many tables are small. */
	#addRegion(): void {
		const count = this.#regions.length === 0 ? 1 : regionSegments;
		const buffer = new ArrayBuffer(count * segmentBytes);
		const region: Region = { buffer, segments: [], clearing: false };
		let index = this.#segments.indexOf(undefined);
		for (let number = 0; number < count; number++) {
			if (index < 0 || this.#segments[index] !== undefined) index = this.#segments.length;
			const bytes = new Uint8Array(buffer, number * segmentBytes, segmentBytes);
			const base = index * segmentUnits;
			const segment = { bytes, region, base, used: 0, live: 0, touched: false };
			this.#segments[index++] = segment;
			while (index < this.#segments.length && this.#segments[index] !== undefined) index++;
			region.segments.push(segment);
		}
		this.#regions.push(region);
		this.#free.unshift(...region.segments.toReversed());
	}

	/** Moves the blocks of one segment if too much memory is wasted. */
	#tidy(): void {
		this.#freedSinceLook = 0;
		const tolerated = slackBytes + this.liveBytes * wasteShare;
		if (this.residentBytes - this.liveBytes <= tolerated) return;
		const clearing = this.#regions.find((region) => region.clearing);
		const idleBytes = this.#free.filter(({ touched }) => touched).length * segmentBytes;
		if (clearing !== undefined) this.#clearSome(clearing);
		// Free segments are used before untouched ones; a region is cleared only if free segments
		// alone exceed the limit.
		else if (idleBytes <= tolerated) this.#compactOne();
		else this.#beginClearing();
	}

	#beginClearing(): void {
		const region = this.#regions.reduce((least, other) => (liveShare(other) < liveShare(least) ? other : least));
		region.clearing = true;
		if (this.#open?.region === region) this.#open = undefined;
		for (let index = this.#free.length - 1; index >= 0; index--)
			if (this.#free[index]?.region === region) this.#free.splice(index, 1);
		this.#clearSome(region);
	}

	/**
	 * Moves blocks out of the segment with the fewest live bytes; a nearly full one gives no gain.
	 */
	#compactOne(): void {
		let victim: Segment | undefined;
		for (const segment of this.#segments) {
			if (segment === undefined || segment === this.#open || segment.live === 0) continue;
			if (victim === undefined || segment.live < victim.live) victim = segment;
		}
		if (victim !== undefined && victim.live < segmentUnits - segmentUnits / 8) this.#evacuate(victim);
	}

	#clearSome(region: Region): void {
		const segment = region.segments.find(({ live }) => live > 0);
		if (segment === undefined) this.#dropIfEmpty(region);
		else this.#evacuate(segment);
	}

	#evacuate(segment: Segment): void {
		const { bytes, used } = segment;
		for (let unit = 0; unit < used; ) {
			const at = unit << unitShift;
			const owner = readOwner(bytes, at);
			const length = readLength(bytes, at);
			const units = unitsOf(length);
			unit += units;
			if (owner === 0) continue;
			const offset = this.#append(owner, length);
			const start = at + (headerUnits << unitShift);
			copyBytes(bytes, start, this.slab(offset), this.start(offset), length);
			this.#liveUnits -= units;
			this.#moved(owner, offset);
			this.#lose(segment, units);
		}
	}

	#dropIfEmpty(region: Region): void {
		if (region.segments.some(({ live }) => live > 0)) return;
		this.#regions.splice(this.#regions.indexOf(region), 1);
		for (const { base, touched } of region.segments) {
			this.#segments[base / segmentUnits] = undefined;
			if (touched) this.#touched--;
		}
		returnToKernel(region.buffer);
	}
}

/** The units of a block, including its header. */
function unitsOf(length: number): number {
	return headerUnits + ((length + 1) >>> unitShift);
}

function readOwner(bytes: Uint8Array, at: number): number {
	return (
		((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
	);
}

function writeOwner(bytes: Uint8Array, at: number, owner: number): void {
	bytes[at] = owner;
	bytes[at + 1] = owner >>> 8;
	bytes[at + 2] = owner >>> 16;
	bytes[at + 3] = owner >>> 24;
}

function readLength(bytes: Uint8Array, at: number): number {
	return (bytes[at + 4] ?? 0) | ((bytes[at + 5] ?? 0) << 8);
}

function liveShare({ segments }: Region): number {
	return segments.reduce((sum, { live }) => sum + live, 0) / segments.length;
}

/**
 * Frees a buffer immediately. Otherwise it waits for a major garbage collection, which an idle
 * process may not run for hours. Buffers posted to a closed port are freed with the message.
 */
function returnToKernel(buffer: ArrayBuffer): void {
	const { port1, port2 } = new MessageChannel();
	port2.close();
	port1.postMessage(undefined, [buffer]);
	port1.close();
}
