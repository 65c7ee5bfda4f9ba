/** Names of sets, maps and chains of services, and their declarations. Pure. */
import type { Family } from '../../core/index.ts';
import type { Frontend, Pool } from '../../services/index.ts';
import type { SetSpec } from '../table.ts';

export const families = ['ipv4', 'ipv6'] as const;
const digits: Readonly<Record<Family, 4 | 6>> = { ipv4: 4, ipv6: 6 };
/** How nft calls a family's header. */
export const headers: Readonly<Record<Family, 'ip' | 'ip6'>> = { ipv4: 'ip', ipv6: 'ip6' };

/** Which endpoints: those of the whole cluster, or those of this node. */
export type Variant = 'cluster' | 'local';
export const variantOf = ({ key }: Pick<Pool, 'key'>): Variant => (key.endsWith('#local') ? 'local' : 'cluster');

/** Frontends with an address, or node ports. */
export type FrontendKind = 'address' | 'port';
export const kindOf = ({ type }: Frontend): FrontendKind => (type === 'node-port' ? 'port' : 'address');

/** What a packet shows of a frontend, in nft's language. */
export const lookup = (family: Family, kind: FrontendKind): string =>
	`${kind === 'address' ? `${headers[family]} daddr . ` : ''}meta l4proto . th dport`;

/** Verdicts of frontends before translation. */
export const frontMap = (family: Family, kind: FrontendKind): string =>
	`${kind === 'address' ? 'front' : 'port'}-${digits[family]}`;
/** Verdicts of frontends that reject or drop. */
export const refusedMap = (family: Family, kind: FrontendKind): string =>
	`refused-${kind === 'address' ? 'front' : 'port'}-${digits[family]}`;
/** Backends by number, of pools of one size. */
export const sizeMap = (family: Family, kind: FrontendKind, variant: Variant, size: number): string =>
	`${kind === 'address' ? 'to' : 'port-to'}-${digits[family]}-${variant}-${size}`;
/** The backend with one number, for pools with affinity. */
export const pickMap = (family: Family, kind: FrontendKind, variant: Variant, index: number): string =>
	`${kind === 'address' ? 'pick' : 'port-pick'}-${digits[family]}-${variant}-${index}`;
/** A map of backends: look-ups in it follow one in the map of frontends. */
export const isBackendMap = (set: string): boolean => /^(port-)?(to|pick)-/.test(set);
/** Clients whose connections go to the backend with one number. */
export const stickySet = (family: Family, kind: FrontendKind, variant: Variant, index: number): string =>
	`${kind === 'address' ? 'stick' : 'port-stick'}-${digits[family]}-${variant}-${index}`;

/**
 * Frontends, each with the number of new connections to it. It changes with frontends alone, so
 * that counts stay.
 */
export const countedSet = (family: Family, kind: FrontendKind): string =>
	`${kind === 'address' ? 'counted' : 'counted-port'}-${digits[family]}`;

export const podsSet = (family: Family): string => `pods-${digits[family]}`;
export const serviceRangesSet = (family: Family): string => `ranges-${digits[family]}`;
export const clusterIpsSet = (family: Family): string => `cluster-ips-${digits[family]}`;
export const nodeAddressesSet = (family: Family): string => `node-addresses-${digits[family]}`;
/** Backends, each beside itself: a connection that returns to where it came from. */
export const hairpinSet = (family: Family): string => `hairpin-${digits[family]}`;
/** Frontends with source ranges, and the sources that may come. */
export const rangedSet = (family: Family): string => `ranged-${digits[family]}`;
export const sourcesSet = (family: Family): string => `sources-${digits[family]}`;

const empty = (kind: SetSpec['kind'], name: string, declaration: string): SetSpec => ({
	name,
	kind,
	declaration,
	elements: [],
});

/** Sets and maps that are always there. */
export function fixedSets(): SetSpec[] {
	return families.flatMap((family) => {
		const address = `${family}_addr`;
		const front = `${address} . inet_proto . inet_service`;
		const port = 'inet_proto . inet_service';
		return [
			empty('map', frontMap(family, 'address'), `type ${front} : verdict;`),
			empty('map', frontMap(family, 'port'), `type ${port} : verdict;`),
			empty('map', refusedMap(family, 'address'), `type ${front} : verdict;`),
			empty('map', refusedMap(family, 'port'), `type ${port} : verdict;`),
			empty('set', countedSet(family, 'address'), `type ${front}; counter;`),
			empty('set', countedSet(family, 'port'), `type ${port}; counter;`),
			empty('set', podsSet(family), `type ${address}; flags interval;`),
			empty('set', serviceRangesSet(family), `type ${address}; flags interval;`),
			empty('set', clusterIpsSet(family), `type ${address};`),
			empty('set', nodeAddressesSet(family), `type ${address};`),
			empty('set', hairpinSet(family), `type ${address} . ${address};`),
			empty('set', rangedSet(family), `type ${front};`),
			empty('set', sourcesSet(family), `type ${front} . ${address}; flags interval;`),
		];
	});
}

/** The types of `lookup`. */
const frontType = (family: Family, kind: FrontendKind): string =>
	`${kind === 'address' ? `${family}_addr . ` : ''}inet_proto . inet_service`;

/** The map of backends of pools of one size. */
export const sizeMapSpec = (family: Family, kind: FrontendKind, variant: Variant, size: number): SetSpec =>
	empty(
		'map',
		sizeMap(family, kind, variant, size),
		`typeof ${lookup(family, kind)} . numgen random mod ${size} : ${headers[family]} daddr . th dport;`,
	);

/**
 * By `type`: nft 1.0.6 rejects a rule with `dnat` by a map that it reads back from the kernel with
 * `typeof ... th dport` ("conflicting protocols specified"). Services with different times of
 * affinity share this map, and the chain of each comes later than the map.
 */
export const pickMapSpec = (family: Family, kind: FrontendKind, variant: Variant, index: number): SetSpec => {
	const declaration = `type ${frontType(family, kind)} : ${family}_addr . inet_service;`;
	return empty('map', pickMap(family, kind, variant, index), declaration);
};

export const stickySetSpec = (family: Family, kind: FrontendKind, variant: Variant, index: number): SetSpec => ({
	...empty(
		'set',
		stickySet(family, kind, variant, index),
		`type ${family}_addr . ${frontType(family, kind)}; flags dynamic,timeout; timeout 3h; size 262144;`,
	),
	dynamic: true,
});
