import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import {
	type Affinity,
	type Block,
	findInconsistencies,
	findOriginInconsistencies,
	findPodInconsistencies,
	type Handle,
	type PodAddresses,
	type Pool,
} from '../../src/ipam/index.ts';
import { testPool } from '../support/pool.ts';

const cidr = prefixKey('10.0.0.0/30');
const pools = [testPool({ blockSize: 30, nodeSelector: '', allowedUses: ['Workload'] })];
const owned = (pod: string, handleId = `net.${pod}`, more: Record<string, string> = {}) => ({
	handleId,
	secondary: { node: 'node-a', namespace: 'default', pod, ...more },
	releasedAt: undefined,
	other: {},
});
/** A virtual machine that leaves one pod for another one. */
const migrating = (from: string, to: string) => ({
	...owned(from, 'net.vmi.default.vm', { 'vmi-name': 'vm' }),
	alternate: { node: 'node-b', namespace: 'default', pod: to, 'vmi-name': 'vm' },
});
/** 10.0.0.1 belongs to pod `one`. */
const block = (overrides: Partial<Block> = {}): Block => ({
	cidr,
	affinity: 'host:node-a',
	affinityClaimTime: undefined,
	allocations: [null, 0, null, null],
	unallocated: [0, 2, 3],
	attributes: [owned('one')],
	sequenceNumber: 1n,
	sequenceNumberForAllocation: {},
	deleted: false,
	other: {},
	...overrides,
});
const claim = (overrides: Partial<Affinity> = {}): Affinity => ({
	state: 'confirmed',
	node: 'node-a',
	type: 'host',
	cidr,
	deleted: false,
	other: {},
	...overrides,
});
const handle = (handleId: string, count: number): Handle => ({
	handleId,
	blocks: { [cidr]: count },
	deleted: false,
	other: {},
});

const books: readonly {
	readonly title: string;
	readonly blocks?: readonly Block[];
	readonly claims?: readonly Affinity[];
	readonly handles?: readonly Handle[];
	readonly pools?: readonly Pool[];
	readonly problems: readonly string[];
}[] = [
	{ title: 'no inconsistency', problems: [] },
	{ title: 'no pool has the block', pools: [], problems: ['pool 10.0.0.0/30: the block lies in no pool'] },
	{
		title: 'an address is free and allocated',
		blocks: [block({ unallocated: [0, 1, 2, 3] })],
		problems: ['block 10.0.0.0/30: 10.0.0.1 is in the free list and allocated'],
	},
	{
		title: 'an address is lost',
		blocks: [block({ unallocated: [0, 2] })],
		problems: ['block 10.0.0.0/30: 10.0.0.3 is neither free nor allocated'],
	},
	{
		title: 'there is no block for the claim',
		blocks: [],
		handles: [],
		problems: ['claim node-a 10.0.0.0/30: the claim is confirmed, and there is no such block (release-claim)'],
	},
	{
		title: 'a claim that is not confirmed needs no block',
		blocks: [],
		handles: [],
		claims: [claim({ state: 'pending' })],
		problems: [],
	},
	{
		title: "two nodes have the block's claim",
		claims: [claim(), claim({ node: 'node-b' })],
		problems: ["claim node-b 10.0.0.0/30: the claim is confirmed, and the block is host:node-a's (release-claim)"],
	},
	{
		title: "no node has the block's claim",
		claims: [],
		problems: ["claim 10.0.0.0/30: the block is host:node-a's, who has no claim to it"],
	},
	{
		title: 'a handle without addresses',
		handles: [handle('net.one', 1), handle('net.two', 1)],
		problems: ['handle net.two: no block has an address of it (remove-handle)'],
	},
	{
		title: 'a handle with too high a count',
		handles: [handle('net.one', 3)],
		problems: ['handle net.one: it counts 3 of 10.0.0.0/30, the block has 1'],
	},
	{
		title: 'a missing handle',
		handles: [],
		problems: ['handle net.one: 10.0.0.1 is held by it, and there is no such handle'],
	},
];
for (const {
	title,
	blocks = [block()],
	claims = [claim()],
	handles = [handle('net.one', 1)],
	pools: of = pools,
	problems,
} of books)
	test(`blocks, claims, handles and pools are compared with each other: ${title}`, (t) => {
		const found = findInconsistencies({ pools: of, blocks, affinities: claims, handles });
		t.deepEqual(
			found.map(
				({ kind, subject, problem, fix }) => `${kind} ${subject}: ${problem}${fix === undefined ? '' : ` (${fix})`}`,
			),
			[...problems],
		);
	});

test('no inconsistency is derived from an unreadable block, claim or handle', (t) => {
	const unreadable = {
		blocks: [{ name: '10-0-0-0-30', problem: 'p', cidrs: [cidr] }],
		affinities: [{ name: 'node-b-10-0-0-4-30', problem: 'p', cidrs: [] }],
		handles: [{ name: 'net.two', problem: 'p', cidrs: [] }],
	};
	const beside = block({ cidr: prefixKey('10.0.0.4/30'), affinity: 'host:node-b', attributes: [owned('two')] });
	const blocks = [beside];
	const wide = [testPool({ cidr: prefixKey('10.0.0.0/29'), blockSize: 30 })];
	const book = { pools: wide, blocks, affinities: [claim()], handles: [handle('net.one', 1)] };
	t.deepEqual(findInconsistencies({ ...book, unreadable }), []);
	t.is(findInconsistencies(book).length, 4);
	const pods = [pod('one', '10.0.0.1')];
	t.deepEqual(findPodInconsistencies(wide, [], pods, [cidr]), []);
	t.is(findPodInconsistencies(wide, [], pods).length, 1);
});

const pod = (name: string, ...addresses: string[]): PodAddresses => ({ name: `default/${name}`, addresses });
const podCases: readonly {
	readonly title: string;
	readonly blocks?: readonly Block[];
	readonly pods: readonly PodAddresses[];
	readonly problems: readonly string[];
}[] = [
	{ title: 'no inconsistency of pods', pods: [pod('one', '10.0.0.1')], problems: [] },
	{ title: 'a starting pod has no address yet', pods: [pod('one')], problems: [] },
	{
		title: 'a terminating pod has released its address, and another pod has it',
		pods: [pod('one', '10.0.0.1'), { ...pod('old', '10.0.0.1', '10.0.0.2'), terminating: true }],
		problems: [],
	},
	{
		title: 'the pod no longer exists',
		pods: [],
		problems: ["10.0.0.1: it is default/one's, which does not run (ipam gc takes it back)"],
	},
	{
		title: 'the pod has another address',
		pods: [pod('one', '192.168.0.1')],
		problems: ["10.0.0.1: it is default/one's, which has 192.168.0.1 (ipam gc takes it back)"],
	},
	{
		title: "a pod's status does not have the address of its second interface",
		blocks: [
			block({
				allocations: [null, 0, 1, null],
				unallocated: [0, 3],
				attributes: [owned('one', 'net.one', { ifname: 'eth0' }), owned('one', 'net.one', { ifname: 'net1' })],
			}),
		],
		pods: [pod('one', '10.0.0.1')],
		problems: [],
	},
	{
		title: "a pod's address is not allocated",
		pods: [pod('one', '10.0.0.1'), pod('two', '10.0.0.2')],
		problems: ['default/two: it has 10.0.0.2, which is not allocated: the next pod may get it, too'],
	},
	{
		title: 'two pods have one address',
		pods: [pod('one', '10.0.0.1'), pod('two', '10.0.0.1')],
		problems: [
			'10.0.0.1: several pods have it: default/one, default/two',
			"default/two: it has 10.0.0.1, which is default/one's",
		],
	},
	{
		title: 'addresses outside of the pools are ignored',
		pods: [pod('one', '10.0.0.1'), pod('two', '172.16.0.1'), pod('three', 'no address')],
		problems: [],
	},
	{
		title: 'a released address has no owner',
		blocks: [
			block({
				attributes: [{ handleId: undefined, secondary: undefined, releasedAt: '2026-01-01T00:00:00Z', other: {} }],
			}),
		],
		pods: [pod('one', '10.0.0.1')],
		problems: ['default/one: it has 10.0.0.1, which is not allocated: the next pod may get it, too'],
	},
	{
		title: 'a virtual machine keeps its address without a pod',
		blocks: [block({ attributes: [owned('one', 'net.one', { 'vmi-name': 'vm' })] })],
		pods: [],
		problems: [],
	},
	{
		title: 'a virtual machine that migrates has two owners, and both have its address',
		blocks: [block({ attributes: [migrating('one', 'two')] })],
		pods: [pod('one', '10.0.0.1'), pod('two', '10.0.0.1')],
		problems: [],
	},
	{
		title: 'a third pod has the address of a virtual machine that migrates',
		blocks: [block({ attributes: [migrating('one', 'two')] })],
		pods: [pod('one', '10.0.0.1'), pod('two', '10.0.0.1'), pod('three', '10.0.0.1')],
		problems: [
			'10.0.0.1: several pods have it: default/one, default/three, default/two',
			"default/three: it has 10.0.0.1, which is default/one's",
		],
	},
	{
		title: 'the first owner of a virtual machine is gone, and the second one not promoted yet',
		blocks: [block({ attributes: [{ ...migrating('one', 'two'), secondary: undefined }] })],
		pods: [pod('two', '10.0.0.1')],
		problems: [],
	},
	{
		title: 'a manually assigned address belongs to no pod',
		blocks: [block({ attributes: [{ handleId: 'by-hand', secondary: {}, releasedAt: undefined, other: {} }] })],
		pods: [],
		problems: [],
	},
];
for (const { title, blocks = [block()], pods, problems } of podCases)
	test(`blocks and pods are compared with each other: ${title}`, (t) => {
		t.deepEqual(
			findPodInconsistencies(pools, blocks, pods).map(({ subject, problem }) => `${subject}: ${problem}`),
			[...problems],
		);
	});

test('announced and claimed blocks are compared with each other', (t) => {
	const other = prefixKey('10.0.0.4/30');
	const outside = prefixKey('203.0.113.0/24');
	const problems = (announced: readonly (typeof cidr)[], confirmed: readonly (typeof cidr)[]) =>
		findOriginInconsistencies(pools, new Set(announced), confirmed).map(
			({ subject, problem }) => `${subject}: ${problem}`,
		);
	t.deepEqual(problems([cidr, outside], [cidr]), []);
	t.deepEqual(problems([], [cidr]), ['10.0.0.0/30: this node has the block, and does not announce it']);
	t.deepEqual(problems([cidr, other], [cidr]), [
		'10.0.0.4/30: this node announces it, and has no confirmed claim to it',
	]);
});
