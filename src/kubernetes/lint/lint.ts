/**
 * Finds contradictions in a cluster's resources, as a pure function: each rule takes the resources
 * as values and returns findings. A resource that does not parse is a finding, and is excluded from
 * the other rules.
 */
import { toBgpConfiguration, toBgpPeer } from '../model/bgp.ts';
import { type BgpFilter, toBgpFilter, unreadableFilter } from '../model/bgp-filter.ts';
import { toAffinity, toPool, toPoolRouting } from '../model/ipam.ts';
import { toNodeFacts } from '../model/node.ts';
import { type Resource, ResourceError, readResource, specOf } from '../model/resource.ts';
import { felixPrograms, kindOf, kindsOfRoute, programs } from '../topology/cluster-routes.ts';
import { blockRules, reservationRules } from './blocks.ts';
import { notObeyedRules } from './not-obeyed.ts';
import { configurationRules, peerRules } from './peers.ts';
import { poolRules } from './pools.ts';
import { priorityRules } from './priorities.ts';
import { serviceRules } from './services.ts';
import { selectorRules, sessionRules } from './sessions.ts';
import type { LintFinding, LintModel, LintResources } from './types.ts';

export type { LintFinding, LintResources } from './types.ts';

/** All findings for the operator; errors first, then by rule and subject. */
export function lint(resources: LintResources): readonly LintFinding[] {
	const findings: LintFinding[] = [];
	const model = read(resources, findings);
	findings.push(
		...poolRules(model),
		...blockRules(model),
		...programRules(model),
		...nodeRules(model),
		...selectorRules(model),
		...peerRules(model),
		...configurationRules(model),
		...sessionRules(model),
		...notObeyedRules(resources),
		...priorityRules(model, resources),
		...serviceRules(resources.services ?? [], model.configuration),
		...reservationRules(resources),
	);
	const order = ({ severity, rule, subject, problem }: LintFinding) => `${severity} ${rule} ${subject} ${problem}`;
	return findings.sort((left, right) => (order(left) < order(right) ? -1 : 1));
}

function read(resources: LintResources, findings: LintFinding[]): LintModel {
	const attempt = <T>(kind: string, value: () => T, hint = 'it is left out until it is corrected'): T[] => {
		try {
			return [value()];
		} catch (error) {
			if (!(error instanceof ResourceError)) throw error;
			findings.push({
				severity: 'error',
				rule: 'unusable',
				subject: `${kind} ${error.resource}`,
				problem: error.message,
				hint,
			});
			return [];
		}
	};
	const each = <T>(kind: string, list: readonly Resource[], value: (resource: Resource) => T): T[] =>
		list.flatMap((resource) => attempt(kind, () => readResource(resource, value)));
	const named = (name: string) => resources.bgpConfigurations.find((resource) => resource.name === name);
	const configurationOf = (own: Resource | undefined) =>
		attempt('BGPConfiguration', () => toBgpConfiguration(named('default'), own))[0];
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
		filters: new Map(
			resources.bgpFilters.map((resource): [string, BgpFilter] => {
				const [filter] = attempt(
					'BGPFilter',
					() => readResource(resource, toBgpFilter),
					'correct it: until then no route passes at the peers that name it',
				);
				return [resource.name, filter ?? unreadableFilter(resource.name, 'it can not be read')];
			}),
		),
		felixPrograms: felixPrograms(felix, cluster),
		blocks: resources.blocks,
		affinities: each('BlockAffinity', resources.affinities, toAffinity),
		datastoreReady: cluster === undefined || specOf(cluster)['datastoreReady'] !== false,
		password: resources.password,
	};
}

/**
 * Exactly one of Felix and BGP must program each kind of route that the pools need: if both do,
 * they overwrite each other's routes; if none does, pods are unreachable.
 */
function programRules({ configuration, felixPrograms: felix, pools, datastoreReady }: LintModel): LintFinding[] {
	const used = pools.filter(({ disabled, vxlanMode }) => !disabled && vxlanMode === 'Never');
	const findings: LintFinding[] = kindsOfRoute.flatMap((kind) => {
		const needs = used.filter((pool) => kindOf(pool) === kind);
		const [byBgp, byFelix] = [programs(configuration.programClusterRoutes, kind), programs(felix, kind)];
		if (needs.length === 0 || byBgp !== byFelix) return [];
		const who = `BGPConfiguration has ${configuration.programClusterRoutes}, FelixConfiguration ${felix}`;
		return {
			severity: 'error',
			rule: 'program-cluster-routes',
			subject: `IPPool ${needs.map(({ name }) => name).join(', ')}`,
			problem: `${byBgp ? 'both Felix and BGP program' : 'neither Felix nor BGP programs'} ${kind} routes: ${who}`,
			hint:
				'set programClusterRoutes so that exactly one of the two does it; where bgpmesh runs without ' +
				'Felix: Enabled in BGPConfiguration, Disabled in FelixConfiguration',
		};
	});
	if (!datastoreReady)
		findings.push({
			severity: 'warning',
			rule: 'datastore-not-ready',
			subject: 'ClusterInformation default',
			problem: 'datastoreReady is false: no node gives addresses',
			hint: 'it is so while a migration or a restore runs; set it to true when that is done',
		});
	return findings;
}

/** Nodes that can not be neighbours, or that are indistinguishable. */
function nodeRules({ nodes }: LintModel): LintFinding[] {
	const owners = new Map<string, string[]>();
	for (const { name, ipv4, ipv6 } of nodes)
		for (const own of [ipv4, ipv6])
			if (own !== undefined) owners.set(own.address, [...(owners.get(own.address) ?? []), name]);
	return [
		...nodes.flatMap(({ name, problems }) =>
			problems.map(
				(problem): LintFinding => ({
					severity: 'error',
					rule: 'unusable',
					subject: `Node ${name}`,
					problem,
					hint: 'correct or remove the annotation',
				}),
			),
		),
		...nodes
			.filter(({ ipv4, ipv6 }) => ipv4 === undefined && ipv6 === undefined)
			.map(
				({ name }): LintFinding => ({
					severity: 'warning',
					rule: 'no-address',
					subject: `Node ${name}`,
					problem: 'it has no address for BGP, hence no sessions',
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
