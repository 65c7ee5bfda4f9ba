import test from 'ava';
import type { JsonObject } from '../../src/json/index.ts';
import type { KubernetesIpamStore } from '../../src/kubernetes/index.ts';
import type { ClusterCopies } from '../../src/node/copies.ts';
import { FollowedResources } from '../../src/node/followed-resources.ts';

/** A copy whose list the test completes, refuses or fills. */
class FakeCopy {
	readonly subject;
	readonly items = new Map<string, { readonly raw: JsonObject }>();
	synced = false;
	refusal: string | undefined;
	started = 0;
	stopped = 0;
	readonly #waiting: (() => void)[] = [];

	constructor(kind: string, without?: string) {
		this.subject = { kind: { kind }, without };
	}
	start(): void {
		this.started++;
	}
	stop(): void {
		this.stopped++;
	}
	onSynced(listener: () => void): void {
		this.#waiting.push(listener);
	}
	onAnswered(listener: () => void): void {
		this.#waiting.push(listener);
	}
	answer(refusal?: string): void {
		this.refusal = refusal;
		this.synced = refusal === undefined;
		for (const listener of this.#waiting.splice(0)) listener();
	}
	restore(): void {}
	add(name: string, raw: JsonObject): void {
		this.items.set(name, { raw });
	}
}

function cluster() {
	const copies = {
		nodes: new FakeCopy('Node'),
		pods: new FakeCopy('Pod', 'pods'),
		bgpConfigurations: new FakeCopy('BGPConfiguration'),
		bgpPeers: new FakeCopy('BGPPeer'),
		bgpFilters: new FakeCopy('BGPFilter'),
		secrets: new FakeCopy('Secret', 'passwords'),
		felix: new FakeCopy('FelixConfiguration', 'felix'),
		blocks: new FakeCopy('IPAMBlock', 'blocks'),
		statuses: new FakeCopy('CalicoNodeStatus', 'statuses'),
		pools: new FakeCopy('IPPool'),
		claims: new FakeCopy('BlockAffinity'),
		information: new FakeCopy('ClusterInformation', 'information'),
		namespaces: new FakeCopy('Namespace'),
	};
	const { nodes, pods, bgpConfigurations, bgpPeers, bgpFilters, secrets, felix, blocks, statuses } = copies;
	let blocksListed = 0;
	const store = {
		poolInformer: copies.pools,
		claims: copies.claims,
		clusterInformer: copies.information,
		namespaces: copies.namespaces,
		informers: [copies.pools, copies.claims],
		start() {},
		stop() {},
	};
	const followed = new FollowedResources({
		// Only these members are used.
		copies: {
			waitedFor: { nodes, pods, bgpConfigurations, bgpPeers, bgpFilters, secrets: [secrets] },
			felixConfigurations: felix,
			blocks,
			statusRequests: statuses,
		} as unknown as ClusterCopies,
		store: store as unknown as KubernetesIpamStore,
		layout: 'crd.projectcalico.org/v1',
		mode: 'blocks',
		blocksListed: () => {
			blocksListed++;
		},
	});
	const answerAll = () => {
		for (const copy of Object.values(copies)) if (!copy.synced) copy.answer(copy.refusal);
	};
	return { copies, followed, answerAll, blocksListed: () => blocksListed };
}

test('a refused optional kind is answered, but the state is not complete', async (t) => {
	const { copies, followed, answerAll } = cluster();
	followed.start();
	const listed = followed.listed();
	t.false(followed.isAnswered);
	copies.secrets.answer('may not list secrets');
	answerAll();
	await listed;
	t.true(followed.isAnswered);
	t.false(followed.isComplete);
	t.deepEqual(followed.refusals, [{ kind: 'Secret', reason: 'may not list secrets', without: 'passwords' }]);
	copies.secrets.answer();
	t.true(followed.isComplete);
});

test('blocks are followed once a VXLAN pool exists, and refused only from then on', async (t) => {
	const { copies, followed, blocksListed } = cluster();
	copies.blocks.refusal = 'may not list blocks';
	await followed.followBlocks();
	t.is(copies.blocks.started, 0);
	t.deepEqual(followed.refusals, []);
	copies.pools.add('pool', { spec: { cidr: '10.0.0.0/16', vxlanMode: 'Always' } });
	const following = followed.followBlocks();
	await followed.followBlocks();
	t.is(copies.blocks.started, 1);
	t.is(followed.refusals.length, 1);
	t.is(blocksListed(), 0);
	copies.blocks.answer();
	await following;
	t.is(blocksListed(), 1);
});

test('a restart gets the Secrets that sessions use, and no other', (t) => {
	const { copies, followed } = cluster();
	copies.bgpPeers.add('tor', { spec: { password: { secretKeyRef: { name: 'bgp', key: 'tor' } } } });
	copies.secrets.add('kube-system/bgp', { metadata: { name: 'bgp' } });
	copies.secrets.add('kube-system/token', { metadata: { name: 'token' } });
	const { layout, objects } = followed.known();
	t.is(layout, 'crd.projectcalico.org/v1');
	t.deepEqual(objects['secrets-kube-system'], [{ metadata: { name: 'bgp' } }]);
	t.is(objects['bgpPeers']?.length, 1);
	t.deepEqual(Object.keys(objects), [
		...['nodes', 'bgpConfigurations', 'bgpPeers', 'bgpFilters', 'pools', 'claims'],
		'secrets-kube-system',
	]);
});

test('the end stops every copy, started or not', (t) => {
	const { copies, followed } = cluster();
	followed.stop();
	const stopped = Object.entries(copies).flatMap(([name, copy]) => (copy.stopped === 1 ? [name] : []));
	t.deepEqual(stopped.sort(), [
		...['bgpConfigurations', 'bgpFilters', 'bgpPeers', 'blocks', 'felix', 'nodes', 'pods', 'secrets', 'statuses'],
	]);
});
