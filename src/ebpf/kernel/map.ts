import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { raiseLockedMemory, SystemCallError } from '../../linux/index.ts';
import { Attributes, bpf, Command, pathBytes, tryBpf } from './call.ts';

/** Kinds of maps, with the kernel that introduced each. */
export const MapType = {
	hash: 1, // 3.19
	array: 2, // 3.19
	programArray: 3, // 4.2
	perCpuArray: 6, // 4.6
	lruHash: 9, // 4.10
	lpmTrie: 11, // 4.11
	ringBuffer: 27, // 5.8
} as const;

/** Elements that one call reads; a bucket of a hash has fewer. */
const mostPerSlice = 4096;

/** What a map is made of. */
export interface MapDefinition {
	readonly name: string;
	readonly type: keyof typeof MapType;
	/** 0 for a ring buffer. */
	readonly keyBytes: number;
	/** 0 for a ring buffer. */
	readonly valueBytes: number;
	/** Most entries; bytes of a ring buffer, a power of 2 and a multiple of the page size. */
	readonly entries: number;
	/** A hash allocates an element when it is added, not all of them ahead. */
	readonly onDemand?: true;
}

/**
 * An LPM trie allocates each element when it is added; the kernel requires the flag
 * (BPF_F_NO_PREALLOC).
 */
const flagsOf = ({ type, onDemand }: MapDefinition): number => (type === 'lpmTrie' || onDemand === true ? 1 : 0);

/**
 * A map of the kernel. Keys and values are bytes in the machine's order unless their owner states
 * otherwise.
 */
export class BpfMap {
	readonly definition: MapDefinition;
	#fd: number;

	private constructor(definition: MapDefinition, fd: number) {
		this.definition = definition;
		this.#fd = fd;
	}

	/** -1 behind `close`: the number may be that of another map by then, with larger elements. */
	get fd(): number {
		return this.#fd;
	}

	/** @throws SystemCallError */
	static create(definition: MapDefinition): BpfMap {
		const { name, type, keyBytes, valueBytes, entries } = definition;
		const attributes = new Attributes()
			.u32(0, MapType[type])
			.u32(4, keyBytes)
			.u32(8, valueBytes)
			.u32(12, entries)
			.u32(16, flagsOf(definition))
			.name(28, name);
		const create = () => tryBpf(Command.mapCreate, attributes, 72);
		let fd = create();
		// Kernels before 5.11 count maps as locked memory, of which a process has little at first.
		if (fd === -constants.errno.EPERM && raiseLockedMemory()) fd = create();
		if (fd < 0) throw new SystemCallError(`bpf: create map ${name}`, -fd);
		return new BpfMap(definition, fd);
	}

	/**
	 * A map that is pinned at `path`; `undefined`: there is none. @throws MapMismatchError,
	 * SystemCallError
	 */
	static openPinned(definition: MapDefinition, path: string): BpfMap | undefined {
		const fd = tryBpf(Command.openPin, new Attributes().pointer(0, pathBytes(path)), 16);
		if (fd === -constants.errno.ENOENT) return undefined;
		if (fd < 0) throw new SystemCallError(`bpf: open ${path}`, -fd);
		const map = new BpfMap(definition, fd);
		const difference = map.#difference();
		if (difference === undefined) return map;
		map.close();
		throw new MapMismatchError(path, difference);
	}

	/** BPF_OBJ_GET_INFO_BY_FD, `struct bpf_map_info`. */
	#difference(): string | undefined {
		const info = new Uint8Array(88);
		bpf('map info', Command.objectInfo, new Attributes().u32(0, this.fd).u32(4, info.length).pointer(8, info), 16);
		const view = new DataView(info.buffer);
		const { type, keyBytes, valueBytes, entries } = this.definition;
		const expected = { type: MapType[type] as number, keyBytes, valueBytes, entries };
		const [found, keys, values, most] = [0, 8, 12, 16].map((offset) => view.getUint32(offset, true));
		const actual: Readonly<Record<string, number | undefined>> = {
			type: found,
			keyBytes: keys,
			valueBytes: values,
			entries: most,
		};
		const wrong = Object.entries(expected).filter(([name, value]) => actual[name] !== value);
		if (wrong.length === 0) return undefined;
		return wrong.map(([name, value]) => `${name} is ${actual[name]}, not ${value}`).join(', ');
	}

	/** @throws MapFullError, SystemCallError */
	set(key: Uint8Array, value: Uint8Array): void {
		this.#require(key, value, 1);
		const attributes = new Attributes().u32(0, this.fd).pointer(8, key).pointer(16, value);
		const result = tryBpf(Command.update, attributes, 32);
		if (result < 0) throw this.#updateError(-result);
	}

	/** Sets an element that does not exist; `false`: it does. @throws SystemCallError */
	add(key: Uint8Array, value: Uint8Array): boolean {
		this.#require(key, value, 1);
		const noExist = 1n;
		const attributes = new Attributes().u32(0, this.fd).pointer(8, key).pointer(16, value).u64(24, noExist);
		const result = tryBpf(Command.update, attributes, 32);
		if (result === -constants.errno.EEXIST) return false;
		if (result < 0) throw this.#updateError(-result);
		return true;
	}

	/**
	 * Many elements: keys and values one behind the other. One call (kernel 5.6) or one for each; not
	 * atomic. @throws MapFullError, SystemCallError
	 */
	setMany(keys: Uint8Array, values: Uint8Array, count: number): void {
		if (count === 0) return;
		this.#require(keys, values, count);
		const { keyBytes, valueBytes } = this.definition;
		const attributes = new Attributes().pointer(16, keys).pointer(24, values).u32(32, count).u32(36, this.fd);
		const result = tryBpf(Command.updateBatch, attributes, 56);
		if (result >= 0) return;
		// EINVAL: no such command; ENOTSUPP (524): no batches for this type of map.
		if (result !== -constants.errno.EINVAL && result !== -524) throw this.#updateError(-result);
		for (let index = 0; index < count; index++)
			this.set(
				keys.slice(index * keyBytes, (index + 1) * keyBytes),
				values.slice(index * valueBytes, (index + 1) * valueBytes),
			);
	}

	/** @throws SystemCallError */
	get(key: Uint8Array): Uint8Array | undefined {
		const value = new Uint8Array(this.definition.valueBytes);
		this.#require(key, value, 1);
		const attributes = new Attributes().u32(0, this.fd).pointer(8, key).pointer(16, value);
		const result = tryBpf(Command.lookup, attributes, 32);
		if (result === -constants.errno.ENOENT) return undefined;
		if (result < 0) throw new SystemCallError(`bpf: look up in map ${this.definition.name}`, -result);
		return value;
	}

	/** Sets an element that exists; `false`: it does not. @throws SystemCallError */
	replace(key: Uint8Array, value: Uint8Array): boolean {
		this.#require(key, value, 1);
		const exist = 2n;
		const attributes = new Attributes().u32(0, this.fd).pointer(8, key).pointer(16, value).u64(24, exist);
		const result = tryBpf(Command.update, attributes, 32);
		if (result === -constants.errno.ENOENT) return false;
		if (result < 0) throw this.#updateError(-result);
		return true;
	}

	/** Was it there? @throws SystemCallError */
	delete(key: Uint8Array): boolean {
		const result = tryBpf(Command.delete, new Attributes().u32(0, this.fd).pointer(8, key), 32);
		if (result === -constants.errno.ENOENT) return false;
		if (result < 0) throw new SystemCallError(`bpf: delete from map ${this.definition.name}`, -result);
		return true;
	}

	/**
	 * Keys that are there; with changes at the same time some may be missing or occur twice. @throws
	 * SystemCallError
	 */
	*keys(): Generator<Uint8Array> {
		let key: Uint8Array | undefined;
		for (;;) {
			const next = new Uint8Array(this.definition.keyBytes);
			const attributes = new Attributes().u32(0, this.fd).pointer(8, key).pointer(16, next);
			const result = tryBpf(Command.nextKey, attributes, 32);
			if (result === -constants.errno.ENOENT) return;
			if (result < 0) throw new SystemCallError(`bpf: keys of map ${this.definition.name}`, -result);
			yield next;
			key = next;
		}
	}

	/**
	 * Elements of a hash, many with each call (kernel 5.6): for large maps. With changes at the same
	 * time some may be missing or occur twice, and none follow `close`. @throws SystemCallError
	 */
	*slices(): Generator<(readonly [key: Uint8Array, value: Uint8Array])[]> {
		const { keyBytes, valueBytes, name } = this.definition;
		const [keys, values] = [new Uint8Array(mostPerSlice * keyBytes), new Uint8Array(mostPerSlice * valueBytes)];
		// The place where the next slice begins.
		const place = new Uint8Array(8);
		for (let isFirst = true; ; isFirst = false) {
			const attributes = new Attributes().pointer(0, isFirst ? undefined : place.slice()).pointer(8, place);
			attributes.pointer(16, keys).pointer(24, values).u32(32, mostPerSlice).u32(36, this.fd);
			const result = tryBpf(Command.lookupBatch, attributes, 56);
			const isLast = result === -constants.errno.ENOENT;
			if (result < 0 && !isLast) throw new SystemCallError(`bpf: elements of map ${name}`, -result);
			yield Array.from({ length: attributes.readU32(32) }, (_, index) => [
				keys.slice(index * keyBytes, (index + 1) * keyBytes),
				values.slice(index * valueBytes, (index + 1) * valueBytes),
			]);
			if (isLast || this.#fd < 0) return;
		}
	}

	/** A hash that is full gives E2BIG, an LPM trie ENOSPC. */
	#updateError(errno: number): Error {
		const { E2BIG, ENOSPC } = constants.errno;
		if (errno === E2BIG || errno === ENOSPC) return new MapFullError(this.definition);
		return new SystemCallError(`bpf: update map ${this.definition.name}`, errno);
	}

	/**
	 * The map lives on while a pin or a program refers to it. Calls behind it fail with EBADF; a
	 * second `close` does nothing.
	 */
	close(): void {
		if (this.#fd < 0) return;
		closeSync(this.#fd);
		this.#fd = -1;
	}

	/**
	 * The kernel reads and writes as many bytes as the definition states: shorter buffers would be
	 * read past their end.
	 */
	#require(keys: Uint8Array, values: Uint8Array, count: number): void {
		const { name, type, keyBytes, valueBytes } = this.definition;
		if (type === 'perCpuArray' || type === 'ringBuffer') throw new TypeError(`map ${name} has no single values`);
		if (keys.length !== keyBytes * count || values.length !== valueBytes * count)
			throw new RangeError(
				`map ${name}: ${keys.length} and ${values.length} bytes for ${count} keys of ${keyBytes} and ` +
					`values of ${valueBytes}`,
			);
	}
}

/** No more elements fit into a map. */
export class MapFullError extends Error {
	override readonly name = 'MapFullError';

	constructor({ name, entries }: MapDefinition) {
		super(`the map ${name} is full: it holds ${entries} elements`);
	}
}

/** A pinned map has another shape than this version uses. */
export class MapMismatchError extends Error {
	override readonly name = 'MapMismatchError';
	readonly path: string;

	constructor(path: string, difference: string) {
		super(`the pinned map ${path} is of another layout: ${difference}`);
		this.path = path;
	}
}
