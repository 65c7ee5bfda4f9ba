import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { check, libc, systemEnvironment } from '../../src/linux/index.ts';

const cloneNewNet = 0x40000000;

/** The reason why this process can't have its own network namespace; `undefined`: it can. */
export const noNamespaces: string | undefined = process.getuid?.() === 0 ? findIp() : 'network namespaces need root';

function findIp(): string | undefined {
	try {
		execFileSync('ip', ['-V'], { stdio: 'ignore', env: systemEnvironment() });
		return undefined;
	} catch {
		return 'the command ip is missing; install: iproute2';
	}
}

/**
 * Moves this process's main thread, and every socket and process that it opens from now on, into a
 * new, empty network namespace.
 */
export function enterNewNamespace(): void {
	check('unshare', libc().unshare(cloneNewNet));
	ip('link set lo up');
}

/** Runs `ip` with these arguments in the current namespace; returns its output. */
export function ip(words: string): string {
	return execFileSync('ip', words.split(' '), {
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'pipe'],
		env: systemEnvironment(),
	});
}

/** An interface that is up, with addresses; its other end has none. */
export function addInterface(name: string, addresses: readonly string[]): void {
	ip(`link add ${name} type veth peer name ${name}-end`);
	ip(`link set ${name}-end up`);
	ip(`link set ${name} up`);
	for (const address of addresses) ip(`addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
}

/** A new namespace with forwarding and without reverse-path filtering. */
export function enterRouting(): void {
	enterNewNamespace();
	for (const key of ['ip_forward', 'conf/all/rp_filter', 'conf/default/rp_filter'])
		writeFileSync(`/proc/sys/net/ipv4/${key}`, key === 'ip_forward' ? '1' : '0');
}

/** Runs `ip` in the namespace of another process. */
export const ipAt = (pid: number, words: string) =>
	execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', ...words.split(' ')], {
		encoding: 'utf8',
		env: systemEnvironment(),
	});

/**
 * A veth from the current namespace, or that of `at`, to that of another process, each end with an
 * address.
 */
export function link(
	to: number,
	[name, address]: readonly [string, string],
	[far, farAddress]: readonly [string, string],
	at?: number,
): void {
	const here = at === undefined ? ip : (words: string) => ipAt(at, words);
	here(`link add ${name} type veth peer name ${far}`);
	here(`link set ${far} netns ${to}`);
	here(`addr add ${address} dev ${name}`);
	here(`link set ${name} up`);
	ipAt(to, `addr add ${farAddress} dev ${far}`);
	ipAt(to, `link set ${far} up`);
}

/** Removed routes of these protocols, as `ip monitor` reports them. */
export function watchDeletions(t: ExecutionContext, protocols: readonly number[] = [80]): () => string[] {
	const monitor = spawn('ip', ['monitor', 'route'], { stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() });
	let told = '';
	monitor.stdout.setEncoding('utf8').on('data', (chunk: string) => {
		told += chunk;
	});
	t.teardown(() => monitor.kill());
	const isMeant = (line: string) => protocols.some((protocol) => line.includes(`proto ${protocol}`));
	return () => told.split('\n').filter((line) => line.startsWith('Deleted') && isMeant(line));
}
