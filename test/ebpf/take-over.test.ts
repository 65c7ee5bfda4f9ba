import test from 'ava';
import { atOnce, parseAddress } from '../../src/core/index.ts';
import { connectionEntries, connectionKey, hostConnectionEntries } from '../../src/ebpf/policy/take-over.ts';
import { type Flow, FlowStatus } from '../../src/linux/index.ts';
import { nodePolicy, policy, rule, workload } from '../nftables/fixtures.ts';

const [client, web, host, service] = ['10.1.0.2', '10.1.0.3', '10.80.0.1', '10.96.0.10'] as const;
const bytesOf = (text: string) => parseAddress(text).bytes;

interface End {
	readonly address: string;
	readonly port: number;
}

/** A flow of UDP; `backend`: what answers in place of the destination. */
const flow = (from: End, to: End, { answered = false, backend = to } = {}): Flow =>
	({
		...{ family: 'ipv4', status: answered ? FlowStatus.seenReply : 0, mark: 0 },
		original: {
			...{ source: bytesOf(from.address), destination: bytesOf(to.address), protocol: 17 },
			...{ sourcePort: from.port, destinationPort: to.port },
		},
		reply: {
			...{ source: bytesOf(backend.address), destination: bytesOf(from.address), protocol: 17 },
			...{ sourcePort: backend.port, destinationPort: from.port },
		},
	}) as Flow;

const [own, asking, open, shut] = [
	{ address: host, port: 4000 },
	{ address: client, port: 4000 },
	{ address: web, port: 53 },
	{ address: web, port: 54 },
] as const;
const dns = rule('allow', { protocol: 17, destination: { ports: { ranges: [{ first: 53, last: 53 }], sets: [] } } });
const asks = policy('asks', [], [dns]);
const anything = policy('anything', [], [rule('allow')]);
const answers = policy('answers', [dns], []);
const closed = policy('closed', [], []);

/** Keys of the entries: pod `client` at interface 2 has this egress policy, `web` at 3 answers port 53. */
const keysOf = (flows: readonly Flow[], egress = asks) => {
	const workloads = [workload('client', client, [closed], [egress]), workload('web', web, [answers], [closed])];
	const state = nodePolicy(workloads, [asks, anything, answers, closed], []);
	const present = workloads.map((one, index) => ({ workload: one, interfaceIndex: index + 2 }));
	const judge = { policy: state, own: new Set([host]) };
	return atOnce(connectionEntries(flows, present, judge, 7n)).map(({ key }) => key);
};

test('what the policy allows is taken over at both pods, whether it was answered or not', (t) => {
	for (const answered of [false, true]) {
		const one = flow(asking, open, { answered });
		t.deepEqual(keysOf([one]), [connectionKey(2, 'ipv4', one.original), connectionKey(3, 'ipv4', one.original)]);
	}
});

test('what the policy denies at a pod is not taken over there', (t) => {
	for (const answered of [false, true]) {
		const one = flow(asking, shut, { answered });
		t.deepEqual(keysOf([one]), []);
		t.deepEqual(keysOf([one], anything), [connectionKey(2, 'ipv4', one.original)], 'denied by the receiver alone');
	}
});

test('what the host sends to its pods is taken over, also where the policy denies it', (t) => {
	const one = flow(own, shut);
	t.deepEqual(keysOf([one]), [connectionKey(3, 'ipv4', one.original)]);
});

test('policy is asked for the backend, and the entry has the address of the service', (t) => {
	const cluster = { address: service, port: 80 };
	const one = flow(asking, cluster, { backend: open });
	const behind = flow(asking, open).original;
	t.deepEqual(keysOf([one]), [connectionKey(2, 'ipv4', one.original), connectionKey(3, 'ipv4', behind)]);
	t.deepEqual(keysOf([flow(asking, cluster, { backend: shut })]), []);
});

test('at interfaces of the host only flows with an answer are taken over', (t) => {
	t.deepEqual(hostConnectionEntries([flow(own, open)], 7n), []);
	t.is(hostConnectionEntries([flow(own, open, { answered: true })], 7n).length, 2);
});
