import type { Family } from '../../core/index.ts';
import { type Direction, HostMark, type NodeSettings } from '../../policy/index.ts';
import { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3 } from '../assembly/instruction.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { type ConnectionOptions, emitFindConnection, emitIcmpError, emitLaterFragment, Flag } from './connection.ts';
import { emitEarlyEnds } from './early-ends.ts';
import { emitReadPacket, entryVerdict } from './entry-common.ts';
import {
	destinationPortRegister,
	ethernetBytes,
	type Frame,
	makeFrame,
	packetRegister,
	sourcePortRegister,
} from './frame.ts';
import { emitToRules } from './hand-over.ts';
import { type EarlyStage, emitEarlyVerdict, emitFailsafe, emitHostDiscovery, PacketField } from './host-common.ts';
import type { HostEntryOptions } from './host-entry.ts';
import { earlyFragments, rulesNumber } from './maps.ts';
import { emitDispatch } from './parse.ts';
import { emitBeginEvent, emitDecide, type VerdictOptions } from './verdict.ts';

export interface HostEarlyOptions extends Pick<HostEntryOptions, 'link'> {
	readonly stage: EarlyStage;
	/** preDNAT policy has no egress. */
	readonly direction: Direction;
	readonly settings: Pick<NodeSettings, 'failsafeInbound' | 'failsafeOutbound'>;
}

/**
 * The program of an early stage of host endpoints: doNotTrack policy judges every packet, preDNAT
 * policy the first one of a connection, before services are translated. What is allowed gets a
 * mark, with which the programs behind let it pass; what no rule matches goes on to these. Pure.
 */
export const compileHostEarly = (options: HostEarlyOptions): AssembledProgram =>
	new HostEarlyCompiler(options).compile();

class HostEarlyCompiler {
	readonly #options: HostEarlyOptions;
	readonly #assembler = new Assembler();
	readonly #frame: Frame;
	readonly #verdict: VerdictOptions;

	constructor(options: HostEarlyOptions) {
		this.#options = options;
		this.#frame = makeFrame(this.#assembler, options.link === 'ethernet' ? ethernetBytes : 0);
		this.#verdict = entryVerdict(this.#assembler, this.#frame, options.direction);
	}

	compile(): AssembledProgram {
		const { stage, direction } = this.#options;
		const assembler = this.#assembler;
		assembler.label('begin').mov(packetRegister, r1);
		// The tag belongs to another interface, whose endpoint judges the packet.
		assembler.load('w', r2, r1, PacketField.vlanPresent).jumpIf(r2, '!=', imm(0), 'leave');
		if (direction === 'egress') {
			// What is forwarded was judged where it came in.
			assembler.load('w', r2, r1, PacketField.ingressInterface).jumpIf(r2, '!=', imm(0), 'leave');
		}
		this.#clearMark();
		assembler.mov(r1, packetRegister);
		emitDispatch(assembler, { ipv4: 'ipv4', ipv6: 'ipv6', arp: 'leave', other: 'leave' });
		for (const family of ['ipv4', 'ipv6'] as const) this.#family(family);
		emitEarlyEnds(this.#verdict, stage);
		return assembler.assemble();
	}

	/** Another interface, or a program of this host, may have left a mark. */
	#clearMark(): void {
		const { stage } = this.#options;
		const assembler = this.#assembler;
		const unmarked = 'unmarked';
		const bits = HostMark.untracked | HostMark.allowedBeforeDnat;
		assembler.load('w', r2, packetRegister, PacketField.mark).op('and', r2, imm(bits));
		assembler.jumpIf(r2, '==', imm(0), unmarked);
		if (stage === 'pre-dnat') {
			const { endpoint } = this.#frame;
			emitEarlyVerdict(assembler, { endpoint, at: 'in', of: 'untracked', otherwise: 'not-untracked' });
			assembler.jump('leave').label('not-untracked');
		}
		assembler.load('w', r2, packetRegister, PacketField.mark).op32('and', r2, imm(~bits));
		assembler.store('w', packetRegister, PacketField.mark, r2).label(unmarked);
	}

	#family(family: Family): void {
		const { stage, direction } = this.#options;
		const assembler = this.#assembler;
		const frame = this.#frame;
		const stem = (name: string) => `${family}-${name}`;
		const connection: ConnectionOptions = {
			...{ assembler, frame, family, fragments: earlyFragments[stage] },
			...(stage === 'pre-dnat' ? { host: 'early' } : {}),
		};
		const targets = emitReadPacket(connection);
		if (family === 'ipv6') emitHostDiscovery(assembler, 'leave');
		if (stage === 'pre-dnat') {
			const known = stem('known-early');
			emitFindConnection(connection, { ...targets, established: known });
			emitIcmpError(connection, { ...targets, established: 'leave' });
			// Register 3: the flags of the connection.
			assembler.label(known).op('and', r3, imm(Flag.allowed)).jumpIf(r3, '!=', imm(0), 'allowed').jump('goes-on');
			assembler.label(targets.invalid).store('dw', fp, frame.tracked, imm(0)).label(targets.fresh);
		} else {
			assembler.zero(frame.connection, 48).store('dw', fp, frame.tracked, imm(0));
			assembler.call('ktimeGetNs').store('dw', fp, frame.now, r0);
		}
		const rules = rulesNumber(direction, stage);
		emitBeginEvent(assembler, frame, family, rules);
		this.#failsafes(family);
		emitToRules(assembler, frame, { family, rules, otherwise: 'drop' });
		assembler.label(stem('later-fragment'));
		emitLaterFragment(connection, stem('later-known'), 'drop');
		assembler.label(stem('later-known')).load('dw', r1, r0, 0).op('and', r1, imm(1));
		assembler.jumpIf(r1, '!=', imm(0), 'mark').jump('leave');
	}

	/** Allowed in preDNAT; in doNotTrack both directions go on to what tracks them. */
	#failsafes(family: Family): void {
		const { stage, direction, settings } = this.#options;
		const { source, destination } = this.#frame;
		const assembler = this.#assembler;
		const [own, others] =
			direction === 'ingress'
				? [settings.failsafeInbound, settings.failsafeOutbound]
				: [settings.failsafeOutbound, settings.failsafeInbound];
		const peer = direction === 'ingress' ? source : destination;
		const [found, none] = [assembler.freshLabel('failsafe'), assembler.freshLabel('no-failsafe')];
		emitFailsafe({ assembler, family, ports: own, peer, port: destinationPortRegister }, found);
		if (stage === 'untracked')
			emitFailsafe({ assembler, family, ports: others, peer, port: sourcePortRegister }, found);
		assembler.jump(none).label(found);
		if (stage === 'untracked') assembler.jump('goes-on');
		else emitDecide(this.#verdict, { type: 'failsafe' }, 'allow');
		assembler.label(none);
	}
}
