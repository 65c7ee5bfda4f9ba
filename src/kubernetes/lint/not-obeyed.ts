import { isArray, isObject, type JsonValue } from '../json/index.ts';
import { type Resource, specOf } from '../model/resource.ts';
import type { LintFinding, LintResources } from './types.ts';

/** Something that a resource asks for, and that is not done. */
interface Request {
	/** Names of members of the spec. */
	readonly keys: readonly string[];
	/** What comes to the same as not to say it. */
	readonly harmless?: readonly JsonValue[];
	readonly why: string;
	readonly hint: string;
}

const services: Request = {
	keys: ['serviceClusterIPs', 'serviceExternalIPs', 'serviceLoadBalancerIPs'],
	why: 'no addresses of services are announced',
	hint: 'routes to them that others announce pass; to announce them, list the prefixes in `bgp.originate` of the nodes, or run a speaker for services',
};

const ofConfiguration: readonly Request[] = [
	services,
	{
		keys: ['ipv4NormalRoutePriority', 'ipv6NormalRoutePriority'],
		harmless: [1024],
		why: 'the metric of routes is the configuration’s',
		hint: 'set `fib.metric` in the configuration file of the nodes, and remove it',
	},
];

/** Calico reads these from `default` alone, and so do we. */
const clusterWide = [
	'nodeToNodeMeshEnabled',
	'asNumber',
	'nodeMeshPassword',
	'nodeMeshMaxRestartTime',
	'programClusterRoutes',
	'bindMode',
	...services.keys,
	'localWorkloadPeeringIPV4',
	'localWorkloadPeeringIPV6',
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

/** What resources ask for that this node does not do, member by member. */
export function notObeyedRules({ bgpConfigurations, bgpPeers }: Pick<LintResources, 'bgpConfigurations' | 'bgpPeers'>): LintFinding[] {
	const cluster = bgpConfigurations.filter(({ name }) => name === 'default');
	const ofNodes = bgpConfigurations.filter(({ name }) => name.startsWith('node.'));
	return [
		...cluster.flatMap((resource) => findings('BGPConfiguration', resource, ofConfiguration)),
		...ofNodes.flatMap((resource) =>
			findings('BGPConfiguration', resource, [{ keys: clusterWide, why: 'it counts in `default` alone', hint: 'set it there, for all nodes' }]),
		),
		...bgpPeers.flatMap((resource) => findings('BGPPeer', resource, ofPeer)),
	];
}

function findings(kind: string, resource: Resource, requests: readonly Request[]): LintFinding[] {
	const spec = specOf(resource);
	return requests.flatMap(({ keys, harmless = [], why, hint }) => {
		const said = keys.filter((key) => !isNothing(spec[key]) && !harmless.includes(spec[key] ?? null));
		if (said.length === 0) return [];
		return [{ severity: 'warning', rule: 'not-obeyed', subject: `${kind} ${resource.name}`, problem: `${said.join(', ')}: ${why}`, hint }];
	});
}

const isNothing = (value: JsonValue | undefined): boolean =>
	value === undefined || value === null || value === '' || (isArray(value) && value.length === 0) || (isObject(value) && Object.keys(value).length === 0);
