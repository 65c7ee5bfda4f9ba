import { type JsonObject, objectAt, textAt, withAt } from '../../json/index.ts';
import type { ApiLayout } from './resource.ts';

const v1: ApiLayout = 'crd.projectcalico.org/v1';
const v3: ApiLayout = 'projectcalico.org/v3';

/**
 * Kinds with the same spec in both layouts. Older releases of Calico store a policy of the tier
 * `default` as `default.NAME`, and read it with and without that prefix: names stay as they are.
 */
const sameSpec = new Set([
	'IPPool',
	'IPReservation',
	'BGPConfiguration',
	'BGPPeer',
	'BGPFilter',
	'CalicoNodeStatus',
	'FelixConfiguration',
	'ClusterInformation',
	'KubeControllersConfiguration',
	'HostEndpoint',
	'Profile',
	'GlobalNetworkSet',
	'NetworkSet',
	'Tier',
	'NetworkPolicy',
	'GlobalNetworkPolicy',
	'StagedNetworkPolicy',
	'StagedGlobalNetworkPolicy',
	'StagedKubernetesNetworkPolicy',
]);

/**
 * Converts an object of `projectcalico.org/v3`, as users write it, for a server with only the v1
 * layout. `undefined`: another group, or a kind that can not be converted.
 */
export function toV1Layout(object: JsonObject): JsonObject | undefined {
	const kind = textAt(object, 'kind') ?? '';
	if (textAt(object, 'apiVersion') !== v3) return undefined;
	if (sameSpec.has(kind)) return { ...object, apiVersion: v1 };
	if (kind === 'IPAMConfiguration') return { ...object, apiVersion: v1, kind: 'IPAMConfig' };
	if (kind !== 'BlockAffinity') return undefined;
	const { deleted } = objectAt(object, 'spec');
	// A string in v1, a boolean in v3.
	const translated = deleted === undefined ? object : withAt(object, ['spec', 'deleted'], String(deleted));
	return { ...translated, apiVersion: v1 };
}
