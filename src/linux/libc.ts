import { constants } from 'node:os';
import koffi from 'koffi';

/** A pointer argument: bytes that the call reads or fills while it runs. */
type Bytes = Uint8Array | null;

/** C functions without a Node API. All return -1 on failure and set `errno`. */
interface Libc {
	socket(domain: number, type: number, protocol: number): number;
	socketpair(domain: number, type: number, protocol: number, pair: Uint8Array): number;
	bind(fd: number, address: Uint8Array, length: number): number;
	connect(fd: number, address: Uint8Array, length: number): number;
	getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
	setsockopt(fd: number, level: number, name: number, value: Bytes, length: number): number;
	getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
	send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
	/**
	 * `send` on a thread of libuv's pool; the bytes must not change until its callback. Its errno
	 * is unavailable.
	 */
	sendAsync(fd: number, bytes: Uint8Array, length: number, flags: number): Promise<number>;
	sendto(
		fd: number,
		bytes: Uint8Array,
		length: number,
		flags: number,
		address: Uint8Array,
		addressLength: number,
	): number;
	recv(fd: number, bytes: Uint8Array, length: number, flags: number): number;
	dup2(from: number, to: number): number;
	close(fd: number): number;
	unshare(flags: number): number;
	/** Moves only the calling thread into a namespace. */
	setns(fd: number, type: number): number;
	/**
	 * `setsockopt` with a `struct sock_fprog` of `length` instructions of a classic BPF program.
	 */
	setFilter(fd: number, level: number, name: number, length: number, program: Uint8Array): number;
}

let loaded: Libc | undefined;

/**
 * The C library of this process, glibc or musl; bound on first use, because koffi takes some
 * milliseconds.
 */
export function libc(): Libc {
	loaded ??= load();
	return loaded;
}

function load(): Libc {
	const library = koffi.load(null);
	// `ssize_t` has no name in koffi; possible results here are below 2^53.
	const send = library.func('int64_t send(int fd, const uint8_t *bytes, size_t length, int flags)');
	const sendto = library.func(
		'int64_t sendto(int fd, const uint8_t *bytes, size_t length, int flags, const uint8_t ' +
			'*address, uint32_t addressLength)',
	);
	koffi.struct('sock_fprog', { length: 'uint16_t', filter: 'const uint8_t *' });
	const setFilter = library.func('setsockopt', 'int', ['int', 'int', 'int', 'sock_fprog *', 'uint32_t']);
	const recv = library.func('int64_t recv(int fd, uint8_t *bytes, size_t length, int flags)');
	return {
		socket: library.func('int socket(int domain, int type, int protocol)'),
		socketpair: library.func('int socketpair(int domain, int type, int protocol, uint8_t *pair)'),
		bind: library.func('int bind(int fd, const uint8_t *address, uint32_t length)'),
		connect: library.func('int connect(int fd, const uint8_t *address, uint32_t length)'),
		getsockname: library.func('int getsockname(int fd, uint8_t *address, uint8_t *length)'),
		setsockopt: library.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)'),
		getsockopt: library.func('int getsockopt(int fd, int level, int name, uint8_t *value, uint8_t *length)'),
		send: (fd, bytes, length, flags) => Number(send(fd, bytes, length, flags)),
		sendAsync: (fd, bytes, length, flags) =>
			new Promise((resolve, reject) => {
				send.async(fd, bytes, length, flags, (error: unknown, sent: number | bigint) =>
					error ? reject(error) : resolve(Number(sent)),
				);
			}),
		sendto: (fd, bytes, length, flags, address, addressLength) =>
			Number(sendto(fd, bytes, length, flags, address, addressLength)),
		recv: (fd, bytes, length, flags) => Number(recv(fd, bytes, length, flags)),
		dup2: library.func('int dup2(int from, int to)'),
		close: library.func('int close(int fd)'),
		setFilter: (fd, level, name, length, program) => setFilter(fd, level, name, { length, filter: program }, 16),
		unshare: library.func('int unshare(int flags)'),
		setns: library.func('int setns(int fd, int type)'),
	};
}

// Some numbers have two names (EAGAIN, EWOULDBLOCK): the first one is used.
const errnoNames: ReadonlyMap<number, string> = new Map(
	Object.entries(constants.errno)
		.map(([name, value]) => [value, name] as const)
		.reverse(),
);

/** `ENOENT` for 2; `errno 2000` for a number without a name. */
export function errnoName(errno: number): string {
	return errnoNames.get(errno) ?? `errno ${errno}`;
}

/** A system call that failed. */
export class SystemCallError extends Error {
	override readonly name = 'SystemCallError';
	readonly call: string;
	readonly errno: number;
	/** `ENOENT` and similar. */
	readonly code: string;

	constructor(call: string, errno: number) {
		super(`${call}: ${errnoName(errno)}`);
		this.call = call;
		this.errno = errno;
		this.code = errnoName(errno);
	}
}

/** The result of a successful C function. @throws SystemCallError with errno */
export function check(call: string, result: number): number {
	if (result < 0) throw new SystemCallError(call, koffi.errno());
	return result;
}

/** The errno of the last synchronous call. */
export function lastErrno(): number {
	return koffi.errno();
}
