/**
 * Who programs a cluster's routes, as Calico's resources say it: of each kind of route either BGP (which is us) or Felix.
 * It only matters on a node where Felix runs: elsewhere nobody but us would.
 */
import type { PrefixKey } from '../../core/index.ts';
import { textAt } from '../json/index.ts';
import type { BgpConfiguration } from '../model/bgp.ts';
import { textOf } from '../model/fields.ts';
import type { PoolRouting } from '../model/ipam.ts';
import { type Resource, specOf } from '../model/resource.ts';

/** A value of `programClusterRoutes`. */
export type ProgramClusterRoutes = BgpConfiguration['programClusterRoutes'];

export const kindsOfRoute = ['IPIP', 'unencapsulated'] as const;
export type KindOfRoute = (typeof kindsOfRoute)[number];

/** Is a kind of route programmed by whoever has this value? */
export function programs(value: ProgramClusterRoutes, kind: KindOfRoute): boolean {
	return value === 'Enabled' || value === (kind === 'IPIP' ? 'EnabledIPIPOnly' : 'EnabledNoEncapOnly');
}

export const kindOf = ({ ipipMode }: Pick<PoolRouting, 'ipipMode'>): KindOfRoute => (ipipMode === 'Never' ? 'unencapsulated' : 'IPIP');

/** FelixConfiguration `default`, with Calico's default: before v3.33 Felix programmed no cluster routes but VXLAN's. */
export function felixPrograms(felix: Resource | undefined, clusterInformation: Resource | undefined): ProgramClusterRoutes {
	const value = felix && textOf(specOf(felix), 'programClusterRoutes');
	if (value === 'Enabled' || value === 'Disabled' || value === 'EnabledNoEncapOnly' || value === 'EnabledIPIPOnly') return value;
	const version = clusterInformation && textOf(specOf(clusterInformation), 'calicoVersion');
	const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
	if (major === undefined || minor === undefined) return 'EnabledIPIPOnly';
	return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 33) ? 'EnabledIPIPOnly' : 'Disabled';
}

/** Is this pod Calico's agent, in which Felix runs? Its manifests and its operator label it so. */
export function isRunningFelix({ labels, raw }: Resource): boolean {
	if (labels['k8s-app'] !== 'calico-node') return false;
	const phase = textAt(raw, 'status', 'phase');
	return phase !== 'Succeeded' && phase !== 'Failed';
}

export interface ClusterRoutesInput {
	/** Felix runs on this node. */
	readonly felixRuns: boolean;
	readonly felix: ProgramClusterRoutes;
	readonly bgp: ProgramClusterRoutes;
	readonly pools: readonly PoolRouting[];
}

export interface ClusterRoutes {
	/** Pools that Felix programs, and BGP does not. */
	readonly leftToFelix: ReadonlySet<PrefixKey>;
	/** Pools that both are told to program; what is wrong and what to do about it. */
	readonly contradiction?: { readonly reason: string; readonly hint: string };
}

/** Which pools are left to Felix, and whether it and we are told to program the same ones. Pure. */
export function clusterRoutes({ felixRuns, felix, bgp, pools }: ClusterRoutesInput): ClusterRoutes {
	const ofFelix = felixRuns ? pools.filter((pool) => !pool.disabled && pool.vxlanMode === 'Never' && programs(felix, kindOf(pool))) : [];
	const ofBoth = ofFelix.filter((pool) => programs(bgp, kindOf(pool)));
	const leftToFelix = new Set(ofFelix.filter((pool) => !ofBoth.includes(pool)).map(({ cidr }) => cidr));
	if (ofBoth.length === 0) return { leftToFelix };
	return {
		leftToFelix,
		contradiction: {
			reason: `Felix runs on this node, and programClusterRoutes gives it routes that are BGP's too (${ofBoth.map(({ cidr }) => cidr).join(', ')}): FelixConfiguration says ${felix}, BGPConfiguration ${bgp}`,
			hint: 'set programClusterRoutes of FelixConfiguration to Disabled; or set fib.besideOthers: true to write beside it',
		},
	};
}
