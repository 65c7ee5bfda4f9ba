/**
 * Decides which component programs a cluster's routes, from Calico's resources: for each kind of
 * route either BGP (this project) or Felix. Relevant only on a node with Felix; on other nodes this
 * project programs all of them.
 */
import type { PrefixKey } from '../../core/index.ts';
import { textAt } from '../../json/index.ts';
import type { BgpConfiguration } from '../model/bgp.ts';
import { textOf } from '../model/fields.ts';
import type { PoolRouting } from '../model/ipam.ts';
import { type Resource, specOf } from '../model/resource.ts';

/** A value of `programClusterRoutes`. */
export type ProgramClusterRoutes = BgpConfiguration['programClusterRoutes'];

export const kindsOfRoute = ['IPIP', 'unencapsulated'] as const;
export type KindOfRoute = (typeof kindsOfRoute)[number];

/** True if a component with this value programs the kind of route. */
export function programs(value: ProgramClusterRoutes, kind: KindOfRoute): boolean {
	return value === 'Enabled' || value === (kind === 'IPIP' ? 'EnabledIPIPOnly' : 'EnabledNoEncapOnly');
}

export const kindOf = ({ ipipMode }: Pick<PoolRouting, 'ipipMode'>): KindOfRoute =>
	ipipMode === 'Never' ? 'unencapsulated' : 'IPIP';

/**
 * FelixConfiguration `default`, with Calico's default: before v3.33 Felix programmed only VXLAN
 * routes.
 */
export function felixPrograms(
	felix: Resource | undefined,
	clusterInformation: Resource | undefined,
): ProgramClusterRoutes {
	const value = felix && textOf(specOf(felix), 'programClusterRoutes');
	if (value === 'Enabled' || value === 'Disabled' || value === 'EnabledNoEncapOnly' || value === 'EnabledIPIPOnly')
		return value;
	const version = clusterInformation && textOf(specOf(clusterInformation), 'calicoVersion');
	const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
	if (major === undefined || minor === undefined) return 'EnabledIPIPOnly';
	return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 33) ? 'EnabledIPIPOnly' : 'Disabled';
}

/**
 * Where `felixPrograms` has the value from, in words: on a Felix of unknown version it may be
 * wrong.
 */
export function felixProgramsReason(felix: Resource | undefined, clusterInformation: Resource | undefined): string {
	const value = felixPrograms(felix, clusterInformation);
	if (felix !== undefined && textOf(specOf(felix), 'programClusterRoutes') === value)
		return `programClusterRoutes of FelixConfiguration is ${value}`;
	const version = clusterInformation && textOf(specOf(clusterInformation), 'calicoVersion');
	return (
		`FelixConfiguration has no programClusterRoutes, and ${value} is the default ` +
		(version === undefined ? 'since Calico 3.33 (ClusterInformation names no calicoVersion)' : `of Calico ${version}`)
	);
}

/**
 * True if this pod is Calico's agent, which contains Felix. Calico's manifests and its operator set
 * these labels.
 */
export function isRunningFelix({ labels, raw }: Resource): boolean {
	if (labels['k8s-app'] !== 'calico-node') return false;
	const phase = textAt(raw, 'status', 'phase');
	return phase !== 'Succeeded' && phase !== 'Failed';
}

/** The unit of Calico's packages for hosts. */
export const felixUnit = 'calico-felix.service';
/** The kernel's names of processes that may be Felix. */
export const felixProcessNames: ReadonlySet<string> = new Set(['calico-felix', 'calico-node']);

/**
 * True if this process is Felix: the program of Calico's packages, or `calico-node -felix` as the
 * installation on hosts without packages starts it.
 */
export function isFelixProcess({ name, words }: { readonly name: string; readonly words: readonly string[] }): boolean {
	return name === 'calico-felix' || (name === 'calico-node' && words.some((word) => /^--?felix$/.test(word)));
}

export interface ClusterRoutesInput {
	/** Felix runs on this node. */
	readonly felixRuns: boolean;
	readonly felix: ProgramClusterRoutes;
	readonly bgp: ProgramClusterRoutes;
	readonly pools: readonly PoolRouting[];
}

export interface ClusterRoutes {
	/** Pools that Felix programs and BGP does not. */
	readonly leftToFelix: ReadonlySet<PrefixKey>;
	/** Pools that both are configured to program: reason and remedy. */
	readonly contradiction?: { readonly reason: string; readonly hint: string };
}

/** The pools left to Felix, and the pools that both are configured to program. Pure. */
export function clusterRoutes({ felixRuns, felix, bgp, pools }: ClusterRoutesInput): ClusterRoutes {
	const ofFelix = felixRuns
		? pools.filter((pool) => !pool.disabled && pool.vxlanMode === 'Never' && programs(felix, kindOf(pool)))
		: [];
	const ofBoth = ofFelix.filter((pool) => programs(bgp, kindOf(pool)));
	const leftToFelix = new Set(ofFelix.filter((pool) => !ofBoth.includes(pool)).map(({ cidr }) => cidr));
	if (ofBoth.length === 0) return { leftToFelix };
	return {
		leftToFelix,
		contradiction: {
			reason:
				"Felix runs on this node, and programClusterRoutes gives it routes that are BGP's too " +
				`(${ofBoth.map(({ cidr }) => cidr).join(', ')}): FelixConfiguration has ${felix}, ` +
				`BGPConfiguration ${bgp}`,
			hint:
				'set programClusterRoutes of FelixConfiguration to Disabled; or set fib.besideOthers: true ' +
				'to write beside it',
		},
	};
}
