import test from 'ava';
import { fromBlock, type JsonObject, parseJson, stringifyJson, toBlock, toHandle, toPool, toResource } from '../../../src/kubernetes/index.ts';

const blockText = `{"apiVersion":"crd.projectcalico.org/v1","kind":"IPAMBlock","metadata":{"name":"10-0-0-0-30"},
 "spec":{"affinity":"host:node-a","affinityClaimTime":"2026-01-01T00:00:00Z","allocations":[0,null,1,null],"attributes":[
  {"handle_id":"net.one","secondary":{"node":"node-a","pod":"p"},"alternateOwnerAttrs":{"vmi-name":"x"}},{"releasedAt":"2026-01-01T00:00:00Z"}],
  "cidr":"10.0.0.0/30","deleted":false,"futureField":{"big":9007199254740993},"sequenceNumber":1780000000123456789,
  "sequenceNumberForAllocation":{"0":1780000000123456788,"2":3},"strictAffinity":false,"unallocated":[1,3]}}`;

test('a block read and written is the same block, to the last digit and the last unknown field', (t) => {
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
	t.is(stringifyJson(sorted(fromBlock(block, 'crd.projectcalico.org/v1')) as JsonObject), stringifyJson(sorted(raw['spec']) as JsonObject));
});

test('a block raised by one is written with every digit', (t) => {
	const block = toBlock(toResource(parseJson(blockText) as JsonObject));
	t.regex(
		stringifyJson(fromBlock({ ...block, sequenceNumber: block.sequenceNumber + 1n }, 'projectcalico.org/v3')),
		/"sequenceNumber":1780000000123456790[,}]/,
	);
});

test('a pool written by hand gets the defaults', (t) => {
	t.like(toPool(toResource({ metadata: { name: 'p' }, spec: { cidr: '192.168.0.0/16' } })), {
		blockSize: 26,
		nodeSelector: 'all()',
		allowedUses: ['Workload', 'Tunnel'],
		assignmentMode: 'Automatic',
		disabled: false,
	});
	t.like(toPool(toResource({ metadata: { name: 'p' }, spec: { cidr: 'fd00::/48' } })), { blockSize: 122, family: 'ipv6' });
	t.throws(() => toPool(toResource({ metadata: { name: 'p' }, spec: { cidr: 'nonsense' } })), { message: "p: 'nonsense' is not a prefix such as 10.0.0.0/26" });
});

test('a handle keeps its original case', (t) => {
	t.like(toHandle(toResource({ metadata: { name: 'net.abc' }, spec: { handleID: 'net.ABC', block: { '10.0.0.0/26': 2 }, deleted: false } })), {
		handleId: 'net.ABC',
		blocks: { '10.0.0.0/26': 2 },
	});
});
