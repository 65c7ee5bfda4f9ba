/** What the programs of host endpoints, early stages included, have in common. */
import { type Family, parsePrefix } from '../../core/index.ts';
import { type FailsafePort, HostMark } from '../../policy/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, type Register, r0, r1, r2 } from '../assembly/instruction.ts';
import { destinationPortRegister, emitInPrefix, packetRegister, protocolRegister } from './frame.ts';
import { rulesNumber } from './maps.ts';

/** Offsets in `__sk_buff`. */
export const PacketField = { mark: 8, vlanPresent: 20, ingressInterface: 36, interface: 40 } as const;
/** IANA protocol number. */
const icmp6 = 58;
/** RFC 4861, RFC 2710, RFC 3810: the kernel tracks none of these. */
const discovery = { first: 130, last: 136, listenerReport: 143 } as const;

/** Bits of the mark by stage. */
export const earlyMarks = { untracked: HostMark.untracked, 'pre-dnat': HostMark.allowedBeforeDnat } as const;
/** Stages that judge before all others. */
export type EarlyStage = keyof typeof earlyMarks;

/** Neighbour discovery and MLD of an interface of the host jump to `then`. */
export function emitHostDiscovery(assembler: Assembler, then: string): void {
	const no = 'ipv6-no-discovery';
	assembler.jumpIf(protocolRegister, '!=', imm(icmp6), no);
	assembler.jumpIf(destinationPortRegister, '==', imm(discovery.listenerReport), then);
	assembler.jumpIf(destinationPortRegister, '<', imm(discovery.first), no);
	assembler.jumpIf(destinationPortRegister, '<=', imm(discovery.last), then).label(no);
}

export interface FailsafeOptions {
	readonly assembler: Assembler;
	readonly family: Family;
	readonly ports: readonly FailsafePort[];
	/** The address of the other end, on the stack. */
	readonly peer: number;
	/** The port that is compared. */
	readonly port: Register;
}

/** Jumps to `found` for a failsafe port, else goes on. */
export function emitFailsafe({ assembler, family, ports, peer, port }: FailsafeOptions, found: string): void {
	for (const { protocol, port: number, net } of ports) {
		const prefix = net === undefined ? undefined : parsePrefix(net);
		if (prefix !== undefined && prefix.family !== family) continue;
		const next = assembler.freshLabel('next-failsafe');
		assembler.jumpIf(protocolRegister, '!=', imm(protocol), next);
		assembler.jumpIf(port, '!=', imm(number), next);
		if (prefix === undefined) assembler.jump(found);
		else emitInPrefix(assembler, peer, prefix, found);
		assembler.label(next);
	}
}

/**
 * Jumps to `otherwise` unless an early stage allowed the packet: its mark has the bit, and the
 * interface has this stage. The mark of a packet outlives its tunnel's header, whose interface may
 * be another one. `at`: the interface that the packet came by, or that it leaves by and starts
 * before. `endpoint`: a slot of the stack. Loses registers 0 to 5.
 */
export function emitEarlyVerdict(
	assembler: Assembler,
	{
		endpoint,
		at,
		of,
		otherwise,
	}: { readonly endpoint: number; readonly at: 'in' | 'out'; readonly of: EarlyStage; readonly otherwise: string },
): void {
	assembler.load('w', r2, packetRegister, PacketField.mark).op('and', r2, imm(earlyMarks[of]));
	assembler.jumpIf(r2, '==', imm(0), otherwise);
	assembler.load('w', r1, packetRegister, at === 'in' ? PacketField.ingressInterface : PacketField.interface);
	assembler.store('w', fp, endpoint, r1);
	assembler.store('w', fp, endpoint + 4, imm(rulesNumber(at === 'in' ? 'ingress' : 'egress', of)));
	assembler.lookup('endpoints', endpoint).jumpIf(r0, '==', imm(0), otherwise);
}
