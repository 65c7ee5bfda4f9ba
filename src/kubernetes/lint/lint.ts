/**
 * What contradicts itself in a cluster's resources, as a pure function: each rule takes the resources as values and returns
 * findings. A resource that does not parse is a finding, and the rest is looked at without it.
 */
import { toBgpConfiguration, toBgpPeer } from '../model/bgp.ts';
import { type BgpFilter, toBgpFilter } from '../model/bgp-filter.ts';
import { toPool, toPoolRouting } from '../model/ipam.ts';
import { toNodeFacts } from '../model/node.ts';
import { type Resource, ResourceError, specOf } from '../model/resource.ts';
import { felixPrograms, kindOf, kindsOfRoute, programs } from '../topology/cluster-routes.ts';
import { notObeyedRules } from './not-obeyed.ts';
import { configurationRules, peerRules } from './peers.ts';
import { poolRules } from './pools.ts';
import { selectorRules, sessionRules } from './sessions.ts';
import type { LintFinding, LintModel, LintResources } from './types.ts';

export type { LintFinding, LintResources } from './types.ts';

/** Everything that an operator should look into; errors first, then by rule and subject. */
export function lint(resources: LintResources): readonly LintFinding[] {
	const findings: LintFinding[] = [];
	const model = read(resources, findings);
	findings.push(
		...poolRules(model),
		...programRules(model),
		...nodeRules(model),
		...selectorRules(model),
		...peerRules(model),
		...configurationRules(model),
		...sessionRules(model),
		...notObeyedRules(resources),
	);
	const order = ({ severity, rule, subject, problem }: LintFinding) => `${severity} ${rule} ${subject} ${problem}`;
	return findings.sort((left, right) => (order(left) < order(right) ? -1 : 1));
}

function read(resources: LintResources, findings: LintFinding[]): LintModel {
	const attempt = <T>(kind: string, value: () => T): T[] => {
		try {
			return [value()];
		} catch (error) {
			if (!(error instanceof ResourceError)) throw error;
			findings.push({
				severity: 'error',
				rule: 'unusable',
				subject: `${kind} ${error.resource}`,
				problem: error.message,
				hint: 'it is left out until it is corrected',
			});
			return [];
		}
	};
	const each = <T>(kind: string, list: readonly Resource[], value: (resource: Resource) => T): T[] =>
		list.flatMap((resource) => attempt(kind, () => value(resource)));
	const named = (name: string) => resources.bgpConfigurations.find((resource) => resource.name === name);
	const configurationOf = (own: Resource | undefined) => attempt('BGPConfiguration', () => toBgpConfiguration(named('default'), own))[0];
	const felix = resources.felixConfigurations.find(({ name }) => name === 'default');
	const cluster = resources.clusterInformations.find(({ name }) => name === 'default');
	return {
		nodes: each('Node', resources.nodes, toNodeFacts),
		pools: each('IPPool', resources.pools, (resource) => {
			const { name, nodeSelector, family, blockSize } = toPool(resource);
			return { name, nodeSelector, family, blockSize, ...toPoolRouting(resource) };
		}),
		configuration: configurationOf(undefined) ?? toBgpConfiguration(undefined, undefined),
		listenPortOf: (node) => {
			const own = named(`node.${node}`);
			return own === undefined ? undefined : configurationOf(own)?.listenPort;
		},
		peers: each('BGPPeer', resources.bgpPeers, toBgpPeer),
		filters: new Map(each('BGPFilter', resources.bgpFilters, toBgpFilter).map((filter): [string, BgpFilter] => [filter.name, filter])),
		felixPrograms: felixPrograms(felix, cluster),
		datastoreReady: cluster === undefined || specOf(cluster)['datastoreReady'] !== false,
		password: resources.password,
	};
}

/** Of each kind of route that pools need, one of Felix and BGP programs it: both fight, neither leaves pods unreachable. */
function programRules({ configuration, felixPrograms: felix, pools, datastoreReady }: LintModel): LintFinding[] {
	const used = pools.filter(({ disabled, vxlanMode }) => !disabled && vxlanMode === 'Never');
	const findings: LintFinding[] = kindsOfRoute.flatMap((kind) => {
		const needs = used.filter((pool) => kindOf(pool) === kind);
		const [byBgp, byFelix] = [programs(configuration.programClusterRoutes, kind), programs(felix, kind)];
		if (needs.length === 0 || byBgp !== byFelix) return [];
		const who = `BGPConfiguration says ${configuration.programClusterRoutes}, FelixConfiguration ${felix}`;
		return {
			severity: 'error',
			rule: 'program-cluster-routes',
			subject: `IPPool ${needs.map(({ name }) => name).join(', ')}`,
			problem: `${byBgp ? 'both Felix and BGP program' : 'neither Felix nor BGP programs'} ${kind} routes: ${who}`,
			hint: 'set programClusterRoutes so that exactly one of the two does it; where bgpmesh runs without Felix: Enabled in BGPConfiguration, Disabled in FelixConfiguration',
		};
	});
	if (!datastoreReady)
		findings.push({
			severity: 'warning',
			rule: 'datastore-not-ready',
			subject: 'ClusterInformation default',
			problem: 'datastoreReady is false: nobody gives addresses',
			hint: 'it is so while a migration or a restore runs; set it to true when that is done',
		});
	return findings;
}

/** Nodes that can't be neighbours, or that can't be told apart. */
function nodeRules({ nodes }: LintModel): LintFinding[] {
	const owners = new Map<string, string[]>();
	for (const { name, ipv4, ipv6 } of nodes)
		for (const own of [ipv4, ipv6]) if (own !== undefined) owners.set(own.address, [...(owners.get(own.address) ?? []), name]);
	return [
		...nodes.flatMap(({ name, problems }) =>
			problems.map(
				(problem): LintFinding => ({ severity: 'error', rule: 'unusable', subject: `Node ${name}`, problem, hint: 'correct or remove the annotation' }),
			),
		),
		...nodes
			.filter(({ ipv4 }) => ipv4 === undefined)
			.map(
				({ name }): LintFinding => ({
					severity: 'warning',
					rule: 'no-address',
					subject: `Node ${name}`,
					problem: 'it has no IPv4 address for BGP, hence no sessions',
					hint: 'bgpmeshd or Calico writes projectcalico.org/IPv4Address when it starts there: does it run?',
				}),
			),
		...[...owners]
			.filter(([, names]) => names.length > 1)
			.map(
				([address, names]): LintFinding => ({
					severity: 'error',
					rule: 'same-address',
					subject: `Node ${names.join(', ')}`,
					problem: `they have the same address ${address}`,
					hint: 'correct projectcalico.org/IPv4Address or IPv6Address of all but one',
				}),
			),
	];
}
