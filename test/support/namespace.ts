import { execFileSync } from 'node:child_process';
import { check, libc, systemEnvironment } from '../../src/linux/index.ts';

const cloneNewNet = 0x40000000;

/** Why this process can't have a network namespace of its own; `undefined`: it can. */
export const noNamespaces: string | undefined = process.getuid?.() === 0 ? findIp() : 'network namespaces need root';

function findIp(): string | undefined {
	try {
		execFileSync('ip', ['-V'], { stdio: 'ignore', env: systemEnvironment() });
		return undefined;
	} catch {
		return 'the command ip is missing; install: iproute2';
	}
}

/** Moves this process's main thread, and what it opens or starts from now on, into a new, empty network namespace. */
export function enterNewNamespace(): void {
	check('unshare', libc().unshare(cloneNewNet));
	ip('link set lo up');
}

/** Runs `ip` with these words, in our namespace; gives what it printed. */
export function ip(words: string): string {
	return execFileSync('ip', words.split(' '), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: systemEnvironment() });
}

/** An interface that is up, with addresses; its other end has none. */
export function addInterface(name: string, addresses: readonly string[]): void {
	ip(`link add ${name} type veth peer name ${name}-end`);
	ip(`link set ${name}-end up`);
	ip(`link set ${name} up`);
	for (const address of addresses) ip(`addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
}
