import { formatAddress } from '../../core/index.ts';
import { Conntrack, type Flow, FlowStatus, TcpState } from '../../linux/index.ts';
import type { ConnectionsKernel, ConntrackFlow, ConntrackKernel, ServiceConnections } from '../../services/index.ts';
import { protocolNumbers } from './elements.ts';

/** A UDP flow as the decision sees it, with the entry of the kernel that it stands for. */
interface KernelFlow extends ConntrackFlow {
	readonly entry: Flow;
}

/** The kernel's connection table, in the network namespace that this was made in. */
export class ServiceConntrack implements ConntrackKernel, ConnectionsKernel {
	readonly #conntrack = new Conntrack();

	close(): void {
		this.#conntrack.close();
	}

	async udpFlows(): Promise<readonly ConntrackFlow[]> {
		const flows: KernelFlow[] = [];
		for (const family of ['ipv4', 'ipv6'] as const)
			for (const entry of await this.#conntrack.list(
				family,
				({ original }) => original.protocol === protocolNumbers.udp,
			))
				flows.push({
					protocol: 'udp',
					originalDestination: formatAddress(entry.original.destination),
					originalPort: entry.original.destinationPort,
					replySource: formatAddress(entry.reply.source),
					replyPort: entry.reply.sourcePort,
					entry,
				});
		return flows;
	}

	async connections(): Promise<readonly ServiceConnections[]> {
		const found = new Map<string, { -readonly [Key in keyof ServiceConnections]: ServiceConnections[Key] }>();
		for (const family of ['ipv4', 'ipv6'] as const)
			for (const { original, reply } of await this.#conntrack.list(family, isLive)) {
				const protocol = (['tcp', 'udp', 'sctp'] as const).find((name) => protocolNumbers[name] === original.protocol);
				if (protocol === undefined) continue;
				const connections = {
					protocol,
					destination: formatAddress(original.destination),
					destinationPort: original.destinationPort,
					backend: formatAddress(reply.source),
					backendPort: reply.sourcePort,
					count: 1,
				};
				const key = JSON.stringify(connections);
				const known = found.get(key);
				if (known === undefined) found.set(key, connections);
				else known.count++;
			}
		return [...found.values()];
	}

	remove(flows: readonly ConntrackFlow[]): Promise<number> {
		// What is not of `udpFlows` has no entry that could be deleted.
		return this.#conntrack.remove(flows.flatMap((flow) => ('entry' in flow ? [(flow as KernelFlow).entry] : [])));
	}
}

const isLive = ({ status, tcpState = 0 }: Flow): boolean =>
	(status & FlowStatus.destinationNat) !== 0 && tcpState < TcpState.timeWait;
