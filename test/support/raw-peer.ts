import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import {
	type Capability,
	decodeMessage,
	encodeMessage,
	Framer,
	type Message,
	type NotificationMessage,
	type OpenMessage,
	type PacketContext,
	packetContext,
} from 'bgp-packet';

import { eventually } from './eventually.ts';

/**
 * A BGP neighbour that only does what the test calls: it sends bytes and records received ones. It
 * responds to nothing by itself.
 */
export class RawPeer {
	readonly socket: Socket;
	/** All received messages, decoded, in order. */
	readonly messages: Message[] = [];
	/** The same as bytes, one message each. */
	readonly frames: Uint8Array[] = [];
	/** The other side closed or reset the connection. */
	closed = false;
	/** The error code, if it was not an orderly close: `ECONNRESET` and similar. */
	error: string | undefined;
	/** The options for reading received and writing sent messages. */
	decoding: PacketContext = packetContext({ extendedMessage: true });
	encoding: PacketContext = packetContext({ extendedMessage: true });

	constructor(socket: Socket) {
		this.socket = socket;
		const framer = new Framer();
		framer.maximumLength = 65535;
		socket.on('error', (error: NodeJS.ErrnoException) => {
			this.error = error.code;
		});
		socket.on('end', () => {
			this.closed = true;
		});
		socket.on('close', () => {
			this.closed = true;
		});
		socket.on('data', (chunk: Uint8Array) =>
			framer.scan(chunk, (buffer, start, end) => {
				const frame = buffer.slice(start, end);
				this.frames.push(frame);
				this.messages.push(decodeMessage(frame, this.decoding));
			}),
		);
	}

	/** Connects from `localAddress`, by which the speaker identifies its peers. */
	static async connect(host: string, port: number, localAddress: string): Promise<RawPeer> {
		const socket = connect({ host, port, localAddress, noDelay: true });
		await once(socket, 'connect');
		return new RawPeer(socket);
	}

	send(message: Message): void {
		this.socket.write(encodeMessage(message, this.encoding));
	}

	/** Raw bytes: for data that is no message. */
	sendBytes(bytes: Uint8Array): void {
		this.socket.write(bytes);
	}

	of<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
		return this.messages.filter((message): message is Extract<Message, { type: T }> => message.type === type);
	}

	/** Waits for the `count`th message of a type. */
	async receive<T extends Message['type']>(type: T, count = 1): Promise<Extract<Message, { type: T }>> {
		await eventually(
			`${count} ${type} arrived; have ${this.messages.map((message) => message.type).join(', ')}`,
			() => this.of(type).length >= count,
		);
		const message = this.of(type)[count - 1];
		if (message === undefined) throw new Error('unreachable');
		return message;
	}

	/** The first NOTIFICATION, and then the end of the connection. */
	async receiveNotification(): Promise<NotificationMessage> {
		const notification = await this.receive('notification');
		await this.end();
		return notification;
	}

	async end(): Promise<void> {
		await eventually('the connection was closed', () => this.closed);
	}

	/** OPEN and KEEPALIVE in both directions. */
	async establish(open: Partial<OpenMessage> & Pick<OpenMessage, 'asNumber' | 'routerId'>): Promise<OpenMessage> {
		this.send(openMessage(open));
		const received = await this.receive('open');
		await this.receive('keepalive');
		this.send({ type: 'keepalive' });
		return received;
	}

	close(): void {
		this.socket.destroy();
	}
}

/** Waits for connections, one `RawPeer` each. */
export class RawListener {
	readonly peers: RawPeer[] = [];
	readonly #server: Server;

	private constructor(server: Server) {
		this.#server = server;
		server.on('connection', (socket) => {
			socket.setNoDelay(true);
			this.peers.push(new RawPeer(socket));
		});
	}

	static async listen(host: string, port = 0): Promise<RawListener> {
		const server = createServer();
		server.listen(port, host);
		await once(server, 'listening');
		return new RawListener(server);
	}

	get port(): number {
		// The address of a listening TCP server has this shape.
		return (this.#server.address() as AddressInfo).port;
	}

	/** The `count`th connection. */
	async accept(count = 1): Promise<RawPeer> {
		await eventually(`connection ${count} arrived`, () => this.peers.length >= count);
		const peer = this.peers[count - 1];
		if (peer === undefined) throw new Error('unreachable');
		return peer;
	}

	close(): void {
		this.#server.close();
		for (const peer of this.peers) peer.close();
	}
}

/** The capabilities of an ordinary neighbour. */
export const plainCapabilities = (asNumber: number): Capability[] => [
	{ type: 'multiprotocol', afi: 1, safi: 1 },
	{ type: 'multiprotocol', afi: 2, safi: 1 },
	{ type: 'route-refresh' },
	{ type: 'four-octet-as', asNumber },
];

/** An OPEN with defaults filled in. */
export function openMessage(given: Partial<OpenMessage> & Pick<OpenMessage, 'asNumber' | 'routerId'>): OpenMessage {
	return { type: 'open', version: 4, holdTimeSeconds: 90, capabilities: plainCapabilities(given.asNumber), ...given };
}
