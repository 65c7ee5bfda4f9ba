import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4, r5 } from '../assembly/instruction.ts';
import { emitAge } from '../policy/connection.ts';
import { packetRegister, protocolRegister } from '../policy/frame.ts';
import { SocketLayout } from './maps.ts';
import { type NatDirect, optOutSources } from './nat-direct.ts';
import { copyWords, emitEndpoint, emitFlowKey, type NatFrame, tcpProtocol, udpProtocol } from './nat-frame.ts';
import { NatFlowFlag, NatFrontendFlag, NatLayout, natSet, podSources } from './nat-maps.ts';
import { bothFins, emitExpire, emitTcpFlags, nanoseconds, natTimeoutSeconds, Tcp } from './nat-time.ts';

/** `__sk_buff.mark`. */
const markAt = 8;

/**
 * Packets from outside: the backend that a packet goes to, in `chosen`. Goes on behind it where the
 * packet is to be translated, else at the labels `pass` and `drop`.
 */
export class NatIngress {
	readonly #assembler: Assembler;
	readonly #frame: NatFrame;
	readonly #masqueradeMark: number;
	readonly #direct: NatDirect | undefined;
	readonly #arrivals: boolean;

	/** Options: see `NatProgramOptions`. */
	constructor(
		assembler: Assembler,
		frame: NatFrame,
		{ masqueradeMark, arrivals }: { readonly masqueradeMark: number; readonly arrivals: boolean },
		direct: NatDirect | undefined,
	) {
		this.#direct = direct;
		this.#arrivals = arrivals;
		this.#assembler = assembler;
		this.#frame = frame;
		this.#masqueradeMark = masqueradeMark;
	}

	/** From outside: a packet of a known connection, or the first of one to a service. */
	emit(family: Family, stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { source, destination, transport, flow, asked } = this.#frame;
		emitEndpoint(assembler, asked, family, { address: destination, port: transport + 2 });
		const ports = { sourcePort: transport, destinationPort: transport + 2 };
		emitFlowKey(assembler, flow, family, { source, destination, ...ports });
		assembler.lookup('nat_flows', flow).jumpIf(r0, '==', imm(0), stem('fresh'));
		this.#knownFlow(stem);
		assembler.label(stem('fresh'));
		this.#direct?.known(family, stem);
		this.#freshFlow(family, stem);
	}

	/** Register 0: the value of the flow. Goes on at `translate`, `pass` or `fresh`. */
	#knownFlow(stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { now, transport, chosen } = this.#frame;
		const at = NatLayout.flowValue;
		const [other, use] = [stem('known-other'), stem('known-use')];
		emitAge(assembler, now);
		assembler.load('w', r3, r0, at.flags);
		// Register 5: the packet may be the first that conntrack sees.
		assembler.mov(r5, imm(0)).jumpIf(protocolRegister, '!=', imm(tcpProtocol), other);
		assembler
			.load('b', r4, fp, transport + 13)
			.mov(r2, r4)
			.op('and', r2, imm(Tcp.syn | Tcp.ack));
		assembler.when(r2, '==', imm(Tcp.syn), () => {
			assembler.mov(r5, imm(1));
			assembler.mov(r2, r3).op('and', r2, imm(bothFins)).jumpIf(r2, '==', imm(bothFins), stem('fresh'));
			assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.reset)).jumpIf(r2, '!=', imm(0), stem('fresh'));
			emitExpire(assembler, natTimeoutSeconds.tcpUnanswered, natTimeoutSeconds.tcpEstablished, stem('fresh'));
		});
		emitTcpFlags(assembler, NatFlowFlag.finOfClient);
		assembler.jump(use);
		assembler.label(other);
		emitExpire(assembler, natTimeoutSeconds.udpUnanswered, natTimeoutSeconds.udpAnswered, stem('fresh'));
		assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.answered));
		assembler.when(r2, '==', imm(0), () => assembler.mov(r5, imm(1)));
		assembler.loadWide(r2, nanoseconds(natTimeoutSeconds.udpRemark));
		assembler.when(r1, '>', r2, () => assembler.mov(r5, imm(1)));
		assembler.label(use).load('dw', r1, fp, now).store('dw', r0, 0, r1).store('w', r0, at.flags, r3);
		assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.left)).jumpIf(r2, '!=', imm(0), 'pass');
		for (let offset = 0; offset < SocketLayout.endpoint.bytes; offset += 8)
			assembler.load('dw', r1, r0, at.backend + offset).store('dw', fp, chosen + offset, r1);
		assembler.jumpIf(r5, '==', imm(0), stem('translate'));
		assembler.op('and', r3, imm(NatFlowFlag.masquerade)).jumpIf(r3, '==', imm(0), stem('translate'));
		this.#mark();
		assembler.jump(stem('translate'));
	}

	/** The first packet of a connection: a backend is chosen. */
	#freshFlow(family: Family, stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { source, transport, flow, reverse, value, asked, chosen, now, scratch } = this.#frame;
		const slots = ['pool', 'count', 'affinity', 'flags'].map((name) => assembler.slot(name, 8));
		const [pool, count, affinity, flags] = slots as [number, number, number, number];
		assembler.when(protocolRegister, '==', imm(tcpProtocol), () => {
			assembler.load('b', r1, fp, transport + 13).op('and', r1, imm(Tcp.syn | Tcp.ack | Tcp.fin | Tcp.reset));
			assembler.jumpIf(r1, '!=', imm(Tcp.syn), 'pass');
		});
		this.#frontend(stem);
		const at = NatLayout.frontend;
		assembler.load('dw', r1, r0, 0).store('dw', fp, pool, r1);
		assembler.load('w', r1, r0, at.count).store('dw', fp, count, r1);
		assembler.load('w', r1, r0, at.affinity).store('dw', fp, affinity, r1);
		assembler.load('w', r1, r0, at.flags).store('dw', fp, flags, r1);
		assembler.load('dw', r1, r0, at.ranges).store('dw', fp, value, r1);
		// Pods have actions of their own.
		this.#sourceKey(family, () => assembler.loadWide(r1, natSet(podSources, family === 'ipv4' ? 4 : 6)));
		assembler.lookup('nat_sources', scratch + 4).jumpIf(r0, '!=', imm(0), 'pass');
		assembler.load('dw', r1, fp, flags).op('and', r1, imm(NatFrontendFlag.ranged));
		assembler.when(r1, '!=', imm(0), () => {
			this.#sourceKey(family, () => assembler.load('dw', r1, fp, value));
			assembler.lookup('nat_sources', scratch + 4).jumpIf(r0, '==', imm(0), 'drop');
		});
		assembler.load('dw', r1, fp, flags).op('and', r1, imm(NatFrontendFlag.drop)).jumpIf(r1, '!=', imm(0), 'drop');
		this.#choose({ pool, count, affinity }, stem);
		this.#begin(family, flags, stem);
		// From here on `value` is that of the flow.
		assembler.load('dw', r1, fp, now).store('dw', fp, value, r1);
		copyWords(assembler, value + NatLayout.flowValue.backend, chosen, SocketLayout.endpoint.bytes);
		this.#hairpin(family, flags);
		assembler.load('dw', r1, fp, flags).op('and', r1, imm(NatFrontendFlag.masquerade)).mov(r2, imm(0));
		assembler.when(r1, '!=', imm(0), () => assembler.mov(r2, imm(NatFlowFlag.masquerade)));
		if (this.#arrivals) assembler.op('or', r2, imm(NatFlowFlag.arrived));
		assembler.store('dw', fp, value + NatLayout.flowValue.flags, r2);
		const ports = { sourcePort: chosen + SocketLayout.endpoint.port, destinationPort: transport };
		emitFlowKey(assembler, reverse, family, { source: chosen, destination: source, ...ports });
		this.#requireFree(family, stem);
		assembler.update('nat_reverse', reverse, asked).update('nat_flows', flow, value);
		assembler.load('w', r1, fp, value + NatLayout.flowValue.flags).op('and', r1, imm(NatFlowFlag.masquerade));
		assembler.jumpIf(r1, '==', imm(0), stem('translate'));
		this.#mark();
	}

	/** Register 0: the value of the frontend. */
	#frontend(stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { asked, scratch } = this.#frame;
		if (!this.#arrivals) {
			assembler.lookup('nat_frontends', asked).jumpIf(r0, '==', imm(0), 'pass');
			return;
		}
		// A node port of whichever node has sent the packet here.
		const found = stem('arrival');
		assembler.lookup('nat_arrivals', asked).jumpIf(r0, '!=', imm(0), found);
		copyWords(assembler, scratch, asked, SocketLayout.endpoint.bytes);
		assembler.zero(scratch, 16).lookup('nat_arrivals', scratch).jumpIf(r0, '==', imm(0), 'pass').label(found);
	}

	/**
	 * Direct server return: the packet goes to the node of its backend as it is, and a backend of
	 * this node sees its source. Others and clients that are left out are masqueraded.
	 */
	#begin(family: Family, flags: number, stem: (name: string) => string): void {
		if (this.#direct === undefined) return;
		const assembler = this.#assembler;
		const here = stem('direct-here');
		assembler.load('dw', r1, fp, flags).op('and', r1, imm(NatFrontendFlag.direct)).jumpIf(r1, '==', imm(0), here);
		this.#sourceKey(family, () => assembler.loadWide(r1, natSet(optOutSources, family === 'ipv4' ? 4 : 6)));
		assembler.lookup('nat_sources', this.#frame.scratch + 4).jumpIf(r0, '!=', imm(0), here);
		this.#direct.begin(family, here, () => {
			assembler.load('dw', r1, fp, flags).op('and', r1, imm(~NatFrontendFlag.masquerade)).store('dw', fp, flags, r1);
		});
		assembler.label(here);
	}

	/**
	 * A backend of the pool to `chosen`: that of the client's previous connection, or one at random.
	 */
	#choose(
		{ pool, count, affinity }: { readonly pool: number; readonly count: number; readonly affinity: number },
		stem: (name: string) => string,
	): void {
		const assembler = this.#assembler;
		const { source, chosen, now, scratch } = this.#frame;
		const [draw, picked] = [stem('draw'), stem('picked')];
		const clientKey = () => {
			assembler.load('dw', r1, fp, pool).store('dw', fp, scratch, r1);
			copyWords(assembler, scratch + NatLayout.client.address, source, 16);
		};
		assembler.load('dw', r1, fp, affinity).jumpIf(r1, '==', imm(0), draw);
		clientKey();
		assembler.lookup('nat_affinity', scratch).jumpIf(r0, '==', imm(0), draw);
		emitAge(assembler, now);
		assembler.load('dw', r2, fp, affinity).loadWide(r3, nanoseconds(1)).op('mul', r2, r3).jumpIf(r1, '>', r2, draw);
		for (let offset = 0; offset < SocketLayout.endpoint.bytes; offset += 8)
			assembler.load('dw', r1, r0, NatLayout.affinity.backend + offset).store('dw', fp, chosen + offset, r1);
		// A backend that left the pool is forgotten.
		assembler.load('dw', r1, fp, pool).store('dw', fp, scratch, r1);
		copyWords(assembler, scratch + SocketLayout.scoped.endpoint, chosen, SocketLayout.endpoint.bytes);
		assembler.lookup('svc_members', scratch).jumpIf(r0, '!=', imm(0), picked);
		assembler.label(draw).load('dw', r1, fp, count).jumpIf(r1, '==', imm(0), 'pass');
		assembler.call('random').op32('mov', r1, r0).load('dw', r2, fp, count).op('mod', r1, r2);
		assembler.store('dw', fp, scratch + SocketLayout.backend.index, r1);
		assembler.load('dw', r1, fp, pool).store('dw', fp, scratch, r1);
		// A backend that is gone since: nftables translates the packet.
		assembler.lookup('svc_backends', scratch).jumpIf(r0, '==', imm(0), 'pass');
		for (let offset = 0; offset < SocketLayout.endpoint.bytes; offset += 8)
			assembler.load('dw', r1, r0, offset).store('dw', fp, chosen + offset, r1);
		assembler.label(picked).load('dw', r1, fp, affinity);
		assembler.when(r1, '!=', imm(0), () => {
			clientKey();
			const remembered = scratch + 32;
			assembler.load('dw', r1, fp, now).store('dw', fp, remembered, r1);
			copyWords(assembler, remembered + NatLayout.affinity.backend, chosen, SocketLayout.endpoint.bytes);
			assembler.update('nat_affinity', scratch, remembered);
		});
	}

	/** A connection that returns to its source is masqueraded. */
	#hairpin(family: Family, flags: number): void {
		const assembler = this.#assembler;
		const { source, chosen } = this.#frame;
		const other = assembler.freshLabel(`${family}-other-host`);
		for (let at = 0; at < 16; at += 8)
			assembler
				.load('dw', r1, fp, source + at)
				.load('dw', r2, fp, chosen + at)
				.jumpIf(r1, '!=', r2, other);
		assembler.load('dw', r1, fp, flags).op('or', r1, imm(NatFrontendFlag.masquerade)).store('dw', fp, flags, r1);
		assembler.label(other);
	}

	/**
	 * Answers of the backend to this port of the client may belong to a connection by another address
	 * of the service. While that one lives, the new connection is left to nftables, which draws
	 * another port.
	 */
	#requireFree(family: Family, stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { source, transport, flow, reverse, value, asked, now, scratch } = this.#frame;
		const [free, differs] = [stem('free'), stem('differs')];
		const at = SocketLayout.endpoint;
		assembler.lookup('nat_reverse', reverse).jumpIf(r0, '==', imm(0), free);
		for (let offset = 0; offset < at.bytes; offset += 8)
			assembler
				.load('dw', r1, r0, offset)
				.load('dw', r2, fp, asked + offset)
				.jumpIf(r1, '!=', r2, differs);
		assembler.jump(free).label(differs);
		for (let offset = 0; offset < at.bytes; offset += 8)
			assembler.load('dw', r1, r0, offset).store('dw', fp, scratch + 40 + offset, r1);
		emitFlowKey(assembler, scratch, family, {
			...{ source, destination: scratch + 40, sourcePort: transport, destinationPort: scratch + 40 + at.port },
		});
		assembler.lookup('nat_flows', scratch).jumpIf(r0, '==', imm(0), free);
		assembler.load('w', r3, r0, NatLayout.flowValue.flags);
		emitAge(assembler, now);
		assembler.mov(r2, r3).op('and', r2, imm(bothFins)).jumpIf(r2, '==', imm(bothFins), free);
		assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.reset)).jumpIf(r2, '!=', imm(0), free);
		const udp = stem('rival-udp');
		const rival = stem('rival');
		assembler.jumpIf(protocolRegister, '==', imm(udpProtocol), udp);
		emitExpire(assembler, natTimeoutSeconds.tcpUnanswered, natTimeoutSeconds.tcpEstablished, free);
		assembler.jump(rival).label(udp);
		emitExpire(assembler, natTimeoutSeconds.udpUnanswered, natTimeoutSeconds.udpAnswered, free);
		assembler.label(rival).store('dw', fp, value + NatLayout.flowValue.flags, imm(NatFlowFlag.left));
		assembler.update('nat_flows', flow, value).jump('pass').label(free);
	}

	/** The mark of the packet, by which the rules masquerade. */
	#mark(): void {
		const assembler = this.#assembler;
		assembler.load('w', r1, packetRegister, markAt).op('or', r1, imm(this.#masqueradeMark));
		assembler.store('w', packetRegister, markAt, r1);
	}

	/**
	 * The source of the packet in the set that `set` loads into register 1; the key begins at
	 * `scratch + 4`.
	 */
	#sourceKey(family: Family, set: () => void): void {
		const assembler = this.#assembler;
		const { source, scratch } = this.#frame;
		assembler.store('w', fp, scratch + 4, imm(64 + (family === 'ipv4' ? 32 : 128)));
		set();
		assembler.store('dw', fp, scratch + 4 + NatLayout.source.set, r1);
		copyWords(assembler, scratch + 4 + NatLayout.source.address, source, 16);
	}
}
