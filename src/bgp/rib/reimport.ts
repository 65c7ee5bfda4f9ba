import type { AttributePool } from './attribute-pool.ts';
import { Flag } from './attribute-summary.ts';
import { Imported, type Importer } from './importer.ts';
import type { RibPeer } from './peers.ts';
import type { RouteTable } from './route-table.ts';
import type { RibPeerOptions } from './types.ts';
import { recount, replacement } from './walks.ts';

/** Text of the options that decide what import makes of a route; equal text, equal result. */
export function reimportKey(options: RibPeerOptions): string {
	const { importPolicies, ebgpRequiresPolicy, allowOwnAs, enforceFirstAs, reflectorClient, routeServerClient, gracefulShutdown, noPrependInbound } = options;
	const isClient = reflectorClient || routeServerClient;
	return JSON.stringify([
		...[importPolicies ?? null, ebgpRequiresPolicy, allowOwnAs, enforceFirstAs, isClient, routeServerClient, gracefulShutdown, noPrependInbound],
	]);
}

/**
 * Puts all routes of a peer through import again, from the attributes as they came (`Importer.forgetPeer` before): a change of
 * policy asks the peer for nothing.
 */
export function reimportStep(table: RouteTable, peer: RibPeer, importer: Importer, pool: AttributePool, changed: () => void): () => boolean {
	const { family } = table.prefixes;
	const again = (set: number, prefix: number): number => {
		const old = importer.received(set);
		const multiprotocol = ((pool.flags[old] ?? 0) & Flag.multiprotocol) !== 0;
		const bytes = pool.bytes(old);
		const received = importer.receive(peer, family, multiprotocol, bytes, 0, bytes.length);
		const imported = pool.imported[received] ?? 0;
		const made = imported === Imported.byPrefix ? importer.forPrefix(received, table.prefixes, prefix) : imported;
		// What was made is held before we let go of what it was made from.
		if (made > 0) pool.retain(made);
		pool.release(received);
		return Math.max(0, made);
	};
	return replacement(table, peer, 'all', again, changed, () => recount(table, peer, peer.families[family]));
}
