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
/** Datagrams read in one go before others get their turn; one holds some 300 routes. */
const datagramsPerSlice = 8;
const mostDumpAttempts = 5;

/** A request that the kernel refused. */
export class NetlinkError extends Error {
	override readonly name = 'NetlinkError';
	readonly errno: number;
	/** `EEXIST` and the like. */
	readonly code: string;
	/** The kernel's own words; `''` where it has none. */
	readonly sentence: string;

	constructor(errno: number, sentence: string) {
		super(sentence === '' ? errnoName(errno) : `${sentence} (${errnoName(errno)})`);
		this.errno = errno;
		this.code = errnoName(errno);
		this.sentence = sentence;
	}
}

/** A dump that the kernel kept interrupting because its table changed all the time. */
export class DumpInterruptedError extends Error {
	override readonly name = 'DumpInterruptedError';
}

/** An open rtnetlink socket with large buffers and full error messages. @throws SystemCallError */
export function openNetlinkFd(): number {
	const { socket, setsockopt, bind, close } = libc();
	const fd = check('socket', socket(family, rawCloseOnExecNonBlocking, 0));
	const number = (value: number) => {
		const bytes = new Uint8Array(4);
		new DataView(bytes.buffer).setUint32(0, value, littleEndian);
		return bytes;
	};
	const option = (level: number, name: number, value: number) => setsockopt(fd, level, name, number(value), 4);
	// Beyond the system's limit only as root; otherwise as much as it grants.
	if (option(solSocket, SocketOption.receiveBufferForce, 8 << 20) < 0) option(solSocket, SocketOption.receiveBuffer, 8 << 20);
	if (option(solSocket, SocketOption.sendBufferForce, 4 << 20) < 0) option(solSocket, SocketOption.sendBuffer, 4 << 20);
	for (const name of [NetlinkOption.capAck, NetlinkOption.extAck, NetlinkOption.strictCheck]) option(solNetlink, name, 1);
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
 * Requests to the kernel, one exchange at a time in the order they were asked. The kernel works while `send` runs, on a
 * thread of libuv's pool; afterwards every answer is there to be read.
 */
export class NetlinkSocket {
	readonly portId: number;
	#fd: number | undefined;
	#sequence = 0;
	#writer = new MessageWriter();
	#received = new Uint8Array(receiveBytes);
	#last: Promise<unknown> = Promise.resolve();

	/** @throws SystemCallError */
	constructor() {
		this.#fd = openNetlinkFd();
		this.portId = portIdOf(this.#fd);
	}

	/** Sends one request that asks for an acknowledgement. @throws NetlinkError when refused */
	async request(write: (writer: MessageWriter, sequence: number) => void): Promise<void> {
		const failures = await this.batch((writer, nextSequence) => write(writer, nextSequence()));
		for (const failure of failures.values()) throw failure;
	}

	/**
	 * Sends messages in one go, in order; gives what was refused, by sequence number. A thousand at a time is as fast as it gets.
	 * @throws SystemCallError when the answers were lost (ENOBUFS), so that nothing is known
	 */
	batch(write: WriteMessages): Promise<ReadonlyMap<number, NetlinkError>> {
		return this.#exclusive(async () => {
			const first = this.#sequence + 1;
			await this.#send(write);
			const failures = new Map<number, NetlinkError>();
			while (this.#receive((message) => this.#collectFailure(message, first, failures)));
			return failures;
		});
	}

	/** Asks for a dump and hands on its messages; begins anew where the table changed meanwhile, after telling so. @throws NetlinkError, DumpInterruptedError */
	dump(write: (writer: MessageWriter, sequence: number) => void, onMessage: (message: Message) => void, onRestart: () => void): Promise<void> {
		return this.#exclusive(async () => {
			for (let attempt = 1; attempt <= mostDumpAttempts; attempt++) {
				if (attempt > 1) onRestart();
				await this.#send((writer, nextSequence) => write(writer, nextSequence()));
				if (await this.#readDump(this.#sequence, onMessage)) return;
			}
			throw new DumpInterruptedError(`the table changed during each of ${mostDumpAttempts} dumps`);
		});
	}

	/** Closes the socket, after what is under way. What is asked later is refused. */
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
		const visit = (message: Message) => {
			if (message.sequence !== sequence) return;
			if ((message.flags & MessageFlag.dumpInterrupted) !== 0) consistent = false;
			if (message.type === MessageType.error || message.type === MessageType.done) {
				done = true;
				// NLMSG_DONE carries an error as NLMSG_ERROR does, but nothing is quoted after it.
				const { errno, sentence } = message.type === MessageType.error ? decodeAcknowledgement(message) : { errno: doneErrno(message), sentence: '' };
				if (errno !== 0) failure = new NetlinkError(errno, sentence);
			} else onMessage(message);
		};
		while (!done) {
			for (let count = 0; count < datagramsPerSlice && !done; count++) this.#receive(visit);
			if (!done) await new Promise((resolve) => setImmediate(resolve));
		}
		if (failure !== undefined) throw failure;
		return consistent;
	}

	#exclusive<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last.then(work);
		this.#last = result.catch(() => undefined);
		return result;
	}

	async #send(write: WriteMessages): Promise<void> {
		const fd = this.#open();
		this.#writer.clear();
		write(this.#writer, () => {
			this.#sequence = (this.#sequence + 1) >>> 0;
			return this.#sequence;
		});
		const { bytes } = this.#writer;
		if ((await libc().sendAsync(fd, bytes, bytes.length, 0)) >= 0) return;
		// The pool thread's errno is lost. A send that fails has done nothing, so doing it again tells.
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

	#collectFailure(message: Message, first: number, failures: Map<number, NetlinkError>): void {
		if (message.type !== MessageType.error || message.sequence < first) return;
		const { errno, sentence } = decodeAcknowledgement(message);
		if (errno !== 0) failures.set(message.sequence, new NetlinkError(errno, sentence));
	}

	#open(): number {
		if (this.#fd === undefined) throw new SystemCallError('netlink', 9);
		return this.#fd;
	}
}

function doneErrno({ view, bodyStart, bodyEnd }: Message): number {
	return bodyEnd - bodyStart >= 4 ? Math.abs(view.getInt32(bodyStart, littleEndian)) : 0;
}

/** The address that the kernel gave a netlink socket; what a socket causes carries it in its events. */
export function portIdOf(fd: number): number {
	const address = new Uint8Array(12);
	const length = new Uint8Array([12, 0, 0, 0]);
	if (!littleEndian) length.reverse();
	check('getsockname', libc().getsockname(fd, address, length));
	return new DataView(address.buffer).getUint32(4, littleEndian);
}
