import { parseAddress } from '../../src/core/index.ts';
import { journey, type NodePolicy, type Packet, ProtocolNumber } from '../../src/policy/index.ts';
import type { CellRequest, Outcome, PolicyBackend } from './backend.ts';
import type { PreparedStep } from './cluster.ts';

/** The interface by which a node of a table reaches other hosts. */
export const uplink = 'eth0';

const protocols: Readonly<Record<string, number>> = {
	TCP: ProtocolNumber.TCP,
	UDP: ProtocolNumber.UDP,
	SCTP: ProtocolNumber.SCTP,
	ICMP: ProtocolNumber.ICMP,
	ICMPv6: ProtocolNumber.ICMPv6,
};

/** The packet of a cell. */
export function packetOf({ from, to, probe }: CellRequest): Packet {
	const protocol = protocols[probe.protocol];
	if (protocol === undefined) throw new Error(`the probe's protocol ${probe.protocol} is unknown`);
	return {
		source: parseAddress(from.address),
		destination: parseAddress(to.address),
		protocol,
		sourcePort: probe.sport ?? 45_678,
		destinationPort: probe.port ?? 0,
		...(probe.type === undefined ? {} : { icmp: { type: probe.type, code: probe.code ?? 0 } }),
	};
}

/** The semantics of the representation, without any kernel. */
export class EvaluateBackend implements PolicyBackend {
	#nodes: ReadonlyMap<string, NodePolicy> = new Map();

	async begin(): Promise<void> {
		this.#nodes = new Map();
	}

	async apply({ nodes }: PreparedStep): Promise<void> {
		this.#nodes = new Map([...nodes].map(([name, { policy }]) => [name, policy]));
	}

	async probe(cells: readonly CellRequest[]): Promise<readonly Outcome[]> {
		return cells.map((cell): Outcome => {
			const { sender, deniedBySender, deniedByReceiver } = journey(cell.from.place, cell.to.place, packetOf(cell), {
				nodes: this.#nodes,
				uplinkOf: () => uplink,
			});
			// The tables count both sides, except after preDNAT policy, which drops before any
			// other evaluation.
			if (sender.at(-1)?.stage === 'pre-dnat' && deniedBySender) return 'e';
			if (deniedBySender) return deniedByReceiver ? 'x' : 'e';
			return deniedByReceiver ? 'i' : '.';
		});
	}

	async close(): Promise<void> {}
}
