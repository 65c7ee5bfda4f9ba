import type { Server, Socket } from 'node:net';

import type { Family } from '../core/index.ts';
import { check, libc } from './libc.ts';

/** Linux' numbers, from its UAPI headers; the C library defines the same. */
const domains: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 10 };
const streamCloexecNonblock = 1 | 0x80000 | 0x800;
const solSocket = 1;
const solIp = 0;
const solTcp = 6;
const solIpv6 = 41;
const ipTos = 1;
const ipTtl = 2;
const ipMinTtl = 21;
const ipv6UnicastHops = 16;
const ipv6TrafficClass = 67;
const ipv6MinHopCount = 73;
const soBindToDevice = 25;
const soReuseAddress = 2;
/** `struct sockaddr_in` and `struct sockaddr_in6`. */
const sockaddrInBytes = 16;
const sockaddrIn6Bytes = 28;
const tcpMd5Sig = 14;
const tcpMd5SigExt = 32;
const md5FlagPrefix = 1;
const md5SigBytes = 216;

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The longest key of TCP_MD5SIG. */
export const longestMd5KeyBytes = 80;

/**
 * A TCP socket that is not connected yet, for options that must be set before the SYN; pass it to
 * `new net.Socket({ fd })`. @throws SystemCallError
 */
export function openTcpSocket(family: Family): number {
	return check('socket', libc().socket(domains[family], streamCloexecNonblock, 0));
}

/**
 * A TCP socket bound to an address of 4 or 16 octets, which does not listen yet: for options that
 * must be set before the first SYN. Pass it to `server.listen({ fd })`. @throws SystemCallError
 */
export function openBoundSocket(family: Family, address: Uint8Array, port: number): number {
	const fd = openTcpSocket(family);
	try {
		setInteger(fd, solSocket, soReuseAddress, 1, 'SO_REUSEADDR');
		const socketAddress = new Uint8Array(family === 'ipv4' ? sockaddrInBytes : sockaddrIn6Bytes);
		const view = new DataView(socketAddress.buffer);
		view.setUint16(0, domains[family], isLittleEndian);
		view.setUint16(2, port);
		socketAddress.set(address, family === 'ipv4' ? 4 : 8);
		check('bind', libc().bind(fd, socketAddress, socketAddress.length));
		return fd;
	} catch (error) {
		closeTcpSocket(fd);
		throw error;
	}
}

/** Closes a socket that was not passed on. */
export function closeTcpSocket(fd: number): void {
	libc().close(fd);
}

/** The descriptor behind a socket or server of Node's; `undefined` once it is closed. */
export function descriptorOf(endpoint: Socket | Server): number | undefined {
	// Node has no public name for it; libuv keeps one for as long as the handle exists.
	const fd = (endpoint as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
	return fd === undefined || fd < 0 ? undefined : fd;
}

/**
 * Sets or changes the key for one neighbour, or for a whole prefix of them; an empty key removes
 * it. On a listener, on a socket before it connects, and on a live connection, where the new key
 * applies from the next segment. RFC 2385.
 * @throws SystemCallError: ENOMEM if net.core.optmem_max allows no more keys, ENOENT if there was
 * none to remove
 */
export function setMd5Key(
	fd: number,
	socketFamily: Family,
	neighbour: { readonly bytes: Uint8Array; readonly length?: number },
	key: Uint8Array,
): void {
	const { bytes, length } = neighbour;
	const request = md5Request(socketFamily, bytes, length, key);
	const name = length === undefined ? tcpMd5Sig : tcpMd5SigExt;
	check('setsockopt TCP_MD5SIG', libc().setsockopt(fd, solTcp, name, request, md5SigBytes));
}

/**
 * `struct tcp_md5sig`: sockaddr_storage at 0, flags 128, prefix length 129, key length 130,
 * interface 132, key 136.
 */
function md5Request(
	socketFamily: Family,
	address: Uint8Array,
	prefixLength: number | undefined,
	key: Uint8Array,
): Uint8Array {
	if (key.length > longestMd5KeyBytes) throw new RangeError(`an MD5 key has at most ${longestMd5KeyBytes} bytes`);
	const request = new Uint8Array(md5SigBytes);
	const view = new DataView(request.buffer);
	view.setUint16(0, domains[socketFamily], isLittleEndian);
	const mapped = socketFamily === 'ipv6' && address.length === 4;
	if (socketFamily === 'ipv4') request.set(address, 4);
	else if (mapped) request.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...address], 8);
	else request.set(address, 8);
	if (prefixLength !== undefined) {
		request[128] = md5FlagPrefix;
		// For a mapped address the kernel counts only the IPv4 bits.
		request[129] = prefixLength;
	}
	view.setUint16(130, key.length, isLittleEndian);
	request.set(key, 136);
	return request;
}

/**
 * The TTL (hop limit) of sent packets. `socketFamily` is the socket's own; one for IPv6 may carry
 * IPv4 as well. @throws SystemCallError
 */
export function setTtl(fd: number, socketFamily: Family, ttl: number): void {
	if (socketFamily === 'ipv6') setInteger(fd, solIpv6, ipv6UnicastHops, ttl, 'IPV6_UNICAST_HOPS');
	setInteger(fd, solIp, ipTtl, ttl, 'IP_TTL');
}

/**
 * The kernel drops received packets with a lower TTL (RFC 5082); 0: none. On a listener it applies
 * to every neighbour. @throws SystemCallError
 */
export function setMinimumTtl(fd: number, socketFamily: Family, minimum: number): void {
	if (socketFamily === 'ipv6') setInteger(fd, solIpv6, ipv6MinHopCount, minimum, 'IPV6_MINHOPCOUNT');
	setInteger(fd, solIp, ipMinTtl, minimum, 'IP_MINTTL');
}

/**
 * The DSCP field's octet; 0xc0 is network control (RFC 4271 appendix E). @throws SystemCallError
 */
export function setTrafficClass(fd: number, socketFamily: Family, octet: number): void {
	if (socketFamily === 'ipv6') setInteger(fd, solIpv6, ipv6TrafficClass, octet, 'IPV6_TCLASS');
	setInteger(fd, solIp, ipTos, octet, 'IP_TOS');
}

/** Packets are sent and received only through this device. @throws SystemCallError: ENODEV */
export function bindToDevice(fd: number, device: string): void {
	const name = new TextEncoder().encode(`${device}\0`);
	check('setsockopt SO_BINDTODEVICE', libc().setsockopt(fd, solSocket, soBindToDevice, name, name.length));
}

function setInteger(fd: number, level: number, name: number, value: number, label: string): void {
	const bytes = new Uint8Array(Int32Array.of(value).buffer);
	check(`setsockopt ${label}`, libc().setsockopt(fd, level, name, bytes, bytes.length));
}

/**
 * The cookie of this thread's network namespace (SO_NETNS_COOKIE, kernel 5.14); `undefined`: the
 * kernel has none. @throws SystemCallError where no socket can be made
 */
export function networkNamespaceCookie(): bigint | undefined {
	const soNetnsCookie = 71;
	const fd = openTcpSocket('ipv4');
	try {
		const value = new Uint8Array(8);
		const length = new Uint8Array(Uint32Array.of(value.length).buffer);
		if (libc().getsockopt(fd, solSocket, soNetnsCookie, value, length) < 0) return undefined;
		return new DataView(value.buffer).getBigUint64(0, true);
	} finally {
		closeTcpSocket(fd);
	}
}
