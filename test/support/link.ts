import { execFileSync } from 'node:child_process';
import type { BenchLink } from './interop-bench.ts';

/** Two namespaces joined by a veth with IPv4 and IPv6 addresses, while `body` runs. */
export async function withLink(family: 'ipv4' | 'ipv6', body: (link: BenchLink) => Promise<void>): Promise<void> {
	const id = `bmi${process.pid}`;
	const [own, peer] = [`${id}a`, `${id}b`];
	const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
	const ends = [
		{ namespace: own, ipv4: '10.99.0.1', ipv6: '2001:db8:99::1' },
		{ namespace: peer, ipv4: '10.99.0.2', ipv6: '2001:db8:99::2' },
	];
	try {
		for (const { namespace } of ends) ip('netns', 'add', namespace);
		ip('link', 'add', 'eth0', 'netns', own, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', peer);
		for (const { namespace, ipv4, ipv6 } of ends) {
			ip('-n', namespace, 'link', 'set', 'lo', 'up');
			ip('-n', namespace, 'link', 'set', 'eth0', 'up');
			ip('-n', namespace, 'addr', 'add', `${ipv4}/30`, 'dev', 'eth0');
			ip('-n', namespace, 'addr', 'add', `${ipv6}/64`, 'dev', 'eth0', 'nodad');
		}
		// Next hops of routes are beyond the other end; a daemon that resolves them finds a route.
		ip('-n', own, 'route', 'add', 'default', 'via', '10.99.0.2');
		ip('-n', own, 'route', 'add', 'default', 'via', '2001:db8:99::2');
		ip('-n', peer, 'route', 'add', 'default', 'via', '10.99.0.1');
		ip('-n', peer, 'route', 'add', 'default', 'via', '2001:db8:99::1');
		const [left, right] = ends.map((end) => ({ namespace: end.namespace, address: end[family] }));
		if (left === undefined || right === undefined) throw new RangeError('two ends');
		await body({ own: left, peer: right });
	} finally {
		for (const { namespace } of ends) {
			try {
				ip('netns', 'del', namespace);
			} catch {
				// It was never created.
			}
		}
	}
}

/**
 * One of the kernel's `TcpExt` counters in a namespace, such as `TCPMinTTLDrop`; 0 where the kernel
 * does not have it.
 */
export function tcpCounter(namespace: string, name: string): number {
	const text = execFileSync('ip', ['netns', 'exec', namespace, 'cat', '/proc/net/netstat'], { encoding: 'utf8' });
	const [names = [], values = []] = text
		.split('\n')
		.filter((line) => line.startsWith('TcpExt:'))
		.map((line) => line.split(' '));
	return Number(values[names.indexOf(name)] ?? 0);
}
