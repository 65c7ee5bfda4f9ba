import type { Family } from '../../core/index.ts';
import { type FelixNetworkSettings, toFelixNetwork } from '../model/felix.ts';
import type { LintFinding, LintModel, LintResources } from './types.ts';

/** Calico's defaults of the metrics of routes to workloads, ordinary and during live migration. */
const defaults = { normal: 1024, elevated: 512 };
const families: readonly Family[] = ['ipv4', 'ipv6'];

/**
 * The metrics of routes to workloads: Felix writes routes by FelixConfiguration, and BGP recognises
 * the preferred ones by BGPConfiguration.
 */
export function priorityRules(
	{ configuration }: LintModel,
	{ felixConfigurations }: Pick<LintResources, 'felixConfigurations'>,
): LintFinding[] {
	const base = felixConfigurations.find(({ name }) => name === 'default');
	const felix = toFelixNetwork(base, undefined);
	return families.flatMap((family) => findings(family, configuration.normalPriority[family], felix));
}

function findings(
	family: Family,
	byBgp: number | undefined,
	{ normalPriority, elevatedPriority }: FelixNetworkSettings,
): LintFinding[] {
	const felix = normalPriority[family] ?? defaults.normal;
	const normal = byBgp ?? felix;
	const elevated = elevatedPriority[family] ?? defaults.elevated;
	const warning = (problem: string, hint: string): LintFinding => ({
		severity: 'warning',
		rule: 'route-priority',
		subject: 'FelixConfiguration default',
		problem,
		hint,
	});
	return [
		...(normal === felix
			? []
			: [
					warning(
						`${family}NormalRoutePriority is ${felix}, and ${normal} in BGPConfiguration default: routes ` +
							'to workloads that have moved are not recognised',
						'set both to one value',
					),
				]),
		...(elevated < normal
			? []
			: [
					warning(
						`${family}ElevatedRoutePriority ${elevated} is not below ${family}NormalRoutePriority ` +
							`${normal}: a virtual machine that migrates gets no preferred route`,
						'lower it: of several routes the one with the lowest metric counts',
					),
				]),
	];
}
