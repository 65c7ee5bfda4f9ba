import { communityProblem, type Policy, type PolicyTerm } from '../../bgp/index.ts';
import type { PrefixKey } from '../../core/index.ts';
import type { BgpConfiguration } from '../model/bgp.ts';
import type { BgpFilter } from '../model/bgp-filter.ts';

/** The advertisement settings of a pool. */
export interface PoolAdvertisement {
	readonly cidr: PrefixKey;
	readonly disabled: boolean;
	readonly disableBgpExport: boolean;
}

const inside = (prefix: PrefixKey) => ({ prefixes: [{ prefix, operator: 'in' as const }] });

/** Filters decide first; routes without a decision are accepted (Calico's import). */
export const importPolicy = (name: string, filters: readonly BgpFilter[]): Policy => ({
	name: `import ${name}`,
	terms: filters.flatMap((filter) => filter.import),
	otherwise: 'accept',
});

/**
 * Filters decide first. Then Calico's rules apply: no routes of pools with disabled export; this
 * node's blocks, services, and routes inside a pool are accepted; all others are rejected.
 */
export function exportPolicy(
	name: string,
	filters: readonly BgpFilter[],
	configuration: BgpConfiguration,
	pools: readonly PoolAdvertisement[],
): Policy {
	return {
		name: `export ${name}`,
		terms: [
			...filters.flatMap((filter) => filter.export),
			...pools
				.filter(({ disableBgpExport }) => disableBgpExport)
				.map(
					({ cidr }): PolicyTerm => ({
						name: `disableBGPExport ${cidr}`,
						match: inside(cidr),
						action: 'reject',
						operations: [],
					}),
				),
			...communityTerms(configuration),
			{ name: 'own', match: { source: 'local' }, action: 'accept', operations: [] },
			...[
				...configuration.serviceClusterCidrs,
				...configuration.serviceExternalCidrs,
				...configuration.serviceLoadBalancerCidrs,
			].map(
				(cidr): PolicyTerm => ({ name: `services ${cidr}`, match: inside(cidr), action: 'accept', operations: [] }),
			),
			...pools
				.filter(({ disabled }) => !disabled)
				.map(
					({ cidr }): PolicyTerm => ({ name: `pool ${cidr}`, match: inside(cidr), action: 'accept', operations: [] }),
				),
		],
		otherwise: 'reject',
	};
}

/** The value of a named community, or the text itself. Safe for names such as `constructor`. */
const communityOf = (communities: BgpConfiguration['communities'], name: string): string =>
	(Object.hasOwn(communities, name) ? communities[name] : undefined) ?? name;

/** Communities of `prefixAdvertisements`, by name or as a value. */
function communityTerms({ prefixAdvertisements, communities }: BgpConfiguration): PolicyTerm[] {
	return prefixAdvertisements.map(({ prefix, communities: named }) => ({
		name: `communities ${prefix}`,
		match: inside(prefix),
		action: 'continue',
		operations: named
			.map((name) => communityOf(communities, name))
			.filter((value) => communityProblem(value) === undefined)
			.map((value) => ({
				type: value.split(':').length === 3 ? ('add-large-community' as const) : ('add-community' as const),
				value,
			})),
	}));
}

/**
 * Configured communities that are neither defined nor valid values. They are omitted, as in Calico.
 */
export function communityProblems({ prefixAdvertisements, communities }: BgpConfiguration): string[] {
	return prefixAdvertisements.flatMap(({ prefix, communities: named }) =>
		named.flatMap((name) => {
			const problem = communityProblem(communityOf(communities, name));
			if (problem === undefined) return [];
			const what = !Object.hasOwn(communities, name)
				? `${name} is neither a value nor defined in communities`
				: `${name}: ${problem}`;
			return [`BGPConfiguration: prefixAdvertisements ${prefix}: ${what}; routes go without it`];
		}),
	);
}
