import type { Family } from '../../core/index.ts';
import type { PeerLimit } from '../model/rib.ts';
import type { RibPeer } from '../table/peers.ts';
import { ownNextHop } from '../update-group/index.ts';
import { familyNames, type PeerRegistry } from './peer-registry.ts';

/**
 * Sessions and families for which this node has own routes but no next hop to announce them.
 */
export function withoutNextHop(peers: PeerRegistry): { readonly peer: string; readonly family: Family }[] {
	const own = familyNames.filter((family) => peers.local.families[family].received > 0);
	if (own.length === 0) return [];
	return peers.all().flatMap((peer) => {
		const { sink, negotiated, options, deniesExport, name } = peer;
		if (sink === undefined || negotiated === undefined || deniesExport) return [];
		return negotiated.families.flatMap((row) =>
			own.includes(row.family) && ownNextHop(negotiated, row, options).length === 0
				? [{ peer: name, family: row.family }]
				: [],
		);
	});
}

/** Sessions that are near their prefix limit, or over it. */
export function nearLimit(peers: PeerRegistry): PeerLimit[] {
	return peers.all().flatMap((peer) => familyNames.flatMap((family) => limitOf(peer, family)));
}

function limitOf({ name, sink, families, options: { maxPrefix } }: RibPeer, family: Family): PeerLimit[] {
	const { received } = families[family];
	if (sink === undefined || maxPrefix === undefined) return [];
	const { limit, warnPercent, action } = maxPrefix;
	return received > limit * ((warnPercent ?? 100) / 100) || received >= limit
		? [{ peer: name, family, received, limit, action }]
		: [];
}
