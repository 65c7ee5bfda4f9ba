import { nextTurn } from '../../core/index.ts';
import { check, errnoName, lastErrno, libc, SystemCallError } from '../libc.ts';
import { MessageFlag, MessageType } from './constants.ts';
import { decodeAcknowledgement, eachMessage, type Message } from './reader.ts';
import { littleEndian, MessageWriter } from './writer.ts';

const family = 16;
const rawCloseOnExecNonBlocking = 3 | 0x80000 | 0x800;
const solSocket = 1;
const SocketOption = { sendBuffer: 7, receiveBuffer: 8, sendBufferForce: 32, receiveBufferForce: 33 } as const;
const solNetlink = 270;
const NetlinkOption = { addMembership: 1, capAck: 10, extAck: 11, strictCheck: 12 } as const;
const dontWait = 0x40;
const receiveBytes = 65536;
/** Datagrams read at a time before other work runs; one contains some 300 routes. */
const datagramsPerSlice = 2;
const mostDumpAttempts = 5;

/** A request that the kernel refused. */
export class NetlinkError extends Error {
	override readonly name = 'NetlinkError';
	readonly errno: number;
	/** `EEXIST` and similar. */
	readonly code: string;
	/** The kernel's message; `''` if there is none. */
	readonly sentence: string;
	/**
	 * The position of the refused attribute in the request, in bytes from the message's header on;
	 * `undefined`: not reported.
	 */
	readonly attributeOffset: number | undefined;

	constructor(errno: number, sentence: string, attributeOffset?: number) {
		super(sentence === '' ? errnoName(errno) : `${sentence} (${errnoName(errno)})`);
		this.errno = errno;
		this.code = errnoName(errno);
		this.sentence = sentence;
		this.attributeOffset = attributeOffset;
	}
}

/** A dump that was interrupted repeatedly because its table kept changing. */
export class DumpInterruptedError extends Error {
	override readonly name = 'DumpInterruptedError';
}

/** Netlink protocols: linux/netlink.h. */
export const NetlinkProtocol = { route: 0, netfilter: 12, generic: 16 } as const;

/** The options of a netlink socket. */
export interface NetlinkSocketOptions {
	/** `NetlinkProtocol`; rtnetlink by default. */
	readonly protocol?: number;
	/** Limit of one send: an nf_tables transaction is sent as a whole. 4 MiB by default. */
	readonly sendBufferBytes?: number;
}

/** An open netlink socket with large buffers and full error messages. @throws SystemCallError */
export function openNetlinkFd({
	protocol = NetlinkProtocol.route,
	sendBufferBytes = 4 << 20,
}: NetlinkSocketOptions = {}): number {
	const { socket, setsockopt, bind, close } = libc();
	const fd = check('socket', socket(family, rawCloseOnExecNonBlocking, protocol));
	const number = (value: number) => {
		const bytes = new Uint8Array(4);
		new DataView(bytes.buffer).setUint32(0, value, littleEndian);
		return bytes;
	};
	const option = (level: number, name: number, value: number) => setsockopt(fd, level, name, number(value), 4);
	// Beyond the system's limit only as root; otherwise as much as the system permits.
	if (option(solSocket, SocketOption.receiveBufferForce, 8 << 20) < 0)
		option(solSocket, SocketOption.receiveBuffer, 8 << 20);
	if (option(solSocket, SocketOption.sendBufferForce, sendBufferBytes) < 0)
		option(solSocket, SocketOption.sendBuffer, sendBufferBytes);
	for (const name of [NetlinkOption.capAck, NetlinkOption.extAck, NetlinkOption.strictCheck])
		option(solNetlink, name, 1);
	const address = new Uint8Array(12);
	new DataView(address.buffer).setUint16(0, family, littleEndian);
	if (bind(fd, address, address.length) < 0) {
		const errno = lastErrno();
		close(fd);
		throw new SystemCallError('bind', errno);
	}
	return fd;
}

/** Subscribes to a multicast group. @throws SystemCallError */
export function joinGroup(fd: number, group: number): void {
	const bytes = new Uint8Array(4);
	new DataView(bytes.buffer).setUint32(0, group, littleEndian);
	check('setsockopt', libc().setsockopt(fd, solNetlink, NetlinkOption.addMembership, bytes, 4));
}

/** Writes one message with the sequence number given; several for a batch. */
export type WriteMessages = (writer: MessageWriter, nextSequence: () => number) => void;

/**
 * Requests to the kernel, one exchange at a time in the order of the calls. The kernel works while
 * `send` runs, on a thread of libuv's pool; afterwards every response is ready to be read.
 */
export class NetlinkSocket {
	readonly portId: number;
	#fd: number | undefined;
	#sequence = 0;
	readonly #writer = new MessageWriter();
	/** Buffers of streams that are not in use. */
	readonly #spare: MessageWriter[] = [];
	#received = new Uint8Array(receiveBytes);
	#last: Promise<unknown> = Promise.resolve();

	/** @throws SystemCallError */
	constructor(options: NetlinkSocketOptions = {}) {
		this.#fd = openNetlinkFd(options);
		this.portId = portIdOf(this.#fd);
	}

	/** Sends one request with an acknowledgement. @throws NetlinkError if refused */
	async request(write: (writer: MessageWriter, sequence: number) => void): Promise<void> {
		const failures = await this.batch((writer, nextSequence) => write(writer, nextSequence()));
		for (const failure of failures.values()) throw failure;
	}

	/**
	 * Sends messages in one call, in order; returns the refused ones, by sequence number. More than
	 * a thousand at a time is not faster. `onMessage` gets the responses that are no
	 * acknowledgements.
	 * @throws SystemCallError if the responses were lost (ENOBUFS), so that the result is unknown
	 */
	batch(write: WriteMessages, onMessage?: (message: Message) => void): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.#exclusive(async () => {
			const first = this.#sequence + 1;
			await this.#send(write);
			const failures = new Map<number, NetlinkError>();
			const visit = (message: Message) => {
				if (message.type === MessageType.error)
					this.#collectFailure(message, first, (sequence, error) => failures.set(sequence, error));
				else onMessage?.(message);
			};
			while (this.#receive(visit));
			return failures;
		});
	}

	/**
	 * Sends `count` messages, `size` in one call, in order: while the kernel works on one batch,
	 * the next one is written. The first batch is written at once, also if an earlier exchange is in
	 * progress: two streams follow each other without a pause. Returns the refused ones, by
	 * position. `write` appends exactly one message.
	 * @throws SystemCallError if the responses were lost (ENOBUFS), so that the result is unknown
	 */
	stream(
		count: number,
		size: number,
		write: (writer: MessageWriter, position: number, sequence: number) => void,
	): Promise<ReadonlyMap<number, NetlinkError>> {
		if (count === 0) return Promise.resolve(new Map());
		let batch = this.#fill(0, Math.min(size, count), write);
		return this.#exclusive(async () => {
			const failures = new Map<number, NetlinkError>();
			for (let start = 0; start < count; start += size) {
				const { writer, firstSequence } = batch;
				const sent = this.#transmit(writer.bytes);
				const next = start + size;
				try {
					if (next < count) batch = this.#fill(next, Math.min(next + size, count), write);
				} finally {
					await sent;
				}
				const collect = (message: Message) =>
					this.#collectFailure(message, firstSequence, (sequence, error) =>
						failures.set(start + ((sequence - firstSequence) >>> 0), error),
					);
				while (this.#receive(collect));
				this.#spare.push(writer);
			}
			return failures;
		});
	}

	/** The messages of these positions in a buffer of their own. */
	#fill(
		from: number,
		to: number,
		write: (writer: MessageWriter, position: number, sequence: number) => void,
	): { readonly writer: MessageWriter; readonly firstSequence: number } {
		const writer = this.#spare.pop() ?? new MessageWriter();
		writer.clear();
		const firstSequence = (this.#sequence + 1) >>> 0;
		for (let position = from; position < to; position++) {
			this.#sequence = (this.#sequence + 1) >>> 0;
			write(writer, position, this.#sequence);
		}
		return { writer, firstSequence };
	}

	/**
	 * Requests a dump and passes on its messages; starts again, after a callback, if the table
	 * changed meanwhile. @throws NetlinkError, DumpInterruptedError, errors of `onMessage`
	 */
	dump(
		write: (writer: MessageWriter, sequence: number) => void,
		onMessage: (message: Message) => void,
		onRestart: () => void,
	): Promise<void> {
		return this.#exclusive(async () => {
			for (let attempt = 1; attempt <= mostDumpAttempts; attempt++) {
				if (attempt > 1) onRestart();
				let sequence = 0;
				await this.#send((writer, nextSequence) => {
					sequence = nextSequence();
					write(writer, sequence);
				});
				if (await this.#readDump(sequence, onMessage)) return;
			}
			throw new DumpInterruptedError(`the table changed during each of ${mostDumpAttempts} dumps`);
		});
	}

	/** Closes the socket after the work in progress. Later requests are refused. */
	close(): void {
		void this.#last.finally(() => {
			if (this.#fd !== undefined) libc().close(this.#fd);
			this.#fd = undefined;
		});
	}

	/** `false`: interrupted, the entries are not consistent. */
	async #readDump(sequence: number, onMessage: (message: Message) => void): Promise<boolean> {
		let consistent = true;
		let done = false;
		let failure: NetlinkError | undefined;
		// The rest is read all the same: the socket refuses another dump before (EBUSY).
		let thrown: { readonly error: unknown } | undefined;
		const pass = (message: Message) => {
			try {
				if (thrown === undefined) onMessage(message);
			} catch (error) {
				thrown = { error };
			}
		};
		const visit = (message: Message) => {
			if (message.sequence !== sequence) return;
			if ((message.flags & MessageFlag.dumpInterrupted) !== 0) consistent = false;
			if (message.type === MessageType.error || message.type === MessageType.done) {
				done = true;
				// NLMSG_DONE contains an error as NLMSG_ERROR does, without a quoted request.
				const { errno, sentence } =
					message.type === MessageType.error
						? decodeAcknowledgement(message)
						: { errno: doneErrno(message), sentence: '' };
				if (errno !== 0) failure = new NetlinkError(errno, sentence);
			} else pass(message);
		};
		while (!done) {
			for (let count = 0; count < datagramsPerSlice && !done; count++) this.#receive(visit);
			if (!done) await nextTurn();
		}
		if (thrown !== undefined) throw thrown.error;
		if (failure !== undefined) throw failure;
		return consistent;
	}

	#exclusive<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last.then(work);
		this.#last = result.catch(() => undefined);
		return result;
	}

	async #send(write: WriteMessages): Promise<void> {
		this.#writer.clear();
		write(this.#writer, () => {
			this.#sequence = (this.#sequence + 1) >>> 0;
			return this.#sequence;
		});
		await this.#transmit(this.#writer.bytes);
	}

	async #transmit(bytes: Uint8Array): Promise<void> {
		const fd = this.#open();
		if ((await libc().sendAsync(fd, bytes, bytes.length, 0)) >= 0) return;
		// The pool thread's errno is lost. A failed send has had no effect, so a second call
		// returns the errno.
		check('send', libc().send(fd, bytes, bytes.length, 0));
	}

	/** Reads one datagram; `false`: there is none. */
	#receive(visit: (message: Message) => void): boolean {
		const length = libc().recv(this.#open(), this.#received, this.#received.length, dontWait);
		if (length < 0) {
			const errno = lastErrno();
			if (errnoName(errno) === 'EAGAIN') return false;
			throw new SystemCallError('recv', errno);
		}
		eachMessage(this.#received.subarray(0, length), visit);
		return true;
	}

	#collectFailure(message: Message, first: number, file: (sequence: number, error: NetlinkError) => void): void {
		if (message.type !== MessageType.error || message.sequence < first) return;
		const { errno, sentence, attributeOffset } = decodeAcknowledgement(message);
		if (errno !== 0) file(message.sequence, new NetlinkError(errno, sentence, attributeOffset));
	}

	#open(): number {
		if (this.#fd === undefined) throw new SystemCallError('netlink', 9);
		return this.#fd;
	}
}

function doneErrno({ view, bodyStart, bodyEnd }: Message): number {
	return bodyEnd - bodyStart >= 4 ? Math.abs(view.getInt32(bodyStart, littleEndian)) : 0;
}

/**
 * The address that the kernel assigned to a netlink socket; events of the socket's changes contain
 * it.
 */
export function portIdOf(fd: number): number {
	const address = new Uint8Array(12);
	const length = new Uint8Array([12, 0, 0, 0]);
	if (!littleEndian) length.reverse();
	check('getsockname', libc().getsockname(fd, address, length));
	return new DataView(address.buffer).getUint32(4, littleEndian);
}
