/**
 * Rules of others on the way between two pods of a node: what `ebpf.podRedirect` would pass by.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { systemEnvironment } from '../../linux/index.ts';

const run = promisify(execFile);
const patienceMs = 10_000;

/** A base chain of another program. */
export interface ForeignChain {
	readonly family: string;
	readonly table: string;
	readonly name: string;
	/** Packets that no rule decides are dropped. */
	readonly drops: boolean;
}

/** Hooks that a packet from pod to pod passes; the last two are those of interfaces (netdev). */
const hooks: ReadonlySet<string> = new Set(['prerouting', 'forward', 'postrouting', 'ingress', 'egress']);
/**
 * Tables of ours, of kube-proxy and of the CNI plugin portmap: they concern addresses that no pod
 * has.
 */
const known = /^(bgpmesh_\w+|kube-proxy|cni_hostport)$/;
/** Chains of kube-proxy and of CNI plugins: the same in tables of iptables. */
const knownTarget = /^(KUBE|CNI)-/;

/** Base chains of others, from `nft -j list chains`. Pure. @throws SyntaxError */
export function foreignChains(json: string): ForeignChain[] {
	interface Chain {
		readonly family: string;
		readonly table: string;
		readonly name: string;
		readonly hook?: string;
		readonly policy?: string;
	}
	// The document of nft, libnftables-json(5).
	const { nftables } = JSON.parse(json) as { readonly nftables: readonly { readonly chain?: Chain }[] };
	return nftables.flatMap(({ chain }) =>
		chain?.hook === undefined || !hooks.has(chain.hook) || known.test(chain.table)
			? []
			: [{ family: chain.family, table: chain.table, name: chain.name, drops: chain.policy === 'drop' }],
	);
}

/** What `nft list chain` shows has a rule other than a jump to a known chain. Pure. */
export const hasForeignRules = (listing: string): boolean =>
	listing
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '' && line !== '}' && !/^(#|table |chain |type |comment |devices? )/.test(line))
		.some((line) => !knownTarget.test(/ jump (\S+)/.exec(` ${line}`)?.[1] ?? ''));

/** What `iptables-legacy-save` shows has a rule of others on the way, or drops by default. Pure. */
export const hasForeignLegacyRules = (saved: string): boolean =>
	saved
		.split('\n')
		.some(
			(line) =>
				/^:(PREROUTING|FORWARD|POSTROUTING) DROP/.test(line) ||
				(/^-A (PREROUTING|FORWARD|POSTROUTING) /.test(line) && !knownTarget.test(/ -[jg] (\S+)/.exec(line)?.[1] ?? '')),
		);

/**
 * Rules of others that packets from pod to pod pass, in words; `undefined`: there are none. What
 * can not be read counts as such a rule.
 */
export async function findForeignRules(): Promise<string | undefined> {
	try {
		for (const chain of foreignChains(await output('nft', '-j', 'list', 'chains'))) {
			const { family, table, name, drops } = chain;
			const where = `chain ${name} of table ${family} ${table}`;
			if (drops) return `${where} drops by default`;
			if (hasForeignRules(await output('nft', 'list', 'chain', family, table, name))) return `rules in ${where}`;
		}
		for (const [names, command] of [
			['/proc/net/ip_tables_names', 'iptables-legacy-save'],
			['/proc/net/ip6_tables_names', 'ip6tables-legacy-save'],
		] as const) {
			const loaded = await readFile(names, 'utf8').catch(() => '');
			// It loads modules of the kernel where there are none.
			if (loaded.trim() !== '' && hasForeignLegacyRules(await output(command))) return `rules of ${command}`;
		}
		return undefined;
	} catch (error) {
		return `rules that can not be listed: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`;
	}
}

const output = async (command: string, ...args: string[]): Promise<string> =>
	(await run(command, args, { timeout: patienceMs, maxBuffer: 256 * 1024 * 1024, env: systemEnvironment() })).stdout;
