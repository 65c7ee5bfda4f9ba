import type { AttributePool } from '../table/attribute-pool.ts';
import { Flag } from '../table/attribute-summary.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import { Imported, type Importer } from './importer.ts';
import { recount, replacement } from './walks.ts';

/**
 * Repeats the import of all routes of a peer, from the received attributes (call
 * `Importer.forgetPeer` before): a change of policy needs no ROUTE-REFRESH.
 */
export function reimportStep(
	table: RouteTable,
	peer: RibPeer,
	importer: Importer,
	pool: AttributePool,
	changed: () => void,
): () => boolean {
	const { family } = table.prefixes;
	const again = (set: number, prefix: number): number => {
		const old = importer.received(set);
		const multiprotocol = ((pool.flags[old] ?? 0) & Flag.multiprotocol) !== 0;
		const bytes = pool.bytes(old);
		const received = importer.receive(peer, family, multiprotocol, bytes, 0, bytes.length);
		const imported = pool.imported[received] ?? 0;
		const made = imported === Imported.byPrefix ? importer.forPrefix(received, table.prefixes, prefix) : imported;
		// The result is retained before its source is released.
		if (made > 0) pool.retain(made);
		pool.release(received);
		return Math.max(0, made);
	};
	return replacement(table, peer, 'all', again, changed, () => recount(table, peer, peer.families[family]));
}
