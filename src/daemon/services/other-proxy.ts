import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { systemEnvironment } from '../../linux/index.ts';
import type { ProxySigns } from '../../services/index.ts';

const run = promisify(execFile);
const patienceMs = 10_000;
/** Rules of a large kube-proxy in iptables mode. */
const mostBytes = 256 * 1024 * 1024;

/**
 * Output of a command; empty if the command is missing or fails: an unavailable tool shows no sign
 * of a proxy.
 */
async function listed(command: string, ...args: string[]): Promise<string> {
	try {
		return (await run(command, args, { timeout: patienceMs, maxBuffer: mostBytes, env: systemEnvironment() })).stdout;
	} catch {
		return '';
	}
}

/**
 * Detects another service proxy on this node: nftables, both variants of iptables, devices,
 * listeners.
 */
export async function readProxySigns(): Promise<ProxySigns> {
	const [tables, ...chains] = await Promise.all([
		listed('nft', 'list', 'tables'),
		// iptables-nft stores its chains in nftables; `nft` lists them without the rules.
		listed('nft', 'list', 'chains'),
		listedLegacy('/proc/net/ip_tables_names', 'iptables-legacy-save'),
		listedLegacy('/proc/net/ip6_tables_names', 'ip6tables-legacy-save'),
	]);
	return {
		nftTables: [...tables.matchAll(/^table (\S+ \S+)$/gm)].map(([, table = '']) => table),
		iptablesChains: chains.flatMap((text) =>
			[...text.matchAll(/^(?:\s*chain |:)(\S+)/gm)].map(([, name = '']) => name),
		),
		interfaces: Object.keys(networkInterfaces()).concat(await devices()),
		listeningPorts: await listeningPorts(),
	};
}

/**
 * The legacy variant loads kernel modules even for listing: it runs only if its tables exist
 * already.
 */
async function listedLegacy(names: string, command: string): Promise<string> {
	const loaded = await readFile(names, 'utf8').catch(() => '');
	return loaded.trim() === '' ? '' : listed(command);
}

/** Devices without an address too: `kube-ipvs0` is never up. */
async function devices(): Promise<string[]> {
	const text = await readFile('/proc/net/dev', 'utf8').catch(() => '');
	return [...text.matchAll(/^\s*([^\s:]+):/gm)].map(([, name = '']) => name);
}

/** TCP ports with a listener in this network namespace. */
async function listeningPorts(): Promise<number[]> {
	const texts = await Promise.all(
		['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
	);
	// sl local_address rem_address st: 0A is LISTEN.
	const lines = texts.flatMap((text) => [
		...text.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A /gm),
	]);
	return lines.map(([, port = '']) => Number.parseInt(port, 16));
}
