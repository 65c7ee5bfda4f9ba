import test from 'ava';
import { prefixKey } from '../../../src/core/index.ts';
import { type JsonObject, parseJson, stringifyJson } from '../../../src/json/index.ts';
import {
	cidrsOfBlock,
	fromAffinity,
	fromBlock,
	fromHandle,
	ResourceError,
	toAffinity,
	toBlock,
	toHandle,
	toPool,
	toReservation,
	toResource,
} from '../../../src/kubernetes/index.ts';

const blockText = `{"apiVersion":"crd.projectcalico.org/v1","kind":"IPAMBlock","metadata":{"name":"10-0-0-0-30"},
 "spec":{"affinity":"host:node-a","affinityClaimTime":"2026-01-01T00:00:00Z","allocations":[0,null,1,null],"attributes":[
  {"handle_id":"net.one","secondary":{"node":"node-a","pod":"p"},"alternate":{"vmi-name":"x"},"futureAttrs":{"x":"y"}},{"releasedAt":"2026-01-01T00:00:00Z"}],
  "cidr":"10.0.0.0/30","deleted":false,"futureField":{"big":9007199254740993},"sequenceNumber":1780000000123456789,
  "sequenceNumberForAllocation":{"0":1780000000123456788,"2":3},"strictAffinity":false,"unallocated":[1,3]}}`;

test('a block read and written is the same block, including all digits and unknown fields', (t) => {
	const raw = parseJson(blockText) as JsonObject;
	const block = toBlock(toResource(raw));
	t.is(block.sequenceNumber, 1780000000123456789n);
	t.is(block.sequenceNumberForAllocation['0'], 1780000000123456788n);
	const sorted = (value: unknown): unknown =>
		Array.isArray(value)
			? value.map(sorted)
			: typeof value === 'object' && value !== null
				? Object.fromEntries(
						Object.entries(value)
							.sort(([a], [b]) => (a < b ? -1 : 1))
							.map(([key, item]) => [key, sorted(item)]),
					)
				: value;
	t.is(stringifyJson(sorted(fromBlock(block)) as JsonObject), stringifyJson(sorted(raw['spec']) as JsonObject));
});

const malformed: readonly { readonly title: string; readonly spec: JsonObject; readonly problem: RegExp }[] = [
	{ title: 'no CIDR', spec: { cidr: null }, problem: /spec\.cidr is missing/ },
	{ title: 'an invalid CIDR', spec: { cidr: '10.0.0/30' }, problem: /'10\.0\.0' is not an IPv4/ },
	{
		title: 'the CIDR of another block',
		spec: { cidr: '10.0.0.4/30' },
		problem: /whose block has the name 10-0-0-4-30/,
	},
	{ title: 'no allocations', spec: { allocations: null }, problem: /spec\.allocations is not a list of 4/ },
	{
		title: 'too few allocations',
		spec: { allocations: [0, null, 1] },
		problem: /spec\.allocations is not a list of 4/,
	},
	{
		title: 'an allocation that is a string',
		spec: { allocations: ['0', null, 1, null] },
		problem: /neither null nor a number/,
	},
	{ title: 'a negative allocation', spec: { allocations: [-1, null, 1, null] }, problem: /neither null nor a number/ },
	{ title: 'free addresses that are a string', spec: { unallocated: ['1', 3] }, problem: /spec\.unallocated/ },
	{
		title: 'an attribute that is a string',
		spec: { attributes: ['net.one', {}] },
		problem: /spec\.attributes is not a list of objects/,
	},
	{
		title: 'a handle that is a number',
		spec: { attributes: [{ handle_id: 7 }, {}] },
		problem: /an owner that is not text/,
	},
	{
		title: 'a pod that is a number',
		spec: { attributes: [{ handle_id: 'a', secondary: { pod: 7 } }, {}] },
		problem: /an owner that is not text/,
	},
];
for (const { title, spec, problem } of malformed)
	test(`an ambiguous block is rejected: ${title}`, (t) => {
		const raw = parseJson(blockText) as JsonObject;
		const resource = toResource({ ...raw, spec: { ...(raw['spec'] as JsonObject), ...spec } });
		t.regex(t.throws(() => toBlock(resource), { instanceOf: ResourceError })?.message ?? '', problem);
		t.true(cidrsOfBlock(resource).includes(prefixKey('10.0.0.0/30')));
	});

test('absent lists are empty, as Go writes them', (t) => {
	const raw = parseJson(blockText) as JsonObject;
	const full = { ...(raw['spec'] as JsonObject), allocations: [0, 0, 0, 0], unallocated: null, attributes: null };
	t.like(toBlock(toResource({ ...raw, spec: full })), { unallocated: [], attributes: [] });
});

test('a handle with an invalid count or block is rejected', (t) => {
	const handle = (block: JsonObject) =>
		toResource({ metadata: { name: 'net.one' }, spec: { handleID: 'net.one', block } });
	t.throws(() => toHandle(handle({ '10.0.0.0/26': '1' })), { instanceOf: ResourceError, message: /is not a number/ });
	t.throws(() => toHandle(handle({ elsewhere: 1 })), { instanceOf: ResourceError });
});

test('a block number incremented by one is written with all digits', (t) => {
	const block = toBlock(toResource(parseJson(blockText) as JsonObject));
	t.regex(
		stringifyJson(fromBlock({ ...block, sequenceNumber: block.sequenceNumber + 1n })),
		/"sequenceNumber":1780000000123456790[,}]/,
	);
});

test('a manually created pool gets the defaults', (t) => {
	t.like(toPool(toResource({ metadata: { name: 'p' }, spec: { cidr: '192.168.0.0/16' } })), {
		blockSize: 26,
		nodeSelector: 'all()',
		allowedUses: ['Workload', 'Tunnel'],
		assignmentMode: 'Automatic',
		disabled: false,
	});
	t.like(toPool(toResource({ metadata: { name: 'p' }, spec: { cidr: 'fd00::/48' } })), {
		blockSize: 122,
		family: 'ipv6',
	});
	t.throws(() => toPool(toResource({ metadata: { name: 'p' }, spec: { cidr: 'nonsense' } })), {
		message: "p: 'nonsense' is not a prefix such as 10.0.0.0/26",
	});
});

test('a handle keeps its original case', (t) => {
	t.like(
		toHandle(
			toResource({
				metadata: { name: 'net.abc' },
				spec: { handleID: 'net.ABC', block: { '10.0.0.0/26': 2 }, deleted: false },
			}),
		),
		{
			handleId: 'net.ABC',
			blocks: { '10.0.0.0/26': 2 },
		},
	);
});

test('a pool with only unknown uses is not used', (t) => {
	const uses = (allowedUses: readonly string[]) =>
		toPool(toResource({ metadata: { name: 'p' }, spec: { cidr: '192.168.0.0/16', allowedUses } })).allowedUses;
	t.deepEqual(uses([]), ['Workload', 'Tunnel']);
	t.deepEqual(uses(['HostSecondaryInterface']), []);
	t.deepEqual(uses(['HostSecondaryInterface', 'Tunnel']), ['Tunnel']);
});

const marks = [
	{ layout: 'crd.projectcalico.org/v1', deleted: 'true', there: 'false' },
	{ layout: 'projectcalico.org/v3', deleted: true, there: false },
] as const;
for (const { layout, deleted, there } of marks)
	test(`a deletion mark is read, and written in the form of ${layout}`, (t) => {
		const spec = { state: 'confirmed', node: 'n', type: 'host', cidr: '10.0.0.0/26', deleted };
		const claim = toAffinity(toResource({ metadata: { name: 'a' }, spec }));
		t.true(claim.deleted);
		t.deepEqual<unknown, unknown>(fromAffinity(claim, layout), spec);
		t.is<unknown, unknown>(fromAffinity({ ...claim, deleted: false }, layout)['deleted'], there);
		// In blocks and handles it is a boolean in both layouts.
		const handle = toHandle(toResource({ metadata: { name: 'h' }, spec: { handleID: 'h', block: {}, deleted: true } }));
		t.deepEqual<unknown, unknown>([handle.deleted, fromHandle(handle)['deleted']], [true, true]);
		const block = toBlock(
			toResource({
				metadata: { name: '10-0-0-0-30' },
				spec: {
					cidr: '10.0.0.0/30',
					allocations: [null, null, null, null],
					unallocated: [],
					attributes: [],
					deleted: true,
				},
			}),
		);
		t.deepEqual<unknown, unknown>([block.deleted, fromBlock(block)['deleted']], [true, true]);
		t.is(fromBlock(block)['strictAffinity'], false);
	});

test('an invalid entry of a reservation leaves its other entries in force', (t) => {
	t.deepEqual<unknown, unknown>(
		toReservation(
			toResource({
				metadata: { name: 'r' },
				spec: { reservedCIDRs: ['10.0.0.0/28', '10.0.0.300', '10.0.1.7', 'fd00::1'] },
			}),
		),
		{
			cidrs: ['10.0.0.0/28', '10.0.1.7/32', 'fd00::1/128'],
			unreadable: ['10.0.0.300'],
		},
	);
});
