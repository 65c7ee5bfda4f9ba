import koffi from 'koffi';
import { check } from './libc.ts';

/** The number of bpf(2). */
const bpfNumber = process.arch === 'arm64' ? 280 : 321;
const [protectRead, protectWrite, mapShared] = [1, 2, 1];

interface Functions {
	bpf(number: number, command: number, attributes: Uint8Array, length: number): number | bigint;
	mmap(address: null, length: number, protection: number, flags: number, fd: number, offset: number): bigint | null;
	munmap(address: bigint, length: number): number;
	setrlimit(resource: number, limits: BigUint64Array): number;
}

let loaded: Functions | undefined;

function functions(): Functions {
	if (loaded !== undefined) return loaded;
	const library = koffi.load(null);
	loaded = {
		bpf: library.func('int64_t syscall(int64_t number, int command, uint8_t *attributes, uint32_t length)'),
		mmap: library.func(
			'uintptr_t mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
		),
		munmap: library.func('int munmap(uintptr_t address, size_t length)'),
		setrlimit: library.func('int setrlimit(int resource, uint64_t *limits)'),
	};
	return loaded;
}

/** bpf(2) with a `union bpf_attr` of `length` bytes; -1 on failure, the reason in `lastErrno`. */
export function bpfSystemCall(command: number, attributes: Uint8Array, length: number): number {
	return Number(functions().bpf(bpfNumber, command, attributes, length));
}

/** RLIMIT_MEMLOCK, `asm-generic/resource.h`; RLIM_INFINITY. */
const [lockedMemory, infinity] = [8, 0xffffffffffffffffn];

/** Takes the limit of locked memory off this process; `false`: CAP_SYS_RESOURCE is missing. */
export const raiseLockedMemory = (): boolean =>
	functions().setrlimit(lockedMemory, BigUint64Array.of(infinity, infinity)) === 0;

/**
 * The address of bytes, for pointers inside of attributes. The caller holds a reference to the
 * bytes during the call.
 */
export const pointerTo = (bytes: Uint8Array): bigint => BigInt(koffi.address(bytes));

/** Memory that the kernel shares with this process. */
export interface SharedMemory {
	readonly view: DataView;
	/** The view must not be used afterwards. */
	unmap(): void;
}

/** Maps `length` bytes of a descriptor from `offset` on, shared. @throws SystemCallError */
export function mapMemory(fd: number, offset: number, length: number, writable: boolean): SharedMemory {
	const protection = writable ? protectRead | protectWrite : protectRead;
	const address = BigInt(functions().mmap(null, length, protection, mapShared, fd, offset) ?? 0);
	// MAP_FAILED is -1.
	if (BigInt.asIntN(64, address) === -1n) check('mmap', -1);
	return {
		view: new DataView(koffi.view(address, length)),
		unmap: () => {
			check('munmap', functions().munmap(address, length));
		},
	};
}
