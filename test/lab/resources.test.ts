import test from 'ava';
import { parseAllDocuments } from 'yaml';
import { clusterDaemonConfig } from '../../lab/daemon-config.ts';
import { clusterFiles, meshFile, nodesFile, type ResourceFile, reflectorFile } from '../../lab/resources.ts';
import { type LabTopology, labTopology, sessionsOf } from '../../lab/topology.ts';
import { parseConfig } from '../../src/config/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import {
	type Resource,
	selectorMatches,
	toBgpConfiguration,
	toBgpFilter,
	toBgpPeer,
	toNodeFacts,
	toPool,
	topology,
	toResource,
} from '../../src/kubernetes/index.ts';

const mesh = labTopology('mesh');
const reflector = labTopology('reflector');

/** The objects of a server after the files were applied in that order. */
function applied(files: readonly ResourceFile[]): Resource[] {
	const kept = new Map<string, Resource>();
	for (const { text } of files)
		for (const document of parseAllDocuments(text)) {
			const object = document.toJS() as JsonObject;
			const resource = toResource(object);
			kept.set(`${object['kind']}/${resource.name}`, resource);
		}
	return [...kept.values()];
}

/** The addresses of each node's sessions, as the daemon derives them. */
function sessionsFrom(resources: readonly Resource[]): string[][] {
	const ofKind = (kind: string) => resources.filter(({ raw }) => raw['kind'] === kind);
	const nodes = ofKind('Node').map(toNodeFacts);
	return nodes.map(({ name }) => {
		const result = topology({
			node: name,
			nodes,
			configuration: toBgpConfiguration(ofKind('BGPConfiguration')[0], undefined),
			listenPortOf: () => undefined,
			peers: ofKind('BGPPeer').map(toBgpPeer),
			filters: new Map(ofKind('BGPFilter').map((resource) => [resource.name, toBgpFilter(resource)])),
			pools: [],
			workloads: [],
			password: () => undefined,
		});
		if (result.problems.length > 0) throw new Error(result.problems.join('\n'));
		return result.peers.map(({ address }) => address).sort();
	});
}

const wanted = (lab: LabTopology): string[][] =>
	lab.nodes.map((node) => [...sessionsOf(node, lab).map(({ address }) => address), node.subnet.tor].sort());

for (const lab of [mesh, reflector])
	test(`the resources of the ${lab.mode} laboratory result in exactly its sessions`, (t) =>
		t.deepEqual(sessionsFrom(applied(clusterFiles(lab))), wanted(lab)));

test('a mesh becomes two reflectors and a mesh again: between the steps no session is missing', (t) => {
	const files = [...clusterFiles(mesh), reflectorFile, nodesFile(mesh, true)];
	for (const [index, addresses] of sessionsFrom(applied(files)).entries())
		for (const address of wanted(reflector)[index] ?? [])
			t.true(addresses.includes(address), `${mesh.nodes[index]?.name} has no session with ${address}`);
	files.push(meshFile(mesh, false));
	t.deepEqual(sessionsFrom(applied(files)), wanted(reflector));
	files.push(meshFile(mesh, true), nodesFile(mesh, false));
	t.deepEqual(sessionsFrom(applied(files)), wanted(mesh));
});

test('only the pool of its own block selects a node', (t) => {
	const resources = applied(clusterFiles(mesh));
	const pools = resources.filter(({ raw }) => raw['kind'] === 'IPPool').map(toPool);
	for (const { name, block } of mesh.nodes) {
		const labels = resources.find((resource) => resource.name === name)?.labels ?? {};
		t.deepEqual(
			pools.filter(({ nodeSelector }) => selectorMatches(nodeSelector, labels)).map(({ cidr }) => String(cidr)),
			[block],
		);
	}
});

test('the daemon accepts the configuration of a node with an API server', (t) => {
	for (const node of mesh.nodes) {
		const config = parseConfig(
			clusterDaemonConfig(node, {
				socket: '/run/x.sock',
				guard: false,
				policy: false,
				folder: '/tmp',
				kubeconfig: '/tmp/k',
			}),
			'lab.yaml',
		);
		t.like(config, { datastore: { type: 'kubernetes', kubeconfig: '/tmp/k', stateDirectory: '/tmp' } });
	}
});
