import type { Config } from '../../config/index.ts';
import { type Logger, systemClock } from '../../core/index.ts';
import { loadRuleset } from '../../linux/index.ts';
import { HandoverTable, NftablesServices, ServiceConntrack } from '../../nftables/index.ts';
import { type ConntrackKernel, findOtherProxy, type OtherProxy } from '../../services/index.ts';
import { readProxySigns } from './other-proxy.ts';
import { ServicesWithSockets } from './sockets.ts';

/** The tables of connections: the kernel's, and the maps of programs. */
export type ClosableConntrack = ConntrackKernel & Pick<ServiceConntrack, 'close' | 'connections'>;

/** The programmer of Services on this node, or the reason why there is none. */
export interface OpenedServiceKernel {
	readonly kernel?: ServicesWithSockets;
	readonly conntrack?: ClosableConntrack;
	readonly handover?: HandoverTable;
	/** Another proxy is on this node. */
	readonly refusal?: OtherProxy;
}

/** The kernel side of Services, unless another proxy is active. */
export async function openServiceKernel(
	{ besideOthers }: Pick<Config['services'], 'besideOthers'>,
	log: Logger,
): Promise<OpenedServiceKernel> {
	const refusal = besideOthers ? undefined : findOtherProxy(await readProxySigns());
	if (refusal === undefined) return serviceKernel();
	log.error('Services not programmed: another service proxy is on this node', {
		seen: refusal.seen,
		hint: refusal.hint,
	});
	return { refusal };
}

/** The kernel side of Services: nftables and the table of connections. @throws SystemCallError */
export function serviceKernel(): {
	readonly kernel: ServicesWithSockets;
	readonly conntrack: ClosableConntrack;
	readonly handover: HandoverTable;
} {
	const load = loadRuleset;
	const kernel = new ServicesWithSockets(new NftablesServices({ load }));
	return {
		kernel,
		conntrack: withPrograms(new ServiceConntrack(), kernel),
		handover: new HandoverTable({ load, clock: systemClock }),
	};
}

const withPrograms = (conntrack: ServiceConntrack, programs: ServicesWithSockets): ClosableConntrack => ({
	udpFlows: async () => [...(await conntrack.udpFlows()), ...programs.udpFlows()],
	remove: async (flows) => (await conntrack.remove(flows)) + programs.removeFlows(flows),
	connections: async () => [...(await conntrack.connections()), ...programs.connections()],
	close: () => conntrack.close(),
});
