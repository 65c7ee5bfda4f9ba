import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext, TestFn } from 'ava';
import { prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import {
	Allocator,
	affinityName,
	blockName,
	conflictRetry,
	findInconsistencies,
	handleName,
} from '../../src/ipam/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import {
	type ApiClient,
	calicoKinds,
	coreKinds,
	Informer,
	selectorMatches,
	toAffinity,
	toBlock,
	toHandle,
	toPool,
	toResource,
} from '../../src/kubernetes/index.ts';
import { connect, kubeconfig } from '../kubernetes/contract/cluster.ts';
import type { ServerUnderTest } from '../kubernetes/contract/transcript.ts';
import { followedStore } from '../support/followed-store.ts';
import { CalicoDriver, calicoctl } from './calico.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const dependencies = { log: silentLogger, clock: systemClock, random: Math.random };

/** A cluster with both allocators: nodes, one pool, our allocators by node, Calico's client. */
class Mixed {
	readonly api: ApiClient;
	readonly calico: CalicoDriver;
	readonly file: string;
	readonly pool: string;
	readonly cidr: string;
	readonly #t: ExecutionContext;
	readonly #nodes: Informer;

	private constructor(t: ExecutionContext, api: ApiClient, file: string, pool: string, cidr: string) {
		this.#t = t;
		this.api = api;
		this.file = file;
		this.pool = pool;
		this.cidr = cidr;
		this.calico = new CalicoDriver(t, file);
		this.#nodes = new Informer({ client: api, kind: coreKinds.nodes, ...dependencies });
	}

	static async open(
		t: ExecutionContext,
		server: ServerUnderTest,
		folder: string,
		cidr: string,
		blockSize: number,
		nodes: readonly string[],
	): Promise<Mixed> {
		const api = await connect(server, folder);
		const pool = `mixed-${cidr.replace(/\D+/g, '-')}`;
		await api.create(kinds.pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name: pool },
			spec: { cidr, blockSize, nodeSelector: 'all()' },
		});
		for (const name of nodes)
			if ((await api.get(coreKinds.nodes, name)) === undefined)
				await api.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
		const mixed = new Mixed(t, api, kubeconfig(server, folder), pool, cidr);
		mixed.#nodes.start();
		t.teardown(() => mixed.#nodes.stop());
		return mixed;
	}

	async allocator(node: string): Promise<Allocator> {
		const store = await followedStore(this.#t, { client: this.api, layout, node, nodes: this.#nodes });
		return new Allocator({ node, store, retry: conflictRetry(Math.random), selectorMatches, ...dependencies });
	}

	/** One address by our allocator; `undefined`: there is none. */
	async ours(allocator: Allocator, node: string, handleId: string): Promise<string | undefined> {
		const attributes = { node, pod: handleId, namespace: 'default', timestamp: '2026-01-01 00:00:00 +0000 UTC' };
		const result = await allocator.assign({
			handleId,
			attributes,
			families: ['ipv4'],
			use: 'Workload',
			pools: { ipv4: [this.pool] },
		});
		return result.type === 'assigned' ? result.addresses[0]?.address : undefined;
	}

	/**
	 * The same by Calico's. A block that fills up between its read and its write is an error to it;
	 * the runtime retries.
	 */
	async theirs(node: string, handle: string): Promise<string | undefined> {
		const attrs = { node, pod: handle, namespace: 'default', timestamp: '2026-01-01 00:00:00 +0000 UTC' };
		const { error, ips } = await this.calico.ask({
			op: 'autoAssign',
			node,
			handle,
			num4: 1,
			pools4: [this.cidr],
			attrs,
		});
		if (error !== '' && !/has 0 free ips which is less than 1/.test(error)) throw new Error(error);
		return ips[0];
	}

	/** Blocks, claims and handles of this pool, as stored on the server. */
	async book() {
		const [pools, blocks, affinities, handles] = await Promise.all(
			[kinds.pools, kinds.blocks, kinds.affinities, kinds.handles].map(async (kind) =>
				(await this.api.list(kind)).items.map(toResource),
			),
		);
		const mine = <T extends { readonly cidr: string }>(values: readonly T[]) =>
			values.filter(({ cidr }) => cidr.startsWith(this.cidr.slice(0, 6)));
		return {
			pools: (pools ?? []).map(toPool).filter(({ name }) => name === this.pool),
			blocks: mine((blocks ?? []).map(toBlock)),
			affinities: mine((affinities ?? []).map(toAffinity)),
			handles: (handles ?? [])
				.map(toHandle)
				.filter((handle) => Object.keys(handle.blocks).some((cidr) => cidr.startsWith(this.cidr.slice(0, 6)))),
		};
	}

	/** No address is assigned, and both kinds of check agree. */
	async expectEmpty(): Promise<void> {
		const book = await this.book();
		const held = book.blocks.flatMap(({ allocations }) => allocations).filter((index) => index !== null).length;
		this.#t.deepEqual(
			{ held, handles: book.handles, problems: findInconsistencies(book) },
			{ held: 0, handles: [], problems: [] },
		);
		const check = await calicoctl(this.file, ['ipam', 'check']);
		this.#t.regex(check.stdout, /Check complete; found 0 problems\./, check.stdout + check.stderr);
	}

	async close(nodes: readonly string[]): Promise<void> {
		for (const node of nodes) await this.calico.must({ op: 'releaseHostAffinities', node, empty: true });
		const { blocks, affinities } = await this.book();
		this.#t.deepEqual([blocks, affinities], [[], []], 'claims given up by Calico leave nothing');
		await this.api.remove(kinds.pools, this.pool);
	}
}

/** Calico's allocator and ours in one cluster. */
export function testIpam(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	const rounds = Number(process.env['BGPMESH_CALICO_ROUNDS'] ?? 12);

	test.serial(
		'two of our allocators and Calico, on separate nodes and on the same, never assign an address twice and leave none',
		async (t) => {
			const nodes = ['mix-a', 'mix-b', 'mix-c', 'mix-d'];
			// At times fewer addresses than workers: blocks are borrowed from, released and claimed
			// again.
			const mixed = await Mixed.open(t, getServer(), folder, '10.70.0.0/28', 30, nodes);
			const [a, b] = [await mixed.allocator('mix-a'), await mixed.allocator('mix-b')];
			const owners = new Map<string, string>();
			const twice: string[] = [];
			let given = 0;
			let none = 0;
			let most = 0;
			interface Writer {
				readonly name: string;
				assign(handle: string): Promise<string | undefined>;
				release(handle: string): Promise<unknown>;
			}
			const our = (name: string, allocator: Allocator): Writer => ({
				name: `Our.${name}`,
				assign: (handle) => mixed.ours(allocator, name, handle),
				release: (handle) => allocator.release(handle),
			});
			const their = (name: string): Writer => ({
				name: `Calico.${name}`,
				assign: (handle) => mixed.theirs(name, handle),
				release: (handle) => mixed.calico.must({ op: 'releaseByHandle', handle }),
			});
			const writers = [our('mix-a', a), our('mix-b', b), their('mix-a'), their('mix-c'), their('mix-d')];
			await Promise.all(
				writers.flatMap((writer, index) =>
					Array.from({ length: 8 }, async (_, worker) => {
						for (let round = 0; round < rounds; round++) {
							const handle = `${writer.name}-${worker}-${round}`;
							const address = await writer.assign(handle);
							if (address === undefined) {
								none++;
								continue;
							}
							const other = owners.get(address);
							if (other !== undefined) twice.push(`${address}: ${other} and ${handle}`);
							owners.set(address, handle);
							given++;
							most = Math.max(most, owners.size);
							await sleep(Math.random() * 150);
							owners.delete(address);
							// Every third address is released by the other allocator.
							await (round % 3 === 0 ? (writers[(index + 2) % writers.length] ?? writer) : writer).release(handle);
						}
					}),
				),
			);
			t.log(`${given} given, ${most} at most at once, ${none} times none was free`);
			t.deepEqual(twice, []);
			t.true(given > (writers.length * 8 * rounds) / 2);
			await mixed.expectEmpty();
			await mixed.close(nodes);
		},
	);

	test.serial('each allocator reads, changes and releases the objects of the other, with all digits', async (t) => {
		const mixed = await Mixed.open(t, getServer(), folder, '10.71.0.0/24', 28, ['both-a', 'both-b']);
		const { calico, api } = mixed;
		const a = await mixed.allocator('both-a');
		const own = await mixed.ours(a, 'both-a', 'K8s-Pod-Network.ABC');
		const their = await mixed.theirs('both-a', 'K8s-Pod-Network.DEF');
		if (own === undefined || their === undefined) return t.fail('no address');
		t.like(await calico.must({ op: 'ipsByHandle', handle: 'K8s-Pod-Network.ABC' }), { ips: [own] });
		t.like(await calico.must({ op: 'attributes', ip: own }), {
			handle: 'K8s-Pod-Network.ABC',
			attrs: {
				node: 'both-a',
				pod: 'K8s-Pod-Network.ABC',
				namespace: 'default',
				timestamp: '2026-01-01 00:00:00 +0000 UTC',
			},
		});
		// Both share the block of the node, and a second request with the same handle returns the
		// same address.
		const { blocks, affinities, handles } = await mixed.book();
		t.is(blocks.length, 1);
		t.deepEqual(
			affinities.map(({ node, state, deleted }) => ({ node, state, deleted })),
			[{ node: 'both-a', state: 'confirmed', deleted: false }],
		);
		t.deepEqual(handles.map(({ handleId }) => handleId).sort(), ['K8s-Pod-Network.ABC', 'K8s-Pod-Network.DEF']);
		t.is(await mixed.ours(a, 'both-a', 'K8s-Pod-Network.DEF'), their);
		const show = await calicoctl(mixed.file, ['ipam', 'show', `--ip=${own}`]);
		t.regex(
			show.stdout,
			/is in use[\s\S]*handle_id.*K8s-Pod-Network\.ABC|is in use[\s\S]*pod: K8s-Pod-Network\.ABC/i,
			show.stdout + show.stderr,
		);
		t.regex(
			(await calicoctl(mixed.file, ['ipam', 'show', '--show-blocks'])).stdout,
			/\| Block +\| 10\.71\.0\.\d+\/28 +\| +16 \| 2 \(1[23]%\)/,
		);

		const block = blocks[0];
		const ordinal =
			block?.allocations.findIndex(
				(index) => index !== null && block.attributes[index]?.handleId === 'K8s-Pod-Network.ABC',
			) ?? -1;
		const sequence = block?.sequenceNumberForAllocation[ordinal] ?? 0n;
		t.true(sequence > 2n ** 53n);
		const wrong = await calico.ask({
			op: 'releaseIP',
			ip: own,
			handle: 'K8s-Pod-Network.ABC',
			sequence: sequence + 1n,
		});
		t.not(wrong.error, '');
		await calico.must({ op: 'releaseIP', ip: own, handle: 'K8s-Pod-Network.ABC', sequence });
		t.deepEqual(await a.release('K8s-Pod-Network.DEF'), { type: 'released', addresses: [their] });
		t.not((await calico.ask({ op: 'attributes', ip: their })).error, '');
		await mixed.expectEmpty();

		// Releases one of our addresses by hand.
		const third = (await mixed.ours(a, 'both-a', 'third')) ?? '';
		const released = await calicoctl(mixed.file, ['ipam', 'release', `--ip=${third}`]);
		t.is(released.code, 0, released.stdout + released.stderr);
		await mixed.expectEmpty();

		// A requested address is assigned once, by the first of the two.
		await calico.must({
			op: 'assignIP',
			ip: '10.71.0.77',
			node: 'both-b',
			handle: 'wanted',
			attrs: { node: 'both-b' },
		});
		const refused = await a.assign({
			handleId: 'other',
			attributes: { node: 'both-a' },
			families: ['ipv4'],
			use: 'Workload',
			addresses: { ipv4: '10.71.0.77' },
		});
		t.is(refused.type, 'unavailable');
		await a.release('wanted');
		t.is(
			(
				await a.assign({
					handleId: 'other',
					attributes: {},
					families: ['ipv4'],
					use: 'Workload',
					addresses: { ipv4: '10.71.0.77' },
				})
			).type,
			'assigned',
		);
		t.regex(
			(await calico.ask({ op: 'assignIP', ip: '10.71.0.77', node: 'both-b', handle: 'wanted' })).error,
			/already exists/,
		);
		await calico.must({ op: 'releaseByHandle', handle: 'other' });
		await mixed.expectEmpty();
		await mixed.close(['both-a', 'both-b']);
		t.is(await api.get(kinds.pools, mixed.pool), undefined);
	});

	test.serial('a node whose blocks Calico releases concurrently continues with other blocks', async (t) => {
		const mixed = await Mixed.open(t, getServer(), folder, '10.72.0.0/27', 29, ['taken-a', 'taken-b']);
		const a = await mixed.allocator('taken-a');
		for (let round = 0; round < 5; round++) {
			t.truthy(await mixed.ours(a, 'taken-a', `round.${round}`));
			await (round % 2 === 0
				? a.release(`round.${round}`)
				: mixed.calico.must({ op: 'releaseByHandle', handle: `round.${round}` }));
			await mixed.calico.must({
				op: round === 4 ? 'removeHost' : 'releaseHostAffinities',
				node: 'taken-a',
				empty: true,
			});
			// Another owner has all of them for a while.
			const claimed = (await mixed.calico.must({ op: 'claimAffinity', cidr: mixed.cidr, node: 'taken-b' })).ips;
			t.is(claimed.length, 4);
			// None of them is empty: an empty one could be claimed by another node.
			t.is(
				(await mixed.calico.must({ op: 'autoAssign', node: 'taken-b', handle: 'full', num4: 30, pools4: [mixed.cidr] }))
					.ips.length,
				30,
			);
			const borrowed = await mixed.ours(a, 'taken-a', 'borrowed');
			t.truthy(borrowed);
			t.deepEqual(
				(await mixed.book()).blocks.map(({ affinity }) => affinity),
				Array(4).fill('host:taken-b'),
			);
			for (const handle of ['borrowed', 'full']) await a.release(handle);
			await mixed.calico.must({ op: 'releaseHostAffinities', node: 'taken-b', empty: true });
		}
		await mixed.expectEmpty();
		await mixed.close(['taken-a', 'taken-b']);
	});

	test.serial('a deletion that one of them has begun is completed by the other', async (t) => {
		const mixed = await Mixed.open(t, getServer(), folder, '10.73.0.0/29', 29, ['half-a', 'half-b']);
		const { api, calico } = mixed;
		const a = await mixed.allocator('half-a');
		const cidr = prefixKey('10.73.0.0/29');
		const mark = (kind: (typeof kinds)['blocks'], name: string, deleted: boolean | string) =>
			api.patch(kind, name, { spec: { deleted } }, 'application/merge-patch+json');
		for (const next of ['ours', 'theirs'] as const) {
			t.truthy(await mixed.theirs('half-a', 'held'));
			await calico.must({ op: 'releaseByHandle', handle: 'held' });
			// A handle, a block and a claim, as left when Calico dies between its two writes.
			await api.create(kinds.handles, {
				apiVersion: layout,
				kind: 'IPAMHandle',
				metadata: { name: handleName('held') },
				spec: { handleID: 'held', block: {}, deleted: true },
			});
			await mark(kinds.blocks, blockName(cidr), true);
			await mark(kinds.affinities, affinityName('half-a', cidr), 'true');
			// Calico's own first call reports the claim as deleted, and thereby completes the
			// deletion.
			if (next === 'theirs')
				await calico.ask({ op: 'autoAssign', node: 'half-a', handle: 'first', num4: 1, pools4: [mixed.cidr] });
			await calico.ask({ op: 'releaseByHandle', handle: 'first' });
			const address = next === 'ours' ? await mixed.ours(a, 'half-a', 'held') : await mixed.theirs('half-a', 'held');
			t.truthy(address, next);
			const { blocks, affinities, handles } = await mixed.book();
			t.deepEqual(
				[blocks, affinities, handles].map((written) => written.map(({ deleted }) => deleted)),
				[[false], [false], [false]],
			);
			await calico.must({ op: 'releaseByHandle', handle: 'held' });
			await mixed.expectEmpty();
			await calico.must({ op: 'releaseHostAffinities', node: 'half-a', empty: true });
		}
		await mixed.close(['half-a', 'half-b']);
	});

	test.serial('strict affinity and the limit of blocks apply to both, set by either', async (t) => {
		const mixed = await Mixed.open(t, getServer(), folder, '10.74.0.0/28', 30, ['strict-a', 'strict-b']);
		const { calico, api } = mixed;
		const config = (spec: JsonObject) =>
			api.patch(kinds.ipamConfigs, 'default', { spec }, 'application/merge-patch+json');
		await calico.must({ op: 'setConfig', strict: true, maxBlocks: 1 });
		t.teardown(() => config({ strictAffinity: false, maxBlocksPerHost: 0 }).catch(() => undefined));
		const a = await mixed.allocator('strict-a');
		for (let index = 0; index < 4; index++) t.truthy(await mixed.ours(a, 'strict-a', `a.${index}`));
		t.is(await mixed.ours(a, 'strict-a', 'a.4'), undefined, 'one block is all');
		const theirs = await calico.ask({
			op: 'autoAssign',
			node: 'strict-a',
			handle: 'a.5',
			num4: 1,
			pools4: [mixed.cidr],
		});
		t.deepEqual(theirs.ips, []);
		await mixed.theirs('strict-b', 'b.0');
		const b = await mixed.allocator('strict-b');
		for (let index = 1; index < 4; index++) t.truthy(await mixed.ours(b, 'strict-b', `b.${index}`));
		t.is(await mixed.ours(b, 'strict-b', 'b.4'), undefined);
		t.is((await mixed.book()).blocks.length, 2);
		await config({ strictAffinity: false, maxBlocksPerHost: 0 });
		for (let index = 0; index < 4; index++) await calico.must({ op: 'releaseByHandle', handle: `a.${index}` });
		for (let index = 0; index < 4; index++) await a.release(`b.${index}`);
		await mixed.expectEmpty();
		await mixed.close(['strict-a', 'strict-b']);
	});

	test.serial('both families, and several addresses of one handle, pass between the two', async (t) => {
		const mixed = await Mixed.open(t, getServer(), folder, '10.75.0.0/26', 28, ['dual-a']);
		const { calico, api } = mixed;
		await api.create(kinds.pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name: 'mixed-six' },
			spec: { cidr: 'fd00:75::/64', blockSize: 122, nodeSelector: 'all()' },
		});
		const a = await mixed.allocator('dual-a');
		const pools = { ipv4: [mixed.pool], ipv6: ['mixed-six'] };
		const own = await a.assign({
			handleId: 'own',
			attributes: { node: 'dual-a' },
			families: ['ipv4', 'ipv6'],
			use: 'Workload',
			pools,
		});
		if (own.type !== 'assigned') return t.fail(own.reason);
		const ofHandle = async (handle: string) => [...(await calico.must({ op: 'ipsByHandle', handle })).ips].sort();
		t.deepEqual(await ofHandle('own'), own.addresses.map(({ address }) => address).sort());
		const { ips } = await calico.must({
			op: 'autoAssign',
			node: 'dual-a',
			handle: 'many',
			num4: 20,
			num6: 2,
			pools4: [mixed.cidr],
			pools6: ['fd00:75::/64'],
		});
		t.is(ips.length, 22);
		const back = await a.release('many');
		t.deepEqual(back.type === 'released' ? [...back.addresses].sort() : back, [...ips].sort());
		await calico.must({ op: 'releaseByHandle', handle: 'own' });
		await mixed.expectEmpty();
		await mixed.close(['dual-a']);
		await api.remove(kinds.pools, 'mixed-six');
	});
}
