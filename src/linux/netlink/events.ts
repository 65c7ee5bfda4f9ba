import { type NetConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { check, libc } from '../libc.ts';
import { eachMessage, type Message, NetlinkFormatError } from './reader.ts';
import { joinGroup, openNetlinkFd } from './socket.ts';
import { littleEndian } from './writer.ts';

const unix = 1;
const streamCloseOnExec = 1 | 0x80000;
const solSocket = 1;
const attachFilter = 26;
const reopenDelayMs = 100;

export interface NetlinkEventOptions {
	/** `Group` numbers. */
	readonly groups: readonly number[];
	/** Port of the socket whose own doings are not told. */
	readonly ignorePortId: number | undefined;
	/** Valid during the call. */
	readonly onMessage: (message: Message) => void;
	/** Events were lost, or the stream broke and was opened anew: look at everything. */
	readonly onLoss: (reason: string) => void;
}

/**
 * What happens to links, addresses and routes, as events of libuv: no thread waits. Where the kernel's buffer overflows
 * the stream ends; it is then opened anew and `onLoss` called.
 */
export class NetlinkEvents {
	readonly #options: NetlinkEventOptions;
	#stream: Socket | undefined;
	#reopening: NodeJS.Timeout | undefined;
	#closed = false;

	/** @throws SystemCallError */
	constructor(options: NetlinkEventOptions) {
		this.#options = options;
		this.#open();
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#reopening);
		this.#stream?.destroy();
	}

	#open(): void {
		const { groups, ignorePortId } = this.#options;
		const fd = openNetlinkFd();
		try {
			if (ignorePortId !== undefined) filterPort(fd, ignorePortId);
			for (const group of groups) joinGroup(fd, group);
		} catch (error) {
			libc().close(fd);
			throw error;
		}
		const stream = adopt(fd);
		this.#stream = stream;
		stream.on('data', (bytes: Uint8Array) => this.#read(bytes, stream));
		stream.on('error', (error) => this.#lost(stream, error.message));
		stream.on('close', () => this.#lost(stream, 'closed'));
		// Watching alone does not keep the process alive.
		stream.unref();
		stream.resume();
	}

	#read(bytes: Uint8Array, stream: Socket): void {
		try {
			eachMessage(bytes, this.#options.onMessage);
		} catch (error) {
			if (!(error instanceof NetlinkFormatError)) throw error;
			this.#lost(stream, error.message);
		}
	}

	#lost(stream: Socket, reason: string): void {
		if (this.#closed || this.#stream !== stream) return;
		this.#stream = undefined;
		stream.destroy();
		const reopen = () => {
			try {
				this.#open();
				this.#options.onLoss(reason);
			} catch {
				// Out of file descriptors or memory: what ails us passes, and the caller's slow audit goes on meanwhile.
				this.#reopening = setTimeout(reopen, reopenDelayMs).unref();
			}
		};
		this.#reopening = setTimeout(reopen, 0);
	}
}

/** Makes libuv watch a netlink socket: a Unix socket is registered, and the netlink socket laid over its number. */
function adopt(fd: number): Socket {
	const { socketpair, dup2, close } = libc();
	const pair = new Uint8Array(8);
	check('socketpair', socketpair(unix, streamCloseOnExec, 0, pair));
	const view = new DataView(pair.buffer);
	const [adopted, other] = [view.getInt32(0, littleEndian), view.getInt32(4, littleEndian)];
	// `manualStart` keeps it from being registered with epoll before it is ours; it is missing from the published types.
	const options: SocketConstructorOpts & NetConnectOpts & { manualStart: true } = {
		fd: adopted,
		readable: true,
		writable: true,
		allowHalfOpen: true,
		manualStart: true,
		port: 0,
	};
	const stream = new Socket(options);
	check('dup2', dup2(fd, adopted));
	close(other);
	close(fd);
	return stream;
}

/** A classic BPF program that drops what a port caused: load nlmsg_pid, compare, drop or keep. */
function filterPort(fd: number, portId: number): void {
	const program = new Uint8Array(4 * 8);
	const view = new DataView(program.buffer);
	const instruction = (index: number, code: number, whenTrue: number, whenFalse: number, operand: number) => {
		view.setUint16(index * 8, code, littleEndian);
		view.setUint8(index * 8 + 2, whenTrue);
		view.setUint8(index * 8 + 3, whenFalse);
		view.setUint32(index * 8 + 4, operand, littleEndian);
	};
	// BPF loads words in network order, the header is in the machine's.
	const swapped = new DataView(new ArrayBuffer(4));
	swapped.setUint32(0, portId, littleEndian);
	instruction(0, 0x20, 0, 0, 12);
	instruction(1, 0x15, 0, 1, swapped.getUint32(0, false));
	instruction(2, 0x06, 0, 0, 0);
	instruction(3, 0x06, 0, 0, 0xffffffff);
	check('setsockopt', attach(fd, program));
}

/** `struct sock_fprog { unsigned short length; struct sock_filter *filter; }` needs the program's address. */
function attach(fd: number, program: Uint8Array): number {
	return libc().setFilter(fd, solSocket, attachFilter, program.length / 8, program);
}
