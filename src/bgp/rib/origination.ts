import { Afi, type PathAttributes, Safi } from 'bgp-packet';
import { familyOf, type PrefixKey, parseAddress, parsePrefix } from '../../core/index.ts';
import { parseCommunity, parseLargeCommunity, readExtendedCommunity } from '../policy/text.ts';
import type { Importer } from './importer.ts';
import type { RibPeer } from './peers.ts';
import type { RouteTable } from './route-table.ts';
import type { OriginateAttributes } from './types.ts';

/** The attributes of a route of this node. Without a next hop it has none, so that every peer is told our address on its session. */
export function originAttributes(prefix: PrefixKey, given: OriginateAttributes): PathAttributes {
	const { family } = parsePrefix(prefix);
	const { localPref, med, communities = [], largeCommunities = [], extendedCommunities = [] } = given;
	const nextHop = given.nextHop === undefined ? undefined : parseAddress(given.nextHop).bytes;
	const routes = { type: 'prefixes', nlri: [] } as const;
	const reach = { afi: family === 'ipv4' ? Afi.ipv4 : Afi.ipv6, safi: Safi.unicast, routes };
	return {
		origin: 'igp',
		asPath: [],
		...(nextHop === undefined ? {} : family === 'ipv4' && familyOf(nextHop) === 'ipv4' ? { nextHop } : { mpReach: { ...reach, nextHop } }),
		...(med === undefined ? {} : { med }),
		...(localPref === undefined ? {} : { localPref }),
		...(communities.length === 0 ? {} : { communities: communities.map(parseCommunity) }),
		...(largeCommunities.length === 0 ? {} : { largeCommunities: largeCommunities.map(parseLargeCommunity) }),
		...(extendedCommunities.length === 0 ? {} : { extendedCommunities: extendedCommunities.map(readExtendedCommunity) }),
	};
}

/** Puts a route of this node into the table. @throws AddressError, CommunityError */
export function originate(table: RouteTable, importer: Importer, local: RibPeer, prefix: PrefixKey, given: OriginateAttributes): void {
	const { bytes, length } = parsePrefix(prefix);
	const set = importer.originate(local, 0, given.priority, originAttributes(prefix, given));
	const old = table.announce(table.prefixes.intern(bytes, 0, length), local.id, 0, set);
	if (old !== 0) return;
	local.families[table.prefixes.family].received++;
	local.families[table.prefixes.family].accepted++;
}

/** Takes a route of this node out of the table, if it is there. @throws AddressError */
export function withdrawOrigin(table: RouteTable, local: RibPeer, prefix: PrefixKey): void {
	const { bytes, length } = parsePrefix(prefix);
	const id = table.prefixes.find(bytes, 0, length);
	if (id === 0 || table.withdraw(id, local.id, 0) === 0) return;
	local.families[table.prefixes.family].received--;
	local.families[table.prefixes.family].accepted--;
}
