/** Processor time of a packet between two pods of a node, by number of policies at both. */
import { ethernetFrame, ipPacket } from '../../lab/frames/packets.ts';
import { inside } from '../../lab/frames/sockets.ts';
import { NodeNetwork, openWireNamespace, type Port } from '../../lab/policy-table/frames-network.ts';
import { parseAddress, prefixKey } from '../../src/core/index.ts';
import { loadRuleset } from '../../src/linux/index.ts';
import { NftablesPolicy } from '../../src/nftables/index.ts';
import {
	type DirectionPolicy,
	defaultNodeSettings,
	type NodePolicy,
	type Policy,
	type PolicyKernel,
} from '../../src/policy/index.ts';
import { round } from './measures.ts';

/**
 * `none`: no table at all. `conntrack`: nothing but one rule that accepts established connections,
 * as any node has that tracks connections for Services or masquerading.
 */
export type Enforced = number | 'none' | 'conntrack';

export interface PacketsResult {
	readonly policies: Enforced;
	/**
	 * Minimum and median of the rounds, microseconds of processor time per packet, sending
	 * included.
	 */
	readonly established: { readonly leastUs: number; readonly medianUs: number };
	/** Each packet begins a connection: all rules are evaluated, the last one matches. */
	readonly first: { readonly leastUs: number; readonly medianUs: number };
}

const addresses = { from: '10.2.0.1', to: '10.2.0.2' } as const;

function nodePolicy(count: number): NodePolicy {
	const policies = Array.from(
		{ length: count },
		(_, index): Policy => ({
			key: `network-policy/ns/p${index}`,
			kind: 'network-policy',
			namespace: 'ns',
			name: `p${index}`,
			staged: false,
			ingress: [
				{
					action: 'allow',
					protocol: 17,
					source: {
						nets: [prefixKey(index === count - 1 ? '10.2.0.0/24' : `10.${100 + (index >> 8)}.${index & 255}.0/24`)],
					},
					destination: {},
					origin: 'ingress[0]',
				},
			],
			egress: [],
		}),
	);
	const direction = (toward: 'ingress' | 'egress'): DirectionPolicy => ({
		id: `d${toward}${count}`,
		direction: toward,
		tiers:
			toward === 'egress' || count === 0
				? []
				: [{ tier: 'default', defaultAction: 'deny', policies: policies.map(({ key }) => key) }],
		profiles: [],
		otherwise: 'allow',
	});
	const workload = (name: string, address: string) => ({
		type: 'workload' as const,
		key: `ns/${name}`,
		interfaceName: `cali${name}`,
		addresses: [address],
		ingress: direction('ingress'),
		egress: direction('egress'),
	});
	return {
		node: 'here',
		workloads: new Map([
			['ns/a', workload('a', addresses.from)],
			['ns/b', workload('b', addresses.to)],
		]),
		hosts: new Map(),
		policies: new Map(policies.map((policy) => [policy.key, policy])),
		sets: new Map([
			[
				defaultNodeSettings.nodes,
				{ id: defaultNodeSettings.nodes, type: 'nets', meaning: 'nodes', members: new Set<string>() },
			],
		]),
		settings: defaultNodeSettings,
	};
}

/** Sends packets and returns the processor time of one, in microseconds. */
function send({ wire, from, to }: Port, drain: Port, packets: readonly Uint8Array[], count: number): number {
	const frames = packets.map((packet) => ethernetFrame(from, to, packet));
	const before = process.cpuUsage();
	for (let index = 0; index < count; index++) wire.send(frames[index % frames.length] as Uint8Array);
	const { user, system } = process.cpuUsage(before);
	while (drain.wire.receive() !== undefined);
	return (user + system) / count;
}

/** What enforces policy in a namespace. */
export interface BenchEnforcer {
	readonly kernel: PolicyKernel;
	close(): void;
}

/** Our rules alone. */
const openNftables = (namespace: string): BenchEnforcer =>
	inside(namespace, () => {
		const kernel = new NftablesPolicy({}, { load: (text) => inside(namespace, () => loadRuleset(text)) });
		return { kernel, close: () => kernel.close() };
	});

const trackingTable = `table inet bmtracking {
	chain forward {
		type filter hook forward priority 0; policy accept;
		ct state established accept
	}
}
`;

/** One row each; `none` is the first of them or absent, `conntrack` follows it or is absent. */
export async function benchPackets(
	numbers: readonly Enforced[],
	{ packets, rounds }: { readonly packets: number; readonly rounds: number },
	open: (namespace: string) => BenchEnforcer = openNftables,
): Promise<PacketsResult[]> {
	const prefix = `bmb${process.pid}`;
	const wires = openWireNamespace(`${prefix}w`);
	let index = 0;
	let enforcer: BenchEnforcer | undefined;
	const network = new NodeNetwork(`${prefix}n`, `${prefix}w`, () => index++);
	try {
		network.setPods([
			{ interfaceName: 'calia', address: addresses.from },
			{ interfaceName: 'calib', address: addresses.to },
		]);
		const [here, there] = [network.podPort(addresses.from), network.podPort(addresses.to)];
		if (here === undefined || there === undefined) throw new Error('the pods have no links');
		const packet = (source: string, destination: string, sourcePort: number, destinationPort: number) =>
			ipPacket({
				source: parseAddress(source),
				destination: parseAddress(destination),
				protocol: 17,
				sourcePort,
				destinationPort,
			});
		const results: PacketsResult[] = [];
		for (const policies of numbers) {
			if (policies === 'conntrack') await inside(network.namespace, () => loadRuleset(trackingTable));
			else if (policies !== 'none') {
				if (results.at(-1)?.policies === 'conntrack')
					await inside(network.namespace, () => loadRuleset('delete table inet bmtracking\n'));
				enforcer ??= open(network.namespace);
				await enforcer.kernel.sync(nodePolicy(policies));
			}
			send(here, there, [packet(addresses.from, addresses.to, 999, 53)], 10);
			send(there, here, [packet(addresses.to, addresses.from, 53, 999)], 10);
			const established: number[] = [];
			const first: number[] = [];
			for (let round = 0; round < rounds; round++) {
				established.push(send(here, there, [packet(addresses.from, addresses.to, 999, 53)], packets));
				const fresh = Array.from({ length: packets / 10 }, (_, number) =>
					packet(addresses.from, addresses.to, 1024 + number, 1000 + round + 10 * results.length),
				);
				first.push(send(here, there, fresh, fresh.length));
			}
			const summary = (values: readonly number[]) => {
				const sorted = [...values].sort((a, b) => a - b);
				return { leastUs: round(sorted[0] ?? 0), medianUs: round(sorted[sorted.length >> 1] ?? 0) };
			};
			results.push({ policies, established: summary(established), first: summary(first) });
		}
		return results;
	} finally {
		enforcer?.close();
		network.close();
		wires.close();
	}
}
