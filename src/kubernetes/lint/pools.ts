import { parsePrefix, prefixCovers, prefixKey } from '../../core/index.ts';
import { selectorMatches } from '../selector/evaluate.ts';
import { parseSelector, SelectorError } from '../selector/parse.ts';
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

/** Calico's bounds of `blockSize`; and no block is larger than its pool. */
function blockSizeProblem({ cidr, family, blockSize }: NamedPool): string | undefined {
	const [least, most] = family === 'ipv4' ? [20, 32] : [116, 128];
	if (!Number.isInteger(blockSize) || blockSize < least || blockSize > most) return `blockSize ${blockSize} is not between ${least} and ${most}`;
	return blockSize < parsePrefix(cidr).length ? `blockSize ${blockSize} is larger than the pool ${cidr} itself` : undefined;
}

/** What Calico's admission would have refused, and what nobody would notice. */
export function poolRules({ pools, nodes, configuration }: LintModel): LintFinding[] {
	const finding = ({ name }: NamedPool, rule: string, severity: LintFinding['severity'], problem: string, hint: string): LintFinding => ({
		severity,
		rule,
		subject: `IPPool ${name}`,
		problem,
		hint,
	});
	const services = [...configuration.serviceClusterCidrs, ...configuration.serviceExternalCidrs, ...configuration.serviceLoadBalancerCidrs];
	const linkLocal = ['169.254.0.0/16', 'fe80::/10'].map((cidr) => prefixKey(cidr));
	return pools.flatMap((pool, index) => [
		...pools
			.slice(index + 1)
			.filter(({ cidr }) => overlaps(pool.cidr, cidr))
			.map(({ name, cidr }) =>
				finding(pool, 'overlapping-pools', 'error', `${pool.cidr} overlaps ${cidr} of IPPool ${name}`, 'an address must be of one pool: remove one of them'),
			),
		...services
			.filter((cidr) => overlaps(pool.cidr, cidr))
			.map((cidr) =>
				finding(pool, 'pool-in-services', 'error', `${pool.cidr} overlaps ${cidr}, which is for services`, 'pods and services must not share addresses'),
			),
		...linkLocal
			.filter((cidr) => overlaps(pool.cidr, cidr))
			.map((cidr) => finding(pool, 'pool-link-local', 'error', `${pool.cidr} lies in ${cidr}`, 'link-local addresses are not routed: take others')),
		...(pool.ipipMode !== 'Never' && pool.vxlanMode !== 'Never'
			? [finding(pool, 'two-tunnels', 'error', `ipipMode ${pool.ipipMode} and vxlanMode ${pool.vxlanMode} exclude each other`, 'set one of them to Never')]
			: []),
		...(pool.ipipMode !== 'Never' && pool.family === 'ipv6'
			? [finding(pool, 'ipip-ipv6', 'error', `ipipMode ${pool.ipipMode} of an IPv6 pool: there is no such tunnel`, 'set ipipMode to Never')]
			: []),
		...[blockSizeProblem(pool)].flatMap((problem) =>
			problem === undefined ? [] : [finding(pool, 'block-size', 'error', problem, 'it can not be changed: make another pool, and disable this one')],
		),
		...(pool.vxlanMode !== 'Never' && !pool.disabled
			? [finding(pool, 'vxlan', 'warning', 'VXLAN routes are programmed by Felix alone', 'where Felix does not run, use ipipMode')]
			: []),
		...(isSelector(pool.nodeSelector)
			? []
			: [finding(pool, 'selector', 'error', `nodeSelector does not parse: ${pool.nodeSelector}`, 'it selects nothing until it is corrected')]),
		...(!pool.disabled && nodes.length > 0 && isSelector(pool.nodeSelector) && !nodes.some(({ labels }) => selectorMatches(pool.nodeSelector, labels))
			? [
					finding(
						pool,
						'selects-nothing',
						'warning',
						`no node has the labels of ${pool.nodeSelector}`,
						'nobody takes addresses from it: label nodes, or remove it',
					),
				]
			: []),
	]);
}
