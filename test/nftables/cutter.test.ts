import test from 'ava';
import { atOnce } from '../../src/core/index.ts';
import { Flag } from '../../src/ebpf/policy/connection.ts';
import { PodConnections } from '../../src/ebpf/policy/connections.ts';
import type { PolicyMaps } from '../../src/ebpf/policy/maps.ts';
import { connectionEntries, connectionKey } from '../../src/ebpf/policy/take-over.ts';
import type { Conntrack, Flow } from '../../src/linux/index.ts';
import { ConnectionCutter } from '../../src/nftables/index.ts';
import { isDenied, workloadsByAddress } from '../../src/nftables/policy/cut.ts';
import type { NodePolicy } from '../../src/policy/index.ts';
import { nets, nodePolicy, policy, rule, workload } from './fixtures.ts';

const [client, web] = ['10.1.0.2', '10.1.0.3'].map((text) => Uint8Array.from(text.split('.').map(Number))) as [
	Uint8Array,
	Uint8Array,
];
const ports = (sourcePort: number, destinationPort: number) => ({ protocol: 17, sourcePort, destinationPort });
const flow = {
	...{ family: 'ipv4', status: 0, mark: 0 },
	original: { source: client, destination: web, ...ports(4000, 53) },
	reply: { source: web, destination: client, ...ports(53, 4000) },
} as Flow;
const before = policy('before', [rule('allow')], [rule('allow')]);
const after = policy('after', [], []);

/** A live state, and a change of it: another policy holds for the pod, and the one before is gone. */
function liveState(): { readonly state: NodePolicy; readonly change: () => void } {
	const state = nodePolicy([workload('client', '10.1.0.2', [before], [before])], [before], []);
	const next = nodePolicy([workload('client', '10.1.0.2', [after], [after])], [after], []);
	const [policies, workloads] = [new Map(state.policies), new Map(state.workloads)];
	const change = () => {
		policies.clear();
		for (const [key, one] of next.policies) policies.set(key, one);
		for (const [key, one] of next.workloads) workloads.set(key, one);
	};
	return { state: { ...state, policies, workloads }, change };
}

test('a policy that changes while connections are read is the one that they follow', async (t) => {
	const { state, change } = liveState();
	const cut: Flow[] = [];
	const conntrack = {
		async list(family: string, keep: (one: Flow) => boolean) {
			if (family !== 'ipv4') return [];
			change();
			keep(flow);
			return [];
		},
		async mark(flows: readonly Flow[]) {
			cut.push(...flows);
			return flows.length;
		},
		async remove() {
			return 0;
		},
	};
	const errors: unknown[] = [];
	const cutter = new ConnectionCutter({
		conntrack: conntrack as unknown as Conntrack,
		ownAddresses: () => new Set(),
		onError: (error) => errors.push(error),
	});
	cutter.changed(state);
	await cutter.whenIdle();
	t.deepEqual(errors, []);
	t.deepEqual(cut, [flow]);
});

test('the same for the connections of programs', async (t) => {
	const { state, change } = liveState();
	const key = connectionKey(7, 'ipv4', flow.original);
	const map = {
		fd: 1,
		*slices() {
			change();
			yield [[key, new Uint8Array(16)]];
		},
		get: () => undefined,
	};
	const maps = new Map([['connections', map]]) as unknown as PolicyMaps;
	const [pod = ''] = state.workloads.keys();
	const attached = new Map([[pod, { interfaceIndex: 7, addresses: ['10.1.0.2'] }]]);
	const counts = await new PodConnections(maps, attached).cut(state, new Set());
	t.deepEqual(counts, { cut: 1, restored: 0 });
});

test('a connection to a service that was taken over is not judged by the address of the service', async (t) => {
	const service = Uint8Array.of(10, 96, 0, 10);
	const dns = policy('dns', [], [rule('allow', { protocol: 17, destination: { nets: nets('10.1.0.3/32') } })]);
	const pod = workload('client', '10.1.0.2', [], [dns]);
	const state = nodePolicy([pod], [dns], []);
	const judge = { policy: state, own: new Set<string>() };
	const cuts = async (one: Flow) => {
		const entries = atOnce(connectionEntries([one], [{ workload: pod, interfaceIndex: 7 }], judge, 7n));
		t.is(entries.length, 1);
		const map = {
			fd: 1,
			*slices() {
				yield entries.map(({ key, value }) => [key, value]);
			},
			get: () => undefined,
		};
		const maps = new Map([['connections', map]]) as unknown as PolicyMaps;
		const attached = new Map([[pod.key, { interfaceIndex: 7, addresses: pod.addresses }]]);
		return new PodConnections(maps, attached).cut(state, new Set());
	};
	t.deepEqual(await cuts(flow), { cut: 0, restored: 0 });
	const toService = { ...flow, original: { ...flow.original, destination: service } };
	t.deepEqual(await cuts(toService), { cut: 0, restored: 0 });
});

test('what the host itself sends to its pods is not judged; the same from elsewhere is', (t) => {
	const closed = policy('closed', []);
	const state = nodePolicy([workload('web', '10.1.0.3', [closed])], [closed], []);
	const workloadAt = workloadsByAddress(state);
	t.false(isDenied(flow, state, workloadAt, new Set(['10.1.0.2'])));
	t.true(isDenied(flow, state, workloadAt, new Set(['10.1.0.1'])));
});

test('a connection of programs that a policy allows again is forgotten, so that it is judged anew', async (t) => {
	const { state } = liveState();
	const cut = new Uint8Array(16);
	new DataView(cut.buffer).setUint32(8, Flag.cut, true);
	const [key, kept] = [connectionKey(7, 'ipv4', flow.original), connectionKey(8, 'ipv4', flow.original)];
	const deleted: Uint8Array[] = [];
	const map = {
		fd: 1,
		*slices() {
			yield [
				[key, cut],
				[kept, cut],
			];
		},
		delete: (one: Uint8Array) => deleted.push(one) > 0,
	};
	const maps = new Map([['connections', map]]) as unknown as PolicyMaps;
	const attached = new Map([['ns/client', { interfaceIndex: 7, addresses: ['10.1.0.2'] }]]);
	t.deepEqual(await new PodConnections(maps, attached).cut(state, new Set()), { cut: 0, restored: 1 });
	t.deepEqual(deleted, [key]);
});
