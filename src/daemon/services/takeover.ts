import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { systemEnvironment } from '../../linux/index.ts';
import { iptablesRemoval, type ProxySigns } from '../../services/index.ts';

const run = promisify(execFile);
const patienceMs = 60_000;
const mostBytes = 256 * 1024 * 1024;

/**
 * Removes the kernel state of another service proxy; returns one line per object. With `dryRun`
 * only lists it. @throws Error with the tool's message
 */
export async function removeOtherProxy(signs: ProxySigns, dryRun: boolean): Promise<readonly string[]> {
	const removed: string[] = [];
	for (const table of signs.nftTables.filter((name) => name === 'ip kube-proxy' || name === 'ip6 kube-proxy')) {
		if (!dryRun)
			await run('nft', ['delete', 'table', ...table.split(' ')], { timeout: patienceMs, env: systemEnvironment() });
		removed.push(`nftables table ${table}`);
	}
	if (signs.iptablesChains.some((name) => name.startsWith('KUBE-')))
		for (const variant of ['iptables-nft', 'ip6tables-nft', 'iptables-legacy', 'ip6tables-legacy'])
			removed.push(...(await removeChains(variant, dryRun)));
	if (signs.interfaces.includes('kube-ipvs0')) {
		if (!dryRun) {
			// The virtual servers first: without the device their addresses are no longer local.
			await run('ipvsadm', ['--clear'], { timeout: patienceMs, env: systemEnvironment() }).catch(() => undefined);
			await run('ip', ['link', 'delete', 'kube-ipvs0'], { timeout: patienceMs, env: systemEnvironment() });
		}
		removed.push('device kube-ipvs0');
	}
	return removed;
}

async function removeChains(variant: string, dryRun: boolean): Promise<string[]> {
	let saved: string;
	try {
		saved = (await run(`${variant}-save`, [], { timeout: patienceMs, maxBuffer: mostBytes, env: systemEnvironment() }))
			.stdout;
	} catch {
		// Not installed, or unsupported by the kernel: then it has no rules.
		return [];
	}
	const { script, chains } = iptablesRemoval(saved);
	if (chains.length === 0) return [];
	if (!dryRun) await restore(variant, script);
	return [`${variant}: ${chains.length} chains`];
}

function restore(variant: string, script: string): Promise<void> {
	return new Promise((resolve, reject) => {
		const child = spawn(`${variant}-restore`, ['--noflush'], {
			stdio: ['pipe', 'ignore', 'pipe'],
			env: systemEnvironment(),
			timeout: patienceMs,
		});
		let words = '';
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			words += text;
		});
		child.once('error', reject);
		child.once('close', (code) =>
			code === 0 ? resolve() : reject(new Error(`${variant}-restore: ${words.trim() || `exit code ${code}`}`)),
		);
		child.stdin.end(script);
	});
}
