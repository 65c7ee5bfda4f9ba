/** What an earlier process left of network policy, looked for without the code that enforces it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/index.ts';
import { mayAdministerNetwork, NfTables, Rtnetlink } from '../../linux/index.ts';

/**
 * Does policy of an earlier process stand in this network namespace, and is not enforced any more?
 * By the table, or by pinned programs; those at interfaces of another namespace, whose daemon may
 * use the same directory of pins, are none. Without the right to change the network: no.
 */
export async function hasObsoletePolicy({
	networkPolicy,
	ebpf,
}: Pick<Config, 'networkPolicy' | 'ebpf'>): Promise<boolean> {
	if (networkPolicy.enforce || !mayAdministerNetwork()) return false;
	const tables = new NfTables();
	try {
		const ours = (await tables.tables('inet')).filter((name) => name.startsWith('bgpmesh_'));
		if (ours.length > 0 && ours.includes((await import('../../nftables/index.ts')).policyTable)) return true;
	} catch {
		// A kernel without nftables.
	} finally {
		tables.close();
	}
	const pins = pinsBelow(ebpf.pinDirectory);
	if (pins.length === 0) return false;
	const netlink = new Rtnetlink();
	try {
		return namesInterface(pins, await netlink.links());
	} finally {
		netlink.close();
	}
}

function pinsBelow(directory: string): string[] {
	try {
		return readdirSync(directory).flatMap((layout) => readdirSync(join(directory, layout)));
	} catch {
		return [];
	}
}

/** Is one of these the pin of a link (`link_NAME_INDEX_ingress`) at such an interface? Pure. */
export function namesInterface(
	pins: readonly string[],
	links: readonly { readonly name: string; readonly index: number }[],
): boolean {
	const present = new Set(links.map(({ name, index }) => `${name.replaceAll('.', '_')}_${index}`));
	return pins.some((pin) => present.has(/link_(.+_\d+)_(?:in|e)gress$/.exec(pin)?.[1] ?? ''));
}
