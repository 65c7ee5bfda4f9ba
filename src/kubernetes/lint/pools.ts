import { parsePrefix, prefixCovers } from '../../core/index.ts';
import { unusablePool } from '../../ipam/index.ts';
import { parseSelector, SelectorError, selectorMatches } from '../../selector/index.ts';
import type { LintFinding, LintModel, NamedPool } from './types.ts';

const overlaps = (left: string, right: string): boolean => {
	const [one, other] = [parsePrefix(left), parsePrefix(right)];
	return one.family === other.family && (prefixCovers(one, other) || prefixCovers(other, one));
};

function isSelector(text: string): boolean {
	try {
		parseSelector(text);
		return true;
	} catch (error) {
		if (error instanceof SelectorError) return false;
		throw error;
	}
}

/** Pools that Calico's admission would reject, and silent misconfigurations. */
export function poolRules({ pools, nodes, configuration }: LintModel): LintFinding[] {
	const finding = (
		{ name }: NamedPool,
		rule: string,
		severity: LintFinding['severity'],
		problem: string,
		hint: string,
	): LintFinding => ({
		severity,
		rule,
		subject: `IPPool ${name}`,
		problem,
		hint,
	});
	const services = [
		...configuration.serviceClusterCidrs,
		...configuration.serviceExternalCidrs,
		...configuration.serviceLoadBalancerCidrs,
	];
	return pools.flatMap((pool, index) => [
		...pools
			.slice(index + 1)
			.filter(({ cidr }) => overlaps(pool.cidr, cidr))
			.map(({ name, cidr }) =>
				finding(
					pool,
					'overlapping-pools',
					'error',
					`${pool.cidr} overlaps ${cidr} of IPPool ${name}`,
					'an address must be of one pool: remove one of them',
				),
			),
		...services
			.filter((cidr) => overlaps(pool.cidr, cidr))
			.map((cidr) =>
				finding(
					pool,
					'pool-in-services',
					'error',
					`${pool.cidr} overlaps ${cidr}, which is for services`,
					'pods and services must not share addresses',
				),
			),
		...(pool.ipipMode !== 'Never' && pool.vxlanMode !== 'Never'
			? [
					finding(
						pool,
						'two-tunnels',
						'error',
						`ipipMode ${pool.ipipMode} and vxlanMode ${pool.vxlanMode} exclude each other`,
						'set one of them to Never',
					),
				]
			: []),
		...(pool.ipipMode !== 'Never' && pool.family === 'ipv6'
			? [
					finding(
						pool,
						'ipip-ipv6',
						'error',
						`ipipMode ${pool.ipipMode} of an IPv6 pool: there is no such tunnel`,
						'set ipipMode to Never',
					),
				]
			: []),
		...[unusablePool(pool)].flatMap((problem) =>
			problem === undefined
				? []
				: [
						finding(
							pool,
							'unusable-pool',
							'error',
							`${problem}: no address is given from it`,
							'cidr and blockSize of a pool can not be changed: make another pool, and disable this one',
						),
					],
		),
		...(isSelector(pool.nodeSelector)
			? []
			: [
					finding(
						pool,
						'selector',
						'error',
						`nodeSelector does not parse: ${pool.nodeSelector}`,
						'it selects nothing until it is corrected',
					),
				]),
		...(!pool.disabled &&
		nodes.length > 0 &&
		isSelector(pool.nodeSelector) &&
		!nodes.some(({ labels }) => selectorMatches(pool.nodeSelector, labels))
			? [
					finding(
						pool,
						'selects-nothing',
						'warning',
						`no node has the labels of ${pool.nodeSelector}`,
						'no node takes addresses from it: label nodes, or remove it',
					),
				]
			: []),
	]);
}
