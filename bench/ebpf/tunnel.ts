/**
 * Processor time of a packet from a pod to a pod of another node by VXLAN: the kernel's routes beside
 * two prototypes of programs at the interface of the pod. The product has no such programs.
 */
import { execFileSync } from 'node:child_process';
import { addRouterNamespace, ipBatch, macOf, removeNamespace } from '../../lab/frames/namespaces.ts';
import { ethernetFrame, ipPacket } from '../../lab/frames/packets.ts';
import { inside, Wire } from '../../lab/frames/sockets.ts';
import { openWireNamespace } from '../../lab/policy-table/frames-network.ts';
import { parseAddress } from '../../src/core/index.ts';
import {
	type AssembledProgram,
	Assembler,
	BpfMap,
	fp,
	imm,
	LoadedProgram,
	r0,
	r1,
	r2,
	r3,
	r4,
	r6,
	r7,
	TcxAttacher,
} from '../../src/ebpf/index.ts';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { round } from '../nftables/measures.ts';
import { trackingTable } from '../nftables/packets.ts';

/**
 * `routes`: the kernel's routes, neighbours and forwarding entries. `neighbour`: bpf_redirect_neigh
 * to the same device. `tunnelKey`: bpf_redirect to a device that takes the far node from the packet.
 */
const ways = ['routes', 'neighbour', 'tunnelKey'] as const;
type Way = (typeof ways)[number];

export interface TunnelResult {
	readonly way: Way;
	/** `true`: the kernel tracks connections, as on any node with Services or masquerading. */
	readonly tracked: boolean;
	/** Microseconds of processor time per packet, sending included. */
	readonly leastUs: number;
	readonly medianUs: number;
}

/** /26 blocks of other nodes. */
const blocks = 1000;
const [pod, remotePod, gateway] = ['10.2.0.1', '10.101.2.130', '10.100.0.0'] as const;
const [node, remoteNode] = ['192.0.2.1', '192.0.2.2'] as const;
const [podIndex, tunnelIndex, uplinkIndex] = [700, 701, 702] as const;
const vni = 4096;
const remoteMac = '66:00:00:00:00:02';
const blockOf = (index: number): string => `10.${101 + (index >> 10)}.${(index >> 2) & 255}.${(index & 3) << 6}`;
const macBytes = (text: string): Uint8Array => Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));

/** Key: bits of the prefix, address. Value: IPv4 address of the node as a number, its MAC address. */
const routesMap = { name: 'tunnel_routes', type: 'lpmTrie', keyBytes: 8, valueBytes: 12, entries: 4096 } as const;

/** The packet's destination is looked up, then it goes to the tunnel; others take the usual way. */
function compile(way: Exclude<Way, 'routes'>): AssembledProgram {
	const assembler = new Assembler();
	const [key, tunnel] = [assembler.slot('key', 8), assembler.slot('tunnel', 24)];
	assembler.mov(r6, r1).load('w', r2, r6, 16).jumpIf(r2, '!=', imm(0x0008), 'pass');
	assembler.store('w', fp, key, imm(32));
	assembler
		.mov(r1, r6)
		.mov(r2, imm(30))
		.address(r3, key + 4)
		.mov(r4, imm(4))
		.call('skbLoadBytes');
	assembler.lookup('tunnel_routes', key).jumpIf(r0, '==', imm(0), 'pass').mov(r7, r0);
	assembler.zero(tunnel, 24);
	if (way === 'neighbour') {
		// `struct bpf_redir_neigh`: AF_INET, next hop.
		assembler.store('w', fp, tunnel, imm(2));
		assembler.store('w', fp, tunnel + 4, imm(new DataView(parseAddress(gateway).bytes.buffer).getInt32(0, true)));
		assembler
			.mov(r1, imm(tunnelIndex))
			.address(r2, tunnel)
			.mov(r3, imm(20))
			.mov(r4, imm(0))
			.call('redirectNeigh')
			.exit();
	} else {
		// `struct bpf_tunnel_key`: id, IPv4 address of the far end; BPF_F_ZERO_CSUM_TX.
		assembler
			.store('w', fp, tunnel, imm(vni))
			.load('w', r1, r7, 0)
			.store('w', fp, tunnel + 4, r1);
		assembler.mov(r1, r6).address(r2, tunnel).mov(r3, imm(8)).mov(r4, imm(2)).call('skbSetTunnelKey');
		assembler.mov(r1, r6).mov(r2, imm(0)).mov(r3, r7).op('add', r3, imm(4)).mov(r4, imm(6));
		assembler.mov(5, imm(0)).call('skbStoreBytes');
		assembler.mov(r1, imm(tunnelIndex)).mov(r2, imm(0)).call('redirect').exit();
	}
	return assembler.label('pass').mov(r0, imm(-1)).exit().assemble();
}

/** A node with one pod and one way to the other node. */
class Node {
	readonly way: Way;
	readonly tracked: boolean;
	readonly #namespace: string;
	readonly #closers: (() => void)[] = [];
	readonly #pod: Wire;
	readonly #far: Wire;
	readonly #frame: Uint8Array;
	readonly #figures: number[] = [];

	constructor(way: Way, tracked: boolean, wires: string, number: number) {
		this.way = way;
		this.tracked = tracked;
		this.#namespace = `bmt${process.pid}n${number}`;
		addRouterNamespace(this.#namespace);
		this.#closers.push(() => removeNamespace(this.#namespace));
		const [podEnd, uplink] = [macOf(2 * number, 'router'), macOf(2 * number + 1, 'router')];
		const [podFar, uplinkFar] = [macOf(2 * number, 'wire'), macOf(2 * number + 1, 'wire')];
		const [podWire, farWire] = [1000 + 2 * number, 1001 + 2 * number];
		ipBatch([
			`link add calia index ${podIndex} address ${podEnd.text} netns ${this.#namespace} type veth peer name p${number} index ${podWire} address ${podFar.text} netns ${wires}`,
			`link add eth0 index ${uplinkIndex} address ${uplink.text} netns ${this.#namespace} type veth peer name f${number} index ${farWire} address ${uplinkFar.text} netns ${wires}`,
		]);
		ipBatch([`link set p${number} up`, `link set f${number} up`], wires);
		const device =
			way === 'tunnelKey'
				? 'type vxlan external dstport 4789 nolearning'
				: `type vxlan id ${vni} dev eth0 local ${node} dstport 4789 nolearning`;
		ipBatch(
			[
				...['link set calia up', 'link set eth0 up', `addr add ${node}/24 dev eth0`],
				`neigh replace ${remoteNode} lladdr ${uplinkFar.text} dev eth0 nud permanent`,
				`route add ${pod}/32 dev calia`,
				`link add tunnel index ${tunnelIndex} ${device}`,
				...['link set tunnel up', `neigh replace ${gateway} lladdr ${remoteMac} dev tunnel nud permanent`],
				...Array.from(
					{ length: blocks },
					(_, index) => `route add ${blockOf(index)}/26 via ${gateway} dev tunnel onlink`,
				),
			],
			this.#namespace,
		);
		if (way !== 'tunnelKey')
			execFileSync('bridge', ['-n', this.#namespace, 'fdb', 'replace', remoteMac, 'dev', 'tunnel', 'dst', remoteNode], {
				env: systemEnvironment(),
			});
		this.#pod = new Wire(wires, podWire);
		this.#far = new Wire(wires, farWire);
		this.#closers.push(
			() => this.#pod.close(),
			() => this.#far.close(),
		);
		const [source, destination] = [parseAddress(pod), parseAddress(remotePod)];
		const packet = { source, destination, protocol: 17, sourcePort: 999, destinationPort: 5353 };
		this.#frame = ethernetFrame(podFar.bytes, podEnd.bytes, ipPacket(packet));
	}

	async prepare(): Promise<void> {
		if (this.tracked) await inside(this.#namespace, () => loadRuleset(trackingTable));
		if (this.way === 'routes') return;
		const map = BpfMap.create(routesMap);
		for (let index = 0; index < blocks; index++) {
			const key = Uint8Array.from([26, 0, 0, 0, ...parseAddress(blockOf(index)).bytes]);
			// Of the far node the number is in the machine's order.
			map.set(key, Uint8Array.from([...[...parseAddress(remoteNode).bytes].reverse(), ...macBytes(remoteMac), 0, 0]));
		}
		const program = LoadedProgram.load(compile(this.way), {
			...{ name: `bench_${this.way}`, type: 'schedClassifier', maps: new Map([[routesMap.name, map]]) },
		});
		const attacher = new TcxAttacher({ inside: (act) => inside(this.#namespace, act) });
		await attacher.set({ interfaceIndex: podIndex, interfaceName: 'calia', hook: 'ingress' }, program);
		program.close();
		this.#closers.unshift(
			() => attacher.close(),
			() => map.close(),
		);
	}

	/** @throws Error when packets do not arrive in the tunnel */
	measure(packets: number): void {
		this.#send(10);
		this.#figures.push(this.#send(packets));
	}

	#send(count: number): number {
		const before = process.cpuUsage();
		for (let index = 0; index < count; index++) this.#pod.send(this.#frame);
		const { user, system } = process.cpuUsage(before);
		let arrived = 0;
		for (let frame = this.#far.receive(); frame !== undefined; frame = this.#far.receive())
			if (frame.length === this.#frame.length + 50 && frame[23] === 17) arrived++;
		if (arrived < count / 2) throw new Error(`${this.way}: ${arrived} of ${count} packets arrived in the tunnel`);
		return (user + system) / count;
	}

	get result(): TunnelResult {
		const sorted = [...this.#figures].sort((a, b) => a - b);
		return {
			...{ way: this.way, tracked: this.tracked },
			...{ leastUs: round(sorted[0] ?? 0), medianUs: round(sorted[sorted.length >> 1] ?? 0) },
		};
	}

	close(): void {
		for (const close of this.#closers.reverse()) close();
	}
}

/** All ways in turn, without and with the kernel's connection tracking. */
export async function benchTunnel({
	packets,
	rounds,
}: {
	readonly packets: number;
	readonly rounds: number;
}): Promise<TunnelResult[]> {
	const wires = openWireNamespace(`bmt${process.pid}w`);
	const nodes: Node[] = [];
	try {
		for (const tracked of [false, true])
			for (const way of ways) {
				const one = new Node(way, tracked, `bmt${process.pid}w`, nodes.length);
				nodes.push(one);
				await one.prepare();
			}
		for (let round = 0; round < rounds; round++) for (const one of nodes) one.measure(packets);
		return nodes.map(({ result }) => result);
	} finally {
		for (const one of nodes) one.close();
		wires.close();
	}
}
