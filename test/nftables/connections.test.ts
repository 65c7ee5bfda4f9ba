import test from 'ava';
import { ethernetFrame, ipPacket, readPacket } from '../../lab/frames/packets.ts';
import { inside } from '../../lab/frames/sockets.ts';
import { NodeNetwork, openWireNamespace, type Port } from '../../lab/policy-table/frames-network.ts';
import { parseAddress } from '../../src/core/index.ts';
import { Conntrack, loadRuleset, PacketLog } from '../../src/linux/index.ts';
import { ConnectionCutter, NftablesPolicy } from '../../src/nftables/index.ts';
import type { NodePolicy } from '../../src/policy/index.ts';
import { noNamespaces } from '../support/namespace.ts';
import { noChange, nodePolicy, policy, rule, workload } from './fixtures.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: connections under policy: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const addresses = { a: '10.2.0.1', b: '10.2.0.2', outside: '10.9.0.1' } as const;
type End = keyof typeof addresses;

/** Two pods on one node, and what is outside. */
function open(title: string) {
	const prefix = `bmc${process.pid}${title}`;
	const wires = openWireNamespace(`${prefix}w`);
	let index = 0;
	const network = new NodeNetwork(`${prefix}n`, `${prefix}w`, () => index++);
	network.setPods([
		{ interfaceName: 'calia', address: addresses.a },
		{ interfaceName: 'calib', address: addresses.b },
	]);
	const conntrack = inside(network.namespace, () => new Conntrack());
	const cutter = new ConnectionCutter({ conntrack, ownAddresses: () => new Set() });
	const makeKernel = () =>
		inside(
			network.namespace,
			() => new NftablesPolicy({}, { load: (text) => inside(network.namespace, () => loadRuleset(text)), cutter }),
		);
	const port = (end: End): Port => {
		const found = end === 'outside' ? network.uplink : network.podPort(addresses[end]);
		if (found === undefined) throw new Error(`no pod ${end}`);
		return found;
	};
	/** Does a packet of `from` reach `to`? */
	const passes = async (from: End, to: End, protocol: number, ports: readonly [number, number]): Promise<boolean> => {
		const [enter, leave] = [port(from), port(to)];
		while (leave.wire.receive() !== undefined);
		const packet = ipPacket({
			source: parseAddress(addresses[from]),
			destination: parseAddress(addresses[to]),
			protocol,
			sourcePort: ports[0],
			destinationPort: ports[1],
		});
		enter.wire.send(ethernetFrame(enter.from, enter.to, packet));
		for (let tries = 0; tries < 10; tries++) {
			for (let frame = leave.wire.receive(); frame !== undefined; frame = leave.wire.receive()) {
				const facts = readPacket(frame.subarray(14));
				if (facts?.protocol === protocol && facts.sourcePort === ports[0] && facts.destinationPort === ports[1])
					return true;
			}
			await new Promise((resolve) => setTimeout(resolve, 3));
		}
		return false;
	};
	const close = () => {
		conntrack.close();
		network.close();
		wires.close();
	};
	return { network, cutter, conntrack, makeKernel, passes, close };
}

const allowed = policy('p', [rule('allow')]);
const denied = policy('p', [
	rule('deny', { protocol: 17, destination: { ports: { ranges: [{ first: 53, last: 53 }], sets: [] } } }),
	rule('allow'),
]);
const state = (rules: typeof allowed): NodePolicy =>
	nodePolicy([workload('a', addresses.a, []), workload('b', addresses.b, [rules])], [rules], []);

namespaceTest(
	'an established connection that a new policy denies is cut in both directions, others continue',
	async (t) => {
		const { cutter, makeKernel, passes, close } = open('c');
		t.teardown(close);
		const kernel = makeKernel();
		await kernel.sync(state(allowed));
		await cutter.whenIdle();
		for (const ports of [
			[5000, 53],
			[5001, 80],
		] as const) {
			t.true(await passes('a', 'b', 17, ports));
			t.true(await passes('b', 'a', 17, [ports[1], ports[0]]));
		}
		await kernel.apply({ ...noChange, policies: [denied] }, state(denied));
		await cutter.whenIdle();
		t.false(await passes('a', 'b', 17, [5000, 53]));
		t.false(await passes('b', 'a', 17, [53, 5000]), 'the other direction, which may begin connections');
		t.true(await passes('a', 'b', 17, [5001, 80]));
		t.true(await passes('b', 'a', 17, [80, 5001]));
		t.false(await passes('a', 'b', 17, [5002, 53]), 'a new connection');
		await kernel.apply({ ...noChange, policies: [allowed] }, state(allowed));
		await cutter.whenIdle();
		t.true(await passes('a', 'b', 17, [5000, 53]));
		t.true(await passes('b', 'a', 17, [53, 5000]));
		kernel.close();
	},
);

namespaceTest(
	'a start and a change of the policy cut connections with what is outside, in both directions',
	async (t) => {
		const { cutter, makeKernel, passes, close } = open('o');
		t.teardown(close);
		const closed = policy('p', [], []);
		/** Pod `a` may not be asked, pod `b` may not ask; both may do the other. */
		const closedState = nodePolicy(
			[workload('a', addresses.a, [closed]), workload('b', addresses.b, [], [closed])],
			[closed],
			[],
		);
		const openState = nodePolicy([workload('a', addresses.a, []), workload('b', addresses.b, [])], [], []);
		const kernel = makeKernel();
		for (const [turn, how] of (['sync', 'apply'] as const).entries()) {
			await kernel.sync(openState);
			await cutter.whenIdle();
			const there = [5000 + turn, 53] as const;
			const back = [53, 5000 + turn] as const;
			t.true(await passes('outside', 'a', 17, there));
			t.true(await passes('a', 'outside', 17, back));
			t.true(await passes('b', 'outside', 17, there));
			t.true(await passes('outside', 'b', 17, back));
			if (how === 'sync') await kernel.sync(closedState);
			else {
				const workloads = [...closedState.workloads.values()];
				await kernel.apply({ ...noChange, policies: [closed], workloads }, closedState);
			}
			await cutter.whenIdle();
			t.false(await passes('outside', 'a', 17, there), how);
			t.false(await passes('a', 'outside', 17, back), `${how}: answers of a pod that may ask`);
			t.false(await passes('b', 'outside', 17, there), how);
			t.false(await passes('outside', 'b', 17, back), `${how}: answers to a pod that may be asked`);
		}
		kernel.close();
	},
);

namespaceTest('denied traffic stays denied while the daemon is down, and during its restart', async (t) => {
	const { makeKernel, passes, close } = open('k');
	t.teardown(close);
	const first = makeKernel();
	await first.sync(state(denied));
	first.close();
	t.false(await passes('a', 'b', 17, [5000, 53]));
	t.true(await passes('a', 'b', 17, [5001, 80]));
	const second = makeKernel();
	// Packets flow while the table is read back and the difference written.
	const outcomes: boolean[] = [];
	const traffic = (async () => {
		for (let count = 0; count < 20; count++) outcomes.push(await passes('a', 'b', 17, [6000 + count, 53]));
	})();
	t.deepEqual(await second.sync(state(denied)), { added: 0, removed: 0 });
	await traffic;
	t.deepEqual(outcomes, Array(20).fill(false));
	second.close();
});

namespaceTest('a dropped packet is logged with the rule that dropped it, and counted', async (t) => {
	const { network, makeKernel, passes, close } = open('l');
	t.teardown(close);
	const kernel = makeKernel();
	await kernel.sync(state(denied));
	const prefixes: string[] = [];
	const log = inside(
		network.namespace,
		() => new PacketLog({ group: 4090, nowMs: () => 0, onPacket: ({ prefix }) => prefixes.push(prefix) }),
	);
	t.false(await passes('a', 'b', 17, [5000, 53]));
	for (let tries = 0; tries < 100 && prefixes.length === 0; tries++)
		await new Promise((resolve) => setTimeout(resolve, 10));
	const reference = kernel.dropReference(prefixes[0] ?? '');
	t.like(reference, { direction: 'ingress', action: 'deny', cause: { type: 'rule', policy: denied.key, index: 0 } });
	const counters = await kernel.counters();
	t.like(
		counters.find(({ action, policy }) => action === 'deny' && policy === denied.key),
		{ direction: 'ingress', packets: 1 },
	);
	log.close();
	kernel.close();
});

namespaceTest('an unknown pod, or one with a foreign source address, is cut off', async (t) => {
	const { makeKernel, passes, close } = open('u');
	t.teardown(close);
	const kernel = makeKernel();
	await kernel.sync(nodePolicy([workload('b', addresses.b, [])], [], []));
	t.false(await passes('a', 'b', 17, [5000, 80]));
	t.false(await passes('b', 'a', 17, [5000, 80]));
	await kernel.sync(nodePolicy([workload('a', '10.2.0.9', []), workload('b', addresses.b, [])], [], []));
	t.false(await passes('a', 'b', 17, [5000, 80]), 'a spoofed source');
	t.true(await passes('b', 'a', 17, [5000, 80]));
	kernel.close();
});
