import { isArray, isObject, type JsonValue } from '../../json/index.ts';
import { type Resource, specOf } from '../model/resource.ts';
import type { LintFinding, LintResources } from './types.ts';

/** A setting of a resource that is not supported. */
interface Request {
	/** Member names in the spec. */
	readonly keys: readonly string[];
	/** Values with the same effect as absence. */
	readonly harmless?: readonly JsonValue[];
	readonly why: string;
	readonly hint: string;
}

/** Calico reads these only from `default`, as this project does. */
const clusterWide = [
	'nodeToNodeMeshEnabled',
	'asNumber',
	'nodeMeshPassword',
	'nodeMeshMaxRestartTime',
	'programClusterRoutes',
	'bindMode',
	'serviceClusterIPs',
	'serviceExternalIPs',
	'serviceLoadBalancerIPs',
	'serviceLoadBalancerAggregation',
	'localWorkloadPeeringIPV4',
	'localWorkloadPeeringIPV6',
	'ipv4NormalRoutePriority',
	'ipv6NormalRoutePriority',
];

const ofPeer: readonly Request[] = [
	{
		keys: ['failureDetectionMode'],
		harmless: ['None'],
		why: 'neighbours that fail silently are found by the hold timer alone',
		hint: 'lower keepaliveTime (three of them are the hold time), and remove it',
	},
	{
		keys: ['restartMode'],
		harmless: ['GracefulRestart'],
		why: 'restarts are graceful as in RFC 4724, not long-lived',
		hint: 'raise maxRestartTime, and remove it',
	},
	{
		keys: ['birdGatewayMode'],
		harmless: ['Recursive'],
		why: 'next hops are always resolved recursively',
		hint: 'remove it',
	},
];

/** The unsupported settings of the resources, by member. */
export function notObeyedRules({
	bgpConfigurations,
	bgpPeers,
}: Pick<LintResources, 'bgpConfigurations' | 'bgpPeers'>): LintFinding[] {
	const ofNodes = bgpConfigurations.filter(({ name }) => name.startsWith('node.'));
	return [
		...ofNodes.flatMap((resource) =>
			findings('BGPConfiguration', resource, [
				{ keys: clusterWide, why: 'it counts in `default` alone', hint: 'set it there, for all nodes' },
			]),
		),
		...bgpPeers.flatMap((resource) => findings('BGPPeer', resource, ofPeer)),
	];
}

function findings(kind: string, resource: Resource, requests: readonly Request[]): LintFinding[] {
	const spec = specOf(resource);
	return requests.flatMap(({ keys, harmless = [], why, hint }) => {
		const said = keys.filter((key) => !isNothing(spec[key]) && !harmless.includes(spec[key] ?? null));
		if (said.length === 0) return [];
		return [
			{
				severity: 'warning',
				rule: 'not-obeyed',
				subject: `${kind} ${resource.name}`,
				problem: `${said.join(', ')}: ${why}`,
				hint,
			},
		];
	});
}

const isNothing = (value: JsonValue | undefined): boolean =>
	value === undefined ||
	value === null ||
	value === '' ||
	(isArray(value) && value.length === 0) ||
	(isObject(value) && Object.keys(value).length === 0);
