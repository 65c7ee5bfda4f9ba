import { closeSync, openSync } from 'node:fs';
import { check, libc } from './libc.ts';

const newNetwork = 0x40000000;

/**
 * Runs `act` on this thread inside the network namespace at `path` (`/run/netns/NAME`,
 * `/proc/PID/ns/net`). `act` must be synchronous: the thread returns before any other code runs. A
 * socket created inside stays in that namespace, and `/proc/sys/net` is that of the namespace.
 * Passes to `act` the namespace's file descriptor, which is closed afterwards.
 * @throws SystemCallError, errors of the file system
 */
export function inNetworkNamespace<T>(path: string, act: (namespaceFd: number) => T): T {
	const own = openSync('/proc/thread-self/ns/net', 'r');
	try {
		const other = openSync(path, 'r');
		try {
			check('setns', libc().setns(other, newNetwork));
			try {
				return act(other);
			} finally {
				check('setns', libc().setns(own, newNetwork));
			}
		} finally {
			closeSync(other);
		}
	} finally {
		closeSync(own);
	}
}
