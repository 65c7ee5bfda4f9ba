import type { Family, MalformedCounts, PrefixCounts } from '../../core/index.ts';
import type { RibStatistics } from '../model/rib.ts';
import type { AttributePool } from '../table/attribute-pool.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import type { Groups } from '../update-group/index.ts';
import { familyNames } from './peer-registry.ts';

/** Prefixes of a peer by negotiated family: received, used, and sent to it. */
export function prefixCounts(peer: RibPeer, groups: Readonly<Record<Family, Groups>>): PrefixCounts[] {
	return familyNames
		.filter((family) => peer.families[family].negotiated !== undefined)
		.map((family) => {
			const { received, accepted, best, stale } = peer.families[family];
			const advertised = groups[family].of(peer.id)?.outgoing.advertisedTo(peer.id) ?? 0;
			return { family, received, accepted, best, stale, advertised };
		});
}

/** Malformed UPDATEs of the peer's session by remedy; `undefined` without a session. */
export function malformedCounts({ sink, malformed }: RibPeer): MalformedCounts | undefined {
	return (
		sink && {
			treatedAsWithdraw: malformed['treat-as-withdraw'],
			attributesDiscarded: malformed['attribute-discard'],
		}
	);
}

/** Sizes of all tables, for metrics. */
export function ribStatistics(
	{ ipv4, ipv6 }: Readonly<Record<Family, RouteTable>>,
	groups: Readonly<Record<Family, Groups>>,
	pool: AttributePool,
): RibStatistics {
	return {
		prefixes: { ipv4: ipv4.prefixes.size, ipv6: ipv6.prefixes.size },
		paths: { ipv4: ipv4.paths, ipv6: ipv6.paths },
		attributeSets: pool.size,
		attributeMemory: pool.blockMemory,
		updateGroups: groups.ipv4.size + groups.ipv6.size,
		dirty: ipv4.dirtyCount + ipv6.dirtyCount,
	};
}
