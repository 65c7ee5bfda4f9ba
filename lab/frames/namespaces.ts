import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { systemEnvironment } from '../../src/linux/index.ts';
import { inside } from './sockets.ts';

/** Runs `ip` with lines of commands as one batch. @throws Error with what ip reports */
export function ipBatch(lines: readonly string[], namespace?: string): void {
	if (lines.length === 0) return;
	execFileSync('ip', [...(namespace === undefined ? [] : ['-n', namespace]), '-batch', '-'], {
		input: `${lines.join('\n')}\n`,
		stdio: ['pipe', 'ignore', 'pipe'],
		env: systemEnvironment(),
	});
}

/** Creates a namespace that forwards packets of any source. */
export function addRouterNamespace(name: string): void {
	removeNamespace(name);
	ipBatch([`netns add ${name}`]);
	const settings: Readonly<Record<string, string>> = {
		'ipv4/ip_forward': '1',
		'ipv4/conf/all/rp_filter': '0',
		'ipv4/conf/default/rp_filter': '0',
		'ipv4/conf/all/send_redirects': '0',
		'ipv4/conf/default/send_redirects': '0',
		// Each rejected packet gets a response.
		'ipv4/icmp_ratelimit': '0',
		'ipv6/icmp/ratelimit': '0',
		'ipv4/icmp_msgs_per_sec': '1000000',
		'ipv4/icmp_msgs_burst': '100000',
		'ipv6/conf/all/forwarding': '1',
		'ipv6/conf/default/accept_dad': '0',
	};
	inside(name, () => {
		for (const [key, value] of Object.entries(settings))
			if (existsSync(`/proc/sys/net/${key}`)) writeFileSync(`/proc/sys/net/${key}`, value);
	});
	ipBatch(['link set lo up'], name);
}

/** Creates a namespace without its own IPv6, so that it sends nothing by itself. */
export function addQuietNamespace(name: string): void {
	removeNamespace(name);
	ipBatch([`netns add ${name}`]);
	inside(name, () => {
		for (const scope of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, '1');
	});
}

/** Removes a namespace; a missing one is no error. */
export function removeNamespace(name: string): void {
	try {
		execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore', env: systemEnvironment() });
	} catch {
		// It did not exist.
	}
}

/** A MAC address as text and bytes: `02:00:00:00:HIGH:LOW`. */
export function macOf(index: number, end: 'router' | 'wire'): { readonly text: string; readonly bytes: Uint8Array } {
	const bytes = Uint8Array.of(2, end === 'router' ? 1 : 2, 0, 0, index >> 8, index & 0xff);
	return { text: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':'), bytes };
}
