import { bpfSystemCall, lastErrno, pointerTo, SystemCallError } from '../../linux/index.ts';

/** Commands of bpf(2), `linux/bpf.h`. */
export const Command = {
	mapCreate: 0,
	lookup: 1,
	update: 2,
	delete: 3,
	nextKey: 4,
	programLoad: 5,
	pin: 6,
	openPin: 7,
	testRun: 10,
	objectInfo: 15,
	programQuery: 16,
	lookupBatch: 24,
	updateBatch: 26,
	linkCreate: 28,
	linkUpdate: 29,
	linkDetach: 34,
} as const;

/** A `union bpf_attr`, written by hand at fixed offsets: the kernel only appends to it. */
export class Attributes {
	readonly bytes = new Uint8Array(144);
	readonly #view = new DataView(this.bytes.buffer);
	/** Bytes that the attributes point to stay reachable as long as the attributes. */
	readonly #referenced: Uint8Array[] = [];

	u32(offset: number, value: number): this {
		this.#view.setUint32(offset, value, true);
		return this;
	}

	u64(offset: number, value: bigint): this {
		this.#view.setBigUint64(offset, value, true);
		return this;
	}

	pointer(offset: number, bytes: Uint8Array | undefined): this {
		if (bytes === undefined || bytes.length === 0) return this.u64(offset, 0n);
		this.#referenced.push(bytes);
		return this.u64(offset, pointerTo(bytes));
	}

	/** A name of an object: letters, digits, `_` and `.`, at most 15 (BPF_OBJ_NAME_LEN). */
	name(offset: number, name: string): this {
		this.bytes.set(new TextEncoder().encode(name.replaceAll(/[^A-Za-z0-9_.]/g, '_').slice(0, 15)), offset);
		return this;
	}

	readU32(offset: number): number {
		return this.#view.getUint32(offset, true);
	}
}

/** The result, or the negative errno. */
export function tryBpf(command: number, attributes: Attributes, length: number): number {
	const result = bpfSystemCall(command, attributes.bytes, length);
	return result < 0 ? -lastErrno() : result;
}

/** @throws SystemCallError with `what` as the name of the call */
export function bpf(what: string, command: number, attributes: Attributes, length: number): number {
	const result = tryBpf(command, attributes, length);
	if (result < 0) throw new SystemCallError(`bpf: ${what}`, -result);
	return result;
}

/** Bytes of a path, with its end. */
export const pathBytes = (path: string): Uint8Array => new TextEncoder().encode(`${path}\0`);

/** The descriptor of a pinned link; `undefined`: there is none. */
export function openPinnedLink(path: string): number | undefined {
	const fd = tryBpf(Command.openPin, new Attributes().pointer(0, pathBytes(path)), 16);
	return fd < 0 ? undefined : fd;
}
