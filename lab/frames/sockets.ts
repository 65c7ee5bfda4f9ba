import type { Address, Family } from '../../src/core/index.ts';
import { check, errnoName, inNetworkNamespace, lastErrno, libc, SystemCallError } from '../../src/linux/index.ts';

const domain = { ipv4: 2, ipv6: 10, packet: 17 } as const;
const rawNonBlocking = 3 | 0x800 | 0x80000;
const protocolAll = 0x0300;
const solSocket = 1;
const receiveBufferForce = 33;
const solPacket = 263;
const ignoreOutgoing = 23;
const rawProtocol = 255;
const dontWait = 0x40;

const number = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** Path of a namespace that `ip netns add` created. */
export const namespacePath = (namespace: string): string => `/run/netns/${namespace}`;

/** Runs synchronous work inside a namespace that `ip netns add` created. */
export const inside = <T>(namespace: string, act: () => T): T => inNetworkNamespace(namespacePath(namespace), act);

/** A non-blocking socket. */
class RawSocket {
	readonly #fd: number;
	readonly #buffer = new Uint8Array(4096);

	constructor(fd: number) {
		this.#fd = fd;
		libc().setsockopt(fd, solSocket, receiveBufferForce, number(16 << 20), 4);
	}

	/** The next packet; a view that is valid until the next call. */
	receive(): Uint8Array | undefined {
		const length = libc().recv(this.#fd, this.#buffer, this.#buffer.length, dontWait);
		if (length >= 0) return this.#buffer.subarray(0, length);
		const errno = lastErrno();
		if (['EAGAIN', 'ENETDOWN'].includes(errnoName(errno))) return undefined;
		throw new SystemCallError('recv', errno);
	}

	close(): void {
		libc().close(this.#fd);
	}

	protected get fd(): number {
		return this.#fd;
	}
}

/** All frames that arrive at one interface of a namespace, and the means to send from it. */
export class Wire extends RawSocket {
	constructor(namespace: string, interfaceIndex: number) {
		super(
			inside(namespace, () => {
				const fd = check('socket', libc().socket(domain.packet, rawNonBlocking, 0));
				libc().setsockopt(fd, solPacket, ignoreOutgoing, number(1), 4);
				const address = new Uint8Array(20);
				const view = new DataView(address.buffer);
				view.setUint16(0, domain.packet, true);
				view.setUint16(2, protocolAll, true);
				view.setInt32(4, interfaceIndex, true);
				check('bind', libc().bind(fd, address, address.length));
				return fd;
			}),
		);
	}

	send(frame: Uint8Array): void {
		check('send', libc().send(this.fd, frame, frame.length, 0));
	}
}

/**
 * Packets of one protocol received by a namespace itself, after its packet filter. IPv4 with, IPv6
 * without the IP header.
 */
export class HostReceiver extends RawSocket {
	readonly family: Family;
	readonly protocol: number;

	constructor(namespace: string, family: Family, protocol: number) {
		super(inside(namespace, () => check('socket', libc().socket(domain[family], rawNonBlocking, protocol))));
		this.family = family;
		this.protocol = protocol;
	}
}

/** Sends whole IP packets as a namespace itself, through its packet filter. */
export class HostSender extends RawSocket {
	readonly #family: Family;

	constructor(namespace: string, family: Family) {
		super(inside(namespace, () => check('socket', libc().socket(domain[family], rawNonBlocking, rawProtocol))));
		this.#family = family;
	}

	/** `false`: refused, as by a filter that drops the outgoing packet. */
	send(packet: Uint8Array, { bytes }: Address): boolean {
		const address = new Uint8Array(this.#family === 'ipv4' ? 16 : 28);
		new DataView(address.buffer).setUint16(0, domain[this.#family], true);
		address.set(bytes, this.#family === 'ipv4' ? 4 : 8);
		if (libc().sendto(this.fd, packet, packet.length, 0, address, address.length) >= 0) return true;
		const errno = lastErrno();
		if (['EPERM', 'EACCES'].includes(errnoName(errno))) return false;
		throw new SystemCallError('sendto', errno);
	}
}
