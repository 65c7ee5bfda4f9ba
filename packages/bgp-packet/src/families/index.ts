/**
 * The address families whose routes become prefixes. Everything else is carried as bytes: it is
 * neither an error nor looked into.
 */
import type { FamilyCodec } from './codec.ts';
import { ipv4Unicast } from './ipv4-unicast.ts';
import { ipv6Unicast } from './ipv6-unicast.ts';
import { ipv4Multicast, ipv6Multicast } from './multicast.ts';

export type { FamilyCodec } from './codec.ts';

/** One row per family. */
export const families: readonly FamilyCodec[] = [ipv4Unicast, ipv6Unicast, ipv4Multicast, ipv6Multicast];

/** The row of a family, `undefined` for one that is carried as bytes. Allocates nothing. */
export function familyCodec(afi: number, safi: number): FamilyCodec | undefined {
	for (const row of families) if (row.afi === afi && row.safi === safi) return row;
	return undefined;
}
