import { connect, type NetConnectOpts, Socket, type TcpNetConnectOpts } from 'node:net';

import { formatAddress, isIpv4Mapped, parseAddress, splitZone, zonedAddress } from '../../core/index.ts';
import {
	bindToDevice,
	closeTcpSocket,
	descriptorOf,
	openTcpSocket,
	setMd5Key,
	setMinimumTtl,
	setTrafficClass,
	setTtl,
} from '../../linux/index.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import { writeAheadBytes } from './connection.ts';
import type { CoarseTimer, TimerWheel } from './timer-wheel.ts';

/** Network control: RFC 4271 appendix E, DSCP CS6. */
const networkControl = 0xc0;

const streamOptions = { writableHighWaterMark: writeAheadBytes, allowHalfOpen: true };

/** The options of a peer that concern the socket. */
type SocketSettings = Pick<PeerOptions, 'md5Key' | 'ttlSecurityHops' | 'multihopTtl' | 'device'>;

/** The minimum TTL that GTSM accepts: 255 - hops + 1 (RFC 5082 §3); `undefined` without GTSM. */
export const minimumTtl = (ttlSecurityHops: number | undefined): number | undefined =>
	ttlSecurityHops === undefined ? undefined : 256 - ttlSecurityHops;

/**
 * The TTL to send and the minimum to accept, `undefined` for the kernel's default. GTSM sends 255;
 * an external peer without GTSM and multihop is on our subnet: 1.
 */
export function ttlPlan(
	{ ttlSecurityHops, multihopTtl }: Pick<PeerOptions, 'ttlSecurityHops' | 'multihopTtl'>,
	kind: 'internal' | 'external',
): { readonly ttl: number | undefined; readonly minimum: number | undefined } {
	if (ttlSecurityHops !== undefined) return { ttl: 255, minimum: minimumTtl(ttlSecurityHops) };
	return { ttl: multihopTtl ?? (kind === 'external' ? 1 : undefined), minimum: undefined };
}

/** An MD5 key as octets for the kernel. */
export function md5KeyBytes(key: string): Uint8Array {
	return new TextEncoder().encode(key);
}

/**
 * Starts to connect; the caller listens to `connect`, `error`, `close`. Socket options are set
 * before the SYN. @throws SystemCallError
 */
function dial(options: PeerOptions, kind: 'internal' | 'external'): Socket {
	const { address, port, localAddress, device } = options;
	const target: TcpNetConnectOpts = {
		host: zonedAddress(address, device),
		port,
		...(localAddress === undefined ? {} : { localAddress: zonedAddress(localAddress, device) }),
	};
	const { ttl, minimum } = ttlPlan(options, kind);
	if (options.md5Key === undefined && ttl === undefined && minimum === undefined && options.device === undefined)
		return connect({ ...target, ...streamOptions } as NetConnectOpts);
	const { family, bytes } = parseAddress(address);
	const fd = openTcpSocket(family);
	try {
		if (options.md5Key !== undefined) setMd5Key(fd, family, { bytes }, md5KeyBytes(options.md5Key));
		if (ttl !== undefined) setTtl(fd, family, ttl);
		if (minimum !== undefined) setMinimumTtl(fd, family, minimum);
		if (options.device !== undefined) bindToDevice(fd, options.device);
		setTrafficClass(fd, family, networkControl);
	} catch (error) {
		closeTcpSocket(fd);
		throw error;
	}
	return new Socket({ fd, manualStart: true, ...streamOptions } as ConstructorParameters<typeof Socket>[0]).connect(
		target,
	);
}

/**
 * Sets the options of a neighbour on an accepted connection. The MD5 key is inherited from the
 * listener. @throws SystemCallError
 */
export function dressAccepted(socket: Socket, options: SocketSettings, kind: 'internal' | 'external'): void {
	const { ttl, minimum } = ttlPlan(options, kind);
	if (ttl === undefined && minimum === undefined) return;
	const fd = descriptorOf(socket);
	if (fd === undefined) return;
	const family = socket.remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4';
	if (ttl !== undefined) setTtl(fd, family, ttl);
	if (minimum !== undefined) setMinimumTtl(fd, family, minimum);
}

/**
 * Changes the key of an established connection; `undefined` removes it (RFC 2385). @throws
 * SystemCallError
 */
export function rekey(socket: Socket, peerAddress: string, key: string | undefined): void {
	const fd = descriptorOf(socket);
	if (fd === undefined) return;
	const family = socket.remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4';
	setMd5Key(
		fd,
		family,
		{ bytes: parseAddress(peerAddress).bytes },
		key === undefined ? new Uint8Array(0) : md5KeyBytes(key),
	);
}

/** An address from Node.js without the IPv4-mapped prefix and without a zone. */
export function plainAddress(address: string): string {
	const { bytes } = parseAddress(splitZone(address).address);
	return formatAddress(isIpv4Mapped(bytes) ? bytes.subarray(12) : bytes);
}

/** The octets of the address, 4 or 16. */
export function plainAddressBytes(address: string): Uint8Array {
	return parseAddress(plainAddress(address)).bytes;
}

/**
 * Receives the result of an attempt: exactly one of the two calls, never before the constructor has
 * returned.
 */
export interface AttemptHandler {
	connected(socket: Socket): void;
	failed(reason: string): void;
}

/** One connection attempt with a time limit. */
export class Attempt {
	readonly #handler: AttemptHandler;
	readonly #patience: CoarseTimer;
	#socket: Socket | undefined;
	#over = false;

	constructor(options: PeerOptions, kind: 'internal' | 'external', wheel: TimerWheel, handler: AttemptHandler) {
		this.#handler = handler;
		this.#patience = wheel.timer(() => this.#failed('timed out'));
		this.#patience.arm(options.connectTimeoutSeconds * 1000);
		try {
			const socket = dial(options, kind);
			this.#socket = socket;
			socket.once('connect', () => this.#connected(socket));
			socket.once('error', (error: NodeJS.ErrnoException) => this.#failed(error.code ?? error.message));
			socket.once('close', () => this.#failed('closed'));
		} catch (error) {
			queueMicrotask(() => this.#failed(error instanceof Error ? error.message : String(error)));
		}
	}

	/** Ends the attempt without a call of the handler. */
	cancel(): void {
		if (this.#end()) this.#socket?.destroy();
	}

	#connected(socket: Socket): void {
		if (!this.#end()) return;
		socket.removeAllListeners();
		this.#handler.connected(socket);
	}

	#failed(reason: string): void {
		if (!this.#end()) return;
		this.#socket?.destroy();
		this.#handler.failed(reason);
	}

	#end(): boolean {
		if (this.#over) return false;
		this.#over = true;
		this.#patience.disarm();
		this.#socket?.on('error', () => {});
		return true;
	}
}
