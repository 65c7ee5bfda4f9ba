import { MessageChannel } from 'node:worker_threads';
import { copyBytes } from './copy-bytes.ts';

/** An offset counts units of two bytes, which allows 8 GiB. */
const unitShift = 1;
/** Units of a slot: 64 KiB. Small, because a table of a few MiB wastes slots, not bytes. */
const slotShift = 15;
const slotUnits = 1 << slotShift;
const slotBytes = slotUnits << unitShift;
/**
 * While there are blocks of more units (8 KiB, extended messages), segments have `longSegmentSlots`
 * slots, otherwise one. A segment is thus filled to seven eighths or more.
 */
const shortUnits = slotUnits / 8;
const longSegmentSlots = 8;
/** The first region is small, because many tables are. */
const firstRegionSlots = 8;
/**
 * More than 32 MiB: glibc allocates such a region by mmap, so that a freed region returns to the
 * kernel.
 */
const regionSlots = 66 * 8;
/** Owner (32 bits) and length (16 bits) before each block. */
const headerUnits = 3;
/** Bytes freed between two checks of the memory use. */
const freedBetweenLooks = 64 * 1024;
/** Segments that may be wasted in addition to `wasteShare` of the live bytes. */
const slackSegments = 2;
/** A quarter of the live bytes may be wasted, in dead blocks and free slots together. */
const wasteShare = 1 / 4;
/** Bytes of segments that one call moves at most. */
const mostMovedBytes = 512 * 1024;

/** Consecutive slots of a region that blocks are appended to. */
interface Segment {
	readonly bytes: Uint8Array;
	readonly region: Region;
	/** The first slot within its region, and the number of slots. */
	readonly slot: number;
	readonly slots: number;
	/** First offset. */
	readonly base: number;
	/** Size, written units from the start, and live units among them. */
	readonly units: number;
	used: number;
	live: number;
	/** Units whose slots are counted as resident. */
	reached: number;
}

/**
 * Memory that is allocated and freed as a whole. A region that is being cleared accepts no new
 * blocks.
 */
interface Region {
	readonly buffer: ArrayBuffer;
	/** The number of its first slot in the arena. */
	readonly firstSlot: number;
	/** By slot: 1 if its pages are resident, that is, written since the region was created. */
	readonly resident: Uint8Array;
	/** Slots without a segment, and those of them that are resident. */
	free: number;
	idle: number;
	clearing: boolean;
}

/** The array of a slot without a segment. */
const noBytes = new Uint8Array(0);

/**
 * Storage for attribute blocks, similar to a log: blocks are appended to an open segment; the slots
 * of a segment without live blocks are reused. If dead blocks and free slots exceed a quarter of
 * the live bytes, blocks move: out of the segment with the smallest live share, or out of a whole
 * region, which then returns to the kernel. Memory use thus follows the live bytes for any pattern
 * of sizes, and each call moves at most `mostMovedBytes` and one segment. When long blocks replace
 * short ones, a table below 8 MiB may take 2.5 times its live bytes for a while.
 */
export class Arena {
	readonly #moved: (owner: number, offset: number) => void;
	/**
	 * By slot, that is, by the upper bits of an offset: its segment, and its bytes up to the end of
	 * the segment. The way to a block, taken very often, reads the bytes alone: when it led through
	 * `Segment`, V8 once discarded the optimized code of all readers.
	 */
	readonly #segments: (Segment | undefined)[] = [];
	readonly #slabs: Uint8Array[] = [];
	/** A freed region leaves a gap, for the slots of a later one. */
	readonly #regions: (Region | undefined)[] = [];
	#open: Segment | undefined = undefined;
	/** Live blocks of more than `shortUnits`. */
	#longBlocks = 0;
	#residentSlots = 0;
	#liveUnits = 0;
	#freedSinceLook = 0;

	/** `moved` is called with the new offset of a moved block, during `allocate` and `free`. */
	constructor(moved: (owner: number, offset: number) => void) {
		this.#moved = moved;
	}

	/** Bytes of slots that were written and not returned to the kernel. */
	get residentBytes(): number {
		return this.#residentSlots * slotBytes;
	}

	/** Bytes of the live blocks, including headers. */
	get liveBytes(): number {
		return this.#liveUnits << unitShift;
	}

	/** Allocates `length` bytes, at most 65535, for `owner`, a number above 0. */
	allocate(owner: number, length: number): number {
		const units = unitsOf(length);
		if (units > shortUnits) this.#longBlocks++;
		if (this.#open === undefined || this.#open.used + units > this.#open.units) this.#tidy();
		return this.#append(owner, length);
	}

	free(offset: number): void {
		const segment = this.#segmentOf(offset);
		const at = (offset - segment.base) << unitShift;
		const units = unitsOf(readLength(segment.bytes, at));
		writeOwner(segment.bytes, at, 0);
		if (units > shortUnits) this.#longBlocks--;
		this.#liveUnits -= units;
		this.#lose(segment, units);
		this.#freedSinceLook += units << unitShift;
		if (this.#freedSinceLook >= freedBetweenLooks) this.#tidy();
	}

	/** The array that contains a block. Valid until the next `allocate` or `free`. */
	slab(offset: number): Uint8Array {
		// Every live offset has a slot.
		return this.#slabs[offset >>> slotShift] as Uint8Array;
	}

	/** The start of a block in its slab. */
	start(offset: number): number {
		return ((offset & (slotUnits - 1)) + headerUnits) << unitShift;
	}

	#segmentOf(offset: number): Segment {
		// Every live offset has a segment.
		return this.#segments[offset >>> slotShift] as Segment;
	}

	#append(owner: number, length: number): number {
		const units = unitsOf(length);
		let segment = this.#open;
		if (segment === undefined || segment.used + units > segment.units) segment = this.#openNext();
		const at = segment.used << unitShift;
		writeOwner(segment.bytes, at, owner);
		segment.bytes[at + 4] = length;
		segment.bytes[at + 5] = length >>> 8;
		const offset = segment.base + segment.used;
		segment.used += units;
		if (segment.used > segment.reached) this.#reach(segment);
		segment.live += units;
		this.#liveUnits += units;
		return offset;
	}

	/** Counts the written slots of a segment as resident. */
	#reach(segment: Segment): void {
		const { resident } = segment.region;
		for (; segment.reached < segment.used; segment.reached += slotUnits) {
			const slot = segment.slot + segment.reached / slotUnits;
			if (resident[slot] === 0) this.#residentSlots++;
			resident[slot] = 1;
		}
	}

	/** Subtracts `units` from a segment, which is dissolved when it is empty. */
	#lose(segment: Segment, units: number): void {
		segment.live -= units;
		if (segment.live > 0) return;
		if (segment === this.#open) segment.used = 0;
		else this.#dissolve(segment);
	}

	/** Makes the slots of a segment free. */
	#dissolve({ region, slot, slots }: Segment): void {
		for (let index = slot; index < slot + slots; index++) {
			this.#segments[region.firstSlot + index] = undefined;
			this.#slabs[region.firstSlot + index] = noBytes;
			if (region.resident[index] === 1) region.idle++;
		}
		region.free += slots;
		if (region.clearing) this.#dropIfEmpty(region);
	}

	/** Opens another segment; the one before is dissolved if it is empty. */
	#openNext(): Segment {
		const before = this.#open;
		this.#open = undefined;
		if (before?.live === 0) this.#dissolve(before);
		this.#open = this.#take(this.#segmentSlots);
		return this.#open;
	}

	get #segmentSlots(): number {
		return this.#longBlocks > 0 ? longSegmentSlots : 1;
	}

	/** A new segment, from resident slots if there are any. */
	#take(slots: number): Segment {
		const accepting = this.#regions.filter(
			(region) => region !== undefined && !region.clearing && region.free >= slots,
		);
		const idle = accepting.find((region) => region !== undefined && region.idle >= slots);
		for (const region of [idle, ...accepting]) {
			if (region === undefined) continue;
			const slot = this.#freeSlot(region, slots);
			if (slot !== undefined) return this.#addSegment(region, slot, slots);
		}
		return this.#addSegment(this.#addRegion(), 0, slots);
	}

	/**
	 * The first free slots of a region, resident ones if there are any. A run begins at a multiple of
	 * its length.
	 */
	#freeSlot(region: Region, slots: number): number | undefined {
		let first: number | undefined;
		for (let slot = 0; slot < region.resident.length; slot += slots) {
			let taken = false;
			for (let index = slot; index < slot + slots; index++)
				taken ||= this.#segments[region.firstSlot + index] !== undefined;
			if (taken) continue;
			if (region.idle === 0 || region.resident[slot] === 1) return slot;
			first ??= slot;
		}
		return first;
	}

	#addSegment(region: Region, slot: number, slots: number): Segment {
		const bytes = new Uint8Array(region.buffer, slot * slotBytes, slots * slotBytes);
		const base = (region.firstSlot + slot) * slotUnits;
		const segment = { bytes, region, slot, slots, base, units: slots * slotUnits, used: 0, live: 0, reached: 0 };
		for (let index = slot; index < slot + slots; index++) {
			this.#segments[region.firstSlot + index] = segment;
			this.#slabs[region.firstSlot + index] = bytes.subarray((index - slot) * slotBytes);
			if (region.resident[index] === 1) region.idle--;
		}
		region.free -= slots;
		return segment;
	}

	#addRegion(): Region {
		const gap = this.#regions.indexOf(undefined);
		const number = gap < 0 ? this.#regions.length : gap;
		const slots = number === 0 ? firstRegionSlots : regionSlots;
		const firstSlot = number === 0 ? 0 : firstRegionSlots + (number - 1) * regionSlots;
		const buffer = new ArrayBuffer(slots * slotBytes);
		const resident = new Uint8Array(slots);
		const region: Region = { buffer, firstSlot, resident, free: slots, idle: 0, clearing: false };
		this.#regions[number] = region;
		while (this.#slabs.length < firstSlot + slots) {
			this.#slabs.push(noBytes);
			this.#segments.push(undefined);
		}
		return region;
	}

	/** Moves blocks if too much memory is wasted. */
	#tidy(): void {
		this.#freedSinceLook = 0;
		for (let moved = 0; moved < mostMovedBytes; ) {
			const slack = slackSegments * this.#segmentSlots * slotBytes;
			const tolerated = slack + this.liveBytes * wasteShare;
			const wasted = this.residentBytes - this.liveBytes;
			if (wasted <= tolerated) return;
			const idle = this.#regions.reduce((sum, region) => sum + (region?.idle ?? 0), 0) * slotBytes;
			const clearing = this.#regions.find((region) => region?.clearing);
			// Moving blocks makes slots free, which the next blocks take before untouched ones: a few
			// suffice, unless dead blocks alone exceed the limit. Long segments need runs of slots.
			const suffices = idle >= slack && idle <= tolerated && wasted - idle <= tolerated;
			if (suffices && clearing === undefined && this.#longBlocks === 0) return;
			// A region is cleared only if free slots alone exceed the limit.
			const victim =
				clearing === undefined && idle <= tolerated
					? this.#sparsest()
					: this.#firstIn(clearing ?? this.#beginClearing());
			if (victim === undefined) return;
			moved += victim.slots * slotBytes;
			this.#evacuate(victim);
		}
	}

	/** The segment with the smallest live share; a nearly full one gives no gain. */
	#sparsest(): Segment | undefined {
		let sparsest: Segment | undefined;
		let least = 1 - 1 / 8;
		for (const segment of this.#segments) {
			if (segment === undefined || segment === this.#open) continue;
			const share = segment.live / segment.units;
			if (share >= least) continue;
			sparsest = segment;
			least = share;
		}
		return sparsest;
	}

	/** Chooses the region with the smallest live share to be cleared. */
	#beginClearing(): Region {
		const regions = this.#regions.filter((region) => region !== undefined);
		const shares = new Map(regions.map((region) => [region, this.#liveShare(region)]));
		const region = regions.reduce((least, other) =>
			(shares.get(other) ?? 0) < (shares.get(least) ?? 0) ? other : least,
		);
		const open = this.#open;
		if (open?.region === region) {
			this.#open = undefined;
			if (open.live === 0) this.#dissolve(open);
		}
		region.clearing = true;
		return region;
	}

	/** Live units of a region by slot. */
	#liveShare({ firstSlot, resident }: Region): number {
		let live = 0;
		for (let slot = 0; slot < resident.length; slot++) {
			const segment = this.#segments[firstSlot + slot];
			if (segment?.slot === slot) live += segment.live;
		}
		return live / resident.length;
	}

	/** The next segment of a region that is being cleared; without one the region is freed. */
	#firstIn(region: Region): Segment | undefined {
		for (let slot = 0; slot < region.resident.length; slot++) {
			const segment = this.#segments[region.firstSlot + slot];
			if (segment !== undefined) return segment;
		}
		this.#dropIfEmpty(region);
		return undefined;
	}

	#evacuate(segment: Segment): void {
		const { bytes, used } = segment;
		for (let unit = 0; unit < used && segment.live > 0; ) {
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
		if (region.free < region.resident.length) return;
		this.#regions[this.#regions.indexOf(region)] = undefined;
		this.#residentSlots -= region.idle;
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
