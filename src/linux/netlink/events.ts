import { type NetConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { nextTurn } from '../../core/index.ts';
import { check, libc } from '../libc.ts';
import { headerLength, MessageType } from './constants.ts';
import { eachMessage, type Message, NetlinkFormatError } from './reader.ts';
import { joinGroup, openNetlinkFd } from './socket.ts';
import { littleEndian } from './writer.ts';

const unix = 1;
const streamCloseOnExec = 1 | 0x80000;
const solSocket = 1;
const attachFilter = 26;
const reopenDelayMs = 100;

export interface NetlinkEventOptions {
	/** `NetlinkProtocol`; rtnetlink by default. */
	readonly protocol?: number;
	/** `Group` numbers. */
	readonly groups: readonly number[];
	/** Port of the socket whose own changes are not reported; `undefined`: all are. */
	readonly ignorePortId: number | undefined;
	/** Changes of routes of this protocol are not reported. Not together with `ignorePortId`. */
	readonly ignoreRouteProtocol?: number;
	/**
	 * Messages sent on each opened socket, such as a subscription that is not a multicast group.
	 */
	readonly greeting?: Uint8Array;
	/** Valid during the call. */
	readonly onMessage: (message: Message) => void;
	/**
	 * Events were lost, or the stream broke and was opened anew: the reader must read the whole
	 * state.
	 */
	readonly onLoss: (reason: string) => void;
	/** Receives an exception of `onMessage`. The remaining events count as lost in any case. */
	readonly onFault?: ((error: unknown) => void) | undefined;
}

/**
 * Changes of links, addresses and routes, as events of libuv: no thread waits. If the kernel's
 * buffer overflows the stream ends; it is then opened anew and `onLoss` called.
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
		const { protocol, groups, ignorePortId, ignoreRouteProtocol, greeting } = this.#options;
		const fd = openNetlinkFd(protocol === undefined ? {} : { protocol });
		try {
			if (ignorePortId !== undefined) attach(fd, portFilter(ignorePortId));
			else if (ignoreRouteProtocol !== undefined) attach(fd, protocolFilter(ignoreRouteProtocol));
			for (const group of groups) joinGroup(fd, group);
			if (greeting !== undefined) check('send', libc().send(fd, greeting, greeting.length, 0));
		} catch (error) {
			libc().close(fd);
			throw error;
		}
		const stream = adopt(fd);
		this.#stream = stream;
		stream.on('data', (bytes: Uint8Array) => {
			// One buffer per turn: in a storm of events libuv would read dozens before any other
			// work runs.
			stream.pause();
			this.#read(bytes, stream);
			void nextTurn().then(() => stream.resume());
		});
		stream.on('error', (error) => this.#lost(stream, error.message));
		stream.on('close', () => this.#lost(stream, 'closed'));
		// The watch alone does not keep the process alive.
		stream.unref();
		stream.resume();
	}

	#read(bytes: Uint8Array, stream: Socket): void {
		try {
			eachMessage(bytes, this.#options.onMessage);
		} catch (error) {
			if (!(error instanceof NetlinkFormatError)) this.#options.onFault?.(error);
			this.#lost(stream, error instanceof Error ? error.message : String(error));
		}
	}

	#lost(stream: Socket, reason: string): void {
		if (this.#closed || this.#stream !== stream) return;
		this.#stream = undefined;
		stream.destroy();
		const reopen = () => {
			try {
				this.#open();
			} catch {
				// Out of file descriptors or memory: the condition is temporary, and the caller's
				// slow audit continues meanwhile.
				this.#reopening = setTimeout(reopen, reopenDelayMs).unref();
				return;
			}
			try {
				this.#options.onLoss(reason);
			} catch (error) {
				if (this.#options.onFault === undefined) throw error;
				this.#options.onFault(error);
			}
		};
		this.#reopening = setTimeout(reopen, 0);
	}
}

/**
 * Makes libuv watch a netlink socket: a Unix socket is registered, and its descriptor is replaced
 * by the netlink socket.
 */
function adopt(fd: number): Socket {
	const { socketpair, dup2, close } = libc();
	const pair = new Uint8Array(8);
	check('socketpair', socketpair(unix, streamCloseOnExec, 0, pair));
	const view = new DataView(pair.buffer);
	const [adopted, other] = [view.getInt32(0, littleEndian), view.getInt32(4, littleEndian)];
	// `manualStart` keeps it from being registered with epoll before it is ours; it is missing from
	// the published types.
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

/** One instruction of classic BPF: operation, jump offsets if a test holds or fails, operand. */
type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, operand: number];

const load = { word: 0x20, half: 0x28, byte: 0x30 } as const;
const jumpIfEqual = 0x15;
const answer = 0x06;
const keep: Instruction = [answer, 0, 0, 0xffffffff];
const drop: Instruction = [answer, 0, 0, 0];

/**
 * BPF loads in network order, netlink's headers are in the machine's: a number of the machine in
 * BPF's order.
 */
function asLoaded(value: number, bytes: 2 | 4): number {
	const view = new DataView(new ArrayBuffer(4));
	if (bytes === 2) view.setUint16(0, value, littleEndian);
	else view.setUint32(0, value, littleEndian);
	return bytes === 2 ? view.getUint16(0, false) : view.getUint32(0, false);
}

/** Drops messages caused by a port, by nlmsg_pid. */
function portFilter(portId: number): readonly Instruction[] {
	return [[load.word, 0, 0, 12], [jumpIfEqual, 0, 1, asLoaded(portId, 4)], drop, keep];
}

/**
 * Drops RTM_NEWROUTE and RTM_DELROUTE with this rtm_protocol, which is at 21: 5 after the header.
 */
function protocolFilter(protocol: number): readonly Instruction[] {
	return [
		[load.half, 0, 0, 4],
		[jumpIfEqual, 1, 0, asLoaded(MessageType.newRoute, 2)],
		[jumpIfEqual, 0, 2, asLoaded(MessageType.deleteRoute, 2)],
		[load.byte, 0, 0, headerLength + 5],
		[jumpIfEqual, 1, 0, protocol],
		keep,
		drop,
	];
}

/**
 * `struct sock_fprog { unsigned short length; struct sock_filter *filter; }` needs the program's
 * address. @throws SystemCallError
 */
function attach(fd: number, instructions: readonly Instruction[]): void {
	const program = new Uint8Array(instructions.length * 8);
	const view = new DataView(program.buffer);
	for (const [index, [code, whenTrue, whenFalse, operand]] of instructions.entries()) {
		view.setUint16(index * 8, code, littleEndian);
		view.setUint8(index * 8 + 2, whenTrue);
		view.setUint8(index * 8 + 3, whenFalse);
		view.setUint32(index * 8 + 4, operand, littleEndian);
	}
	check('setsockopt', libc().setFilter(fd, solSocket, attachFilter, instructions.length, program));
}
