import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { canonicalAddress, type Family } from '../../core/index.ts';
import type { LinkAddress } from './detect.ts';

/** The addresses and routes of a host. */
export interface HostAddresses {
	/** The addresses of interfaces that are up. */
	links(): Promise<readonly LinkAddress[]>;
	/**
	 * True if a socket can be bound to the address. All of 127.0.0.0/8 qualifies, although no
	 * interface has these addresses.
	 */
	isLocal(address: string): Promise<boolean>;
	/**
	 * The source address towards a destination, by the kernel's routes; no packet is sent.
	 * `undefined`: no route, or an unknown name.
	 */
	sourceTowards(destination: string, family: Family): Promise<string | undefined>;
}

const socketType = (family: Family) => (family === 'ipv4' ? 'udp4' : 'udp6');
/** Any port, as no packet is sent; Calico's choice. */
const port = 80;
/** Maximum duration of name resolution, in milliseconds. */
const mostResolveMs = 3000;

/** This host. */
export const host: HostAddresses = {
	async links() {
		const rows = Object.entries(networkInterfaces()).flatMap(([device, addresses]) =>
			(addresses ?? []).map(({ address, family, cidr }) => ({
				device,
				family: family === 'IPv4' ? ('ipv4' as const) : ('ipv6' as const),
				address: canonicalAddress(address.replace(/%.*$/, '')),
				length: Number(cidr?.split('/')[1] ?? (family === 'IPv4' ? 32 : 128)),
			})),
		);
		const indexes = new Map<string, number>();
		for (const device of new Set(rows.map((row) => row.device)))
			indexes.set(device, Number(await readFile(`/sys/class/net/${device}/ifindex`, 'utf8').catch(() => '0')));
		return rows.map((row) => ({ ...row, index: indexes.get(row.device) ?? 0 }));
	},
	isLocal(address) {
		const socket = createSocket(socketType(address.includes(':') ? 'ipv6' : 'ipv4'));
		return new Promise((resolve) => {
			const answer = (is: boolean) => {
				socket.close();
				resolve(is);
			};
			socket.once('error', () => answer(false));
			socket.bind({ address, port: 0, exclusive: true }, () => answer(true));
		});
	},
	sourceTowards(destination, family) {
		const socket = createSocket(socketType(family));
		return new Promise((resolve) => {
			let isOver = false;
			const answer = (source: string | undefined) => {
				if (isOver) return;
				isOver = true;
				clearTimeout(timer);
				socket.close();
				resolve(source);
			};
			const timer = setTimeout(() => answer(undefined), mostResolveMs);
			socket.once('error', () => answer(undefined));
			socket.connect(port, destination, (error?: Error) =>
				answer(error === undefined ? socket.address().address : undefined),
			);
		});
	},
};
