import { type Address, type Family, parseAddress } from '../core/index.ts';
import { check, errnoName, lastErrno, libc, SystemCallError } from './libc.ts';
import { littleEndian } from './netlink/writer.ts';

const rawCloexecNonblock = 3 | 0x80000 | 0x800;
const domains: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 10 };
const protocols: Readonly<Record<Family, number>> = { ipv4: 1, ipv6: 58 };
const [solIp, solIpv6, solRaw, solIcmpv6] = [0, 41, 255, 58];
const [icmpFilter, icmpv6Filter] = [1, 1];
const [ipMtuDiscover, ipv6MtuDiscover, ipv6DontFragment] = [10, 23, 62];
/** IP_PMTUDISC_PROBE: DF is set, and a path MTU that the kernel has learned is ignored. */
const probe = 3;
const echoReply: Readonly<Record<Family, number>> = { ipv4: 0, ipv6: 129 };
const dontWait = 0x40;
/** The largest IP packet. */
const receiveBytes = 65_536;

/** Sends ICMP echo requests that no router may fragment, and receives the replies. */
export interface EchoSocket {
	/** An ICMP message to an address of the socket's family. `false`: the kernel did not send it. */
	send(address: string, message: Uint8Array): boolean;
	/** ICMP messages (echo replies) that have arrived since the last call. */
	receive(): Uint8Array[];
	close(): void;
}

/** Needs CAP_NET_RAW. @throws SystemCallError: EPERM */
export function openEchoSocket(family: Family): EchoSocket {
	const { socket, close, sendto, recv } = libc();
	const fd = check('socket', socket(domains[family], rawCloexecNonblock, protocols[family]));
	try {
		restrict(fd, family);
	} catch (error) {
		close(fd);
		throw error;
	}
	const received = new Uint8Array(receiveBytes);
	return {
		send(address, message) {
			const name = socketAddress(parseAddress(address));
			return sendto(fd, message, message.length, 0, name, name.length) === message.length;
		},
		receive() {
			const messages: Uint8Array[] = [];
			for (;;) {
				const length = recv(fd, received, received.length, dontWait);
				if (length < 0) {
					const errno = lastErrno();
					// An ICMP error of an earlier packet is reported once by any call.
					if (errnoName(errno) === 'EAGAIN') return messages;
					if (errnoName(errno) === 'EBADF') throw new SystemCallError('recv', errno);
					continue;
				}
				// A raw socket of IPv4 includes the IP header, one of IPv6 does not.
				const start = family === 'ipv4' ? ((received[0] ?? 0) & 15) * 4 : 0;
				messages.push(received.slice(start, length));
			}
		},
		close() {
			close(fd);
		},
	};
}

/** Echo replies only; no fragmentation at this host or on the way. */
function restrict(fd: number, family: Family): void {
	const set = (level: number, name: number, value: Uint8Array) =>
		check('setsockopt', libc().setsockopt(fd, level, name, value, value.length));
	const reply = echoReply[family];
	if (family === 'ipv4') {
		set(solRaw, icmpFilter, words([~(1 << reply)]));
		set(solIp, ipMtuDiscover, words([probe]));
		return;
	}
	const blocked = Array.from({ length: 8 }, (_, index) => (index === reply >> 5 ? ~(1 << (reply & 31)) : ~0));
	set(solIcmpv6, icmpv6Filter, words(blocked));
	set(solIpv6, ipv6MtuDiscover, words([probe]));
	set(solIpv6, ipv6DontFragment, words([1]));
}

const words = (values: readonly number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);

/** `struct sockaddr_in` or `sockaddr_in6`, port 0. */
function socketAddress({ family, bytes }: Address): Uint8Array {
	const name = new Uint8Array(family === 'ipv4' ? 16 : 28);
	new DataView(name.buffer).setUint16(0, domains[family], littleEndian);
	name.set(bytes, family === 'ipv4' ? 4 : 8);
	return name;
}
