import type { Direction, DirectionPolicy, HostEndpoint } from '../../policy/index.ts';
import type { EarlyStage } from './host-common.ts';

/** A program of an early stage at a hook of an interface. */
export interface EarlyProgram {
	readonly stage: EarlyStage;
	readonly direction: Direction;
	/** Of the program in the kernel. */
	readonly name: string;
}

/** In the order in which a packet meets them. */
export const earlyPrograms: readonly EarlyProgram[] = [
	{ stage: 'untracked', direction: 'ingress', name: 'host_raw_in' },
	{ stage: 'untracked', direction: 'egress', name: 'host_raw_out' },
	{ stage: 'pre-dnat', direction: 'ingress', name: 'host_pre' },
];

/** The policy of an endpoint at an early stage; `undefined`: it has none there. Pure. */
export function earlyPolicy(
	{ preDnat, untracked }: Pick<HostEndpoint, 'preDnat' | 'untracked'>,
	{ stage, direction }: EarlyProgram,
): DirectionPolicy | undefined {
	const policy = stage === 'untracked' ? untracked[direction] : preDnat.ingress;
	return policy.tiers.length > 0 ? policy : undefined;
}

/** Has the endpoint a policy that judges before services are translated? Pure. */
export const hasEarlyPolicy = (host: Pick<HostEndpoint, 'preDnat' | 'untracked'>): boolean =>
	earlyPrograms.some((program) => earlyPolicy(host, program) !== undefined);
