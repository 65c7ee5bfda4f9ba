import { execFileSync } from 'node:child_process';
import { check, libc, systemEnvironment } from '../../src/linux/index.ts';

const cloneNewNet = 0x40000000;

/**
 * Moves this process, and every process that it starts from now on, into a new network namespace.
 * Needs root. @throws SystemCallError
 */
export function enterNewNamespace(): void {
	check('unshare', libc().unshare(cloneNewNet));
}

/** Runs `ip` in the current namespace. */
function ip(words: string): string {
	return execFileSync('ip', words.split(' '), { encoding: 'utf8', env: systemEnvironment(), maxBuffer: 1 << 28 });
}

/**
 * Removes eth0, and with it every route and next hop through it: at once, because the end of a
 * namespace does so later, in the background, when the next subject is measured.
 */
export function removeInterfaces(): void {
	ip('link del eth0');
}

/** eth0 with 10.0.0.1/16: room for next hops. */
export function addInterfaces(): void {
	ip('link add eth0 type veth peer name eth0-end');
	ip('link set eth0-end up');
	ip('link set eth0 up');
	ip('addr add 10.0.0.1/16 dev eth0');
}
