import { communityProblem, type Policy, type PolicyTerm } from '../../bgp/index.ts';
import type { PrefixKey } from '../../core/index.ts';
import type { BgpConfiguration } from '../model/bgp.ts';
import type { BgpFilter } from '../model/bgp-filter.ts';

/** A pool, as far as its routes go to neighbours. */
export interface PoolAdvertisement {
	readonly cidr: PrefixKey;
	readonly disabled: boolean;
	readonly disableBgpExport: boolean;
}

const inside = (prefix: PrefixKey) => ({ prefixes: [{ prefix, operator: 'in' as const }] });

/** Filters decide first; what none of them decides is accepted (Calico's import). */
export const importPolicy = (name: string, filters: readonly BgpFilter[]): Policy => ({
	name: `import ${name}`,
	terms: filters.flatMap((filter) => filter.import),
	otherwise: 'accept',
});

/** Filters decide first; then Calico's own rules: nothing of a pool that is not exported, this node's blocks, services, what lies in a pool; nothing else. */
export function exportPolicy(name: string, filters: readonly BgpFilter[], configuration: BgpConfiguration, pools: readonly PoolAdvertisement[]): Policy {
	return {
		name: `export ${name}`,
		terms: [
			...filters.flatMap((filter) => filter.export),
			...pools
				.filter(({ disableBgpExport }) => disableBgpExport)
				.map(({ cidr }): PolicyTerm => ({ name: `disableBGPExport ${cidr}`, match: inside(cidr), action: 'reject', operations: [] })),
			...communityTerms(configuration),
			{ name: 'own', match: { source: 'local' }, action: 'accept', operations: [] },
			...[...configuration.serviceClusterCidrs, ...configuration.serviceExternalCidrs, ...configuration.serviceLoadBalancerCidrs].map(
				(cidr): PolicyTerm => ({ name: `services ${cidr}`, match: inside(cidr), action: 'accept', operations: [] }),
			),
			...pools
				.filter(({ disabled }) => !disabled)
				.map(({ cidr }): PolicyTerm => ({ name: `pool ${cidr}`, match: inside(cidr), action: 'accept', operations: [] })),
		],
		otherwise: 'reject',
	};
}

/** Communities of `prefixAdvertisements`, by name or as written. */
function communityTerms({ prefixAdvertisements, communities }: BgpConfiguration): PolicyTerm[] {
	return prefixAdvertisements.map(({ prefix, communities: named }) => ({
		name: `communities ${prefix}`,
		match: inside(prefix),
		action: 'continue',
		operations: named
			.map((name) => communities[name] ?? name)
			.filter((value) => communityProblem(value) === undefined)
			.map((value) => ({ type: value.split(':').length === 3 ? ('add-large-community' as const) : ('add-community' as const), value })),
	}));
}

/** Communities that prefixes are to have, and that are none: neither defined nor values. They are left out, as Calico does. */
export function communityProblems({ prefixAdvertisements, communities }: BgpConfiguration): string[] {
	return prefixAdvertisements.flatMap(({ prefix, communities: named }) =>
		named.flatMap((name) => {
			const problem = communityProblem(communities[name] ?? name);
			if (problem === undefined) return [];
			const what = communities[name] === undefined ? `${name} is neither a value nor defined in communities` : `${name}: ${problem}`;
			return [`BGPConfiguration: prefixAdvertisements ${prefix}: ${what}; routes go without it`];
		}),
	);
}
