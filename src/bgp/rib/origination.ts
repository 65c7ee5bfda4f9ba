import { Afi, type PathAttributes, Safi } from 'bgp-packet';
import { familyOf, type PrefixKey, parseAddress, parsePrefix } from '../../core/index.ts';
import type { OriginateAttributes } from '../model/rib.ts';
import { parseCommunity, parseLargeCommunity, readExtendedCommunity } from '../policy/text.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import type { Importer } from './importer.ts';

/**
 * The attributes of a route of this node. Without a next hop each peer gets the local address of
 * its session.
 */
function originAttributes(prefix: PrefixKey, given: OriginateAttributes): PathAttributes {
	const { family } = parsePrefix(prefix);
	const { localPref, med, communities = [], largeCommunities = [], extendedCommunities = [] } = given;
	const nextHop = given.nextHop === undefined ? undefined : parseAddress(given.nextHop).bytes;
	const routes = { type: 'prefixes', nlri: [] } as const;
	const reach = { afi: family === 'ipv4' ? Afi.ipv4 : Afi.ipv6, safi: Safi.unicast, routes };
	return {
		origin: 'igp',
		asPath: [],
		...(nextHop === undefined
			? {}
			: family === 'ipv4' && familyOf(nextHop) === 'ipv4'
				? { nextHop }
				: { mpReach: { ...reach, nextHop } }),
		...(med === undefined ? {} : { med }),
		...(localPref === undefined ? {} : { localPref }),
		...(communities.length === 0 ? {} : { communities: communities.map(parseCommunity) }),
		...(largeCommunities.length === 0 ? {} : { largeCommunities: largeCommunities.map(parseLargeCommunity) }),
		...(extendedCommunities.length === 0
			? {}
			: { extendedCommunities: extendedCommunities.map(readExtendedCommunity) }),
	};
}

/** One of the paths of this node for a prefix. */
export interface OwnPath {
	readonly prefix: PrefixKey;
	readonly path: number;
}

/** Adds a route of this node to the table. @throws AddressError, CommunityError */
export function originate(
	table: RouteTable,
	importer: Importer,
	local: RibPeer,
	{ prefix, path }: OwnPath,
	given: OriginateAttributes,
): void {
	const { bytes, length } = parsePrefix(prefix);
	if (path !== 0) table.usePathIds();
	const set = importer.originate(local, 0, given.priority, originAttributes(prefix, given));
	const old = table.announce(table.prefixes.intern(bytes, 0, length), local.id, path, set);
	if (old !== 0) return;
	local.families[table.prefixes.family].received++;
	local.families[table.prefixes.family].accepted++;
}

/** Removes a route of this node from the table, if present. @throws AddressError */
export function withdrawOrigin(table: RouteTable, local: RibPeer, { prefix, path }: OwnPath): void {
	const { bytes, length } = parsePrefix(prefix);
	const id = table.prefixes.find(bytes, 0, length);
	if (id === 0 || table.withdraw(id, local.id, path) === 0) return;
	local.families[table.prefixes.family].received--;
	local.families[table.prefixes.family].accepted--;
}
