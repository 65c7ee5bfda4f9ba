import { aFew, type PrefixKey, parsePrefix, prefixCovers } from '../../core/index.ts';
import { isConfirmed, overlappingPairs } from '../../ipam/index.ts';
import { toReservation } from '../model/ipam.ts';
import { type LintFinding, type LintModel, type LintResources, mostNamed, type NamedPool } from './types.ts';

const lies = (cidr: PrefixKey, pool: Pick<NamedPool, 'cidr'>): boolean =>
	prefixCovers(parsePrefix(pool.cidr), parsePrefix(cidr));

/**
 * Blocks and affinities that are not usable as they appear: overlapping blocks, blocks of another
 * size than their pool's, blocks outside all pools.
 */
export function blockRules({ pools, blocks, affinities }: LintModel): LintFinding[] {
	const claims = affinities.filter(({ state, deleted }) => isConfirmed(state) && !deleted);
	return [
		...overlappingPairs(blocks).map(
			([outer, inner]): LintFinding => ({
				severity: 'error',
				rule: 'overlapping-blocks',
				subject: `IPAMBlock ${inner}`,
				problem: `it overlaps block ${outer}: neither gives addresses any more`,
				hint:
					'restart the pods of one of the two; an empty block goes by itself. bgpmesh ipam check names ' +
					'addresses that both have given',
			}),
		),
		...pools.flatMap((pool): LintFinding[] => {
			const odd = blocks.filter(
				(cidr) =>
					parsePrefix(cidr).family === pool.family && lies(cidr, pool) && parsePrefix(cidr).length !== pool.blockSize,
			);
			if (odd.length === 0) return [];
			return [
				{
					severity: 'warning',
					rule: 'block-size-changed',
					subject: `IPPool ${pool.name}`,
					problem: `its blockSize is ${pool.blockSize}, and it has blocks of another size: ${aFew(odd, mostNamed)}`,
					hint: 'a pool that exists keeps its blockSize: make another pool for new blocks, and disable this one',
				},
			];
		}),
		...claims
			.filter(({ cidr }) => !pools.some((pool) => lies(cidr, pool)))
			.map(
				({ node, cidr }): LintFinding => ({
					severity: 'error',
					rule: 'claim-outside-pools',
					subject: `BlockAffinity ${node} ${cidr}`,
					problem:
						`the confirmed claim of node ${node} to ${cidr} lies in no pool: a node that starts does not ` +
						'announce it',
					hint: 'delete it, or create the IPPool that it belongs to',
				}),
			),
	];
}

/** Reservations that can not be read have no effect. */
export function reservationRules({ reservations }: Pick<LintResources, 'reservations'>): LintFinding[] {
	return reservations.flatMap((resource): LintFinding[] => {
		const { unreadable } = toReservation(resource);
		if (unreadable.length === 0) return [];
		return [
			{
				severity: 'error',
				rule: 'unreadable-reservation',
				subject: `IPReservation ${resource.name}`,
				problem: `reservedCIDRs has ${unreadable.join(', ')}, which is neither an address nor a prefix`,
				hint: 'correct it: it reserves nothing, the rest of the list counts',
			},
		];
	});
}
