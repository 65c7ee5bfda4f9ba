import type { Family } from '../../core/index.ts';
import { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4, r5 } from '../assembly/instruction.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { icmpOf, packetRegister, protocolRegister } from '../policy/frame.ts';
import { Layout } from '../policy/maps.ts';
import { emitDispatch, emitParseNetwork, emitParseTransport } from '../policy/parse.ts';
import { SocketLayout } from './maps.ts';
import {
	copyWords,
	emitEndpoint,
	emitFlowKey,
	emitReplaceAddress,
	emitReplaceEnd,
	makeNatFrame,
	type NatEnd,
	type NatFrame,
	tcpProtocol,
	udpProtocol,
} from './nat-frame.ts';
import { emitIcmpErrors } from './nat-icmp.ts';
import { NatFlowFlag, NatFrontendFlag, NatLayout, natSet, podSources } from './nat-maps.ts';

/**
 * Seconds without a packet after which a new packet begins a new connection; after conntrack's
 * defaults.
 */
export const natTimeoutSeconds = {
	tcpUnanswered: 120,
	tcpEstablished: 432_000,
	tcpFinished: 120,
	udpUnanswered: 30,
	udpAnswered: 180,
	/**
	 * The mark for masquerade is set again after so long: conntrack forgets a datagram without an
	 * answer after 30.
	 */
	udpRemark: 20,
	fragments: 30,
} as const;

/** TC_ACT_SHOT. */
const shot = 2;
const Tcp = { fin: 1, syn: 2, reset: 4, ack: 16 } as const;
const bothFins = NatFlowFlag.finOfClient | NatFlowFlag.finOfBackend;
const nanoseconds = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n;
/** `__sk_buff.mark`. */
const markAt = 8;

export interface NatProgramOptions {
	/**
	 * Of an interface to the outside: packets that come translate their destination, those that leave
	 * their source.
	 */
	readonly hook: 'ingress' | 'egress';
	/** Bit of the packet's mark by which the rules of nftables masquerade a connection. */
	readonly masqueradeMark: number;
}

/**
 * The translation of services at an interface to the outside. Packets that it does not know, and
 * those that it leaves to nftables, pass as they are. Pure.
 */
export const compileNatProgram = (options: NatProgramOptions): AssembledProgram => new NatCompiler(options).compile();

class NatCompiler {
	readonly #assembler = new Assembler();
	readonly #frame: NatFrame;
	readonly #options: NatProgramOptions;
	/** The end of a packet that is replaced. */
	readonly #end: NatEnd;

	constructor(options: NatProgramOptions) {
		this.#options = options;
		this.#frame = makeNatFrame(this.#assembler);
		this.#end = options.hook === 'ingress' ? 'destination' : 'source';
	}

	compile(): AssembledProgram {
		const assembler = this.#assembler;
		assembler.label('begin');
		emitDispatch(assembler, { ipv4: 'ipv4', ipv6: 'ipv6', arp: 'pass', other: 'pass' });
		for (const family of ['ipv4', 'ipv6'] as const) this.#family(family);
		assembler.label('pass').mov(r0, imm(-1)).exit();
		if (this.#options.hook === 'ingress') assembler.label('drop').mov(r0, imm(shot)).exit();
		return assembler.assemble();
	}

	#family(family: Family): void {
		const assembler = this.#assembler;
		const frame = this.#frame;
		const stem = (name: string) => `${family}-${name}`;
		const parse = { next: stem('parsed'), laterFragment: stem('later-fragment'), malformed: 'pass' };
		assembler.label(family);
		emitParseNetwork(assembler, frame, family, parse);
		emitParseTransport(assembler, frame, family, parse);
		assembler.label(stem('parsed')).jumpIf(protocolRegister, '==', imm(icmpOf(family)), stem('icmp-error'));
		assembler.jumpIf(protocolRegister, '==', imm(tcpProtocol), stem('either'));
		assembler.jumpIf(protocolRegister, '!=', imm(udpProtocol), 'pass').label(stem('either'));
		assembler.call('ktimeGetNs').store('dw', fp, frame.now, r0);
		if (this.#options.hook === 'ingress') this.#ingress(family, stem);
		else this.#egress(family, stem);
		assembler.label(stem('translate'));
		this.#keepFragments(family);
		emitReplaceEnd(assembler, frame, family, this.#end);
		assembler.jump('pass');
		assembler.label(stem('later-fragment'));
		this.#laterFragment(family);
		emitIcmpErrors(assembler, frame, family, this.#options.hook);
	}

	/** From outside: a packet of a known connection, or the first of one to a service. */
	#ingress(family: Family, stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { source, destination, transport, flow, asked } = this.#frame;
		emitEndpoint(assembler, asked, family, { address: destination, port: transport + 2 });
		const ports = { sourcePort: transport, destinationPort: transport + 2 };
		emitFlowKey(assembler, flow, family, { source, destination, ...ports });
		assembler.lookup('nat_flows', flow).jumpIf(r0, '==', imm(0), stem('fresh'));
		this.#knownFlow(stem);
		assembler.label(stem('fresh'));
		this.#freshFlow(family, stem);
	}

	/** Register 0: the value of the flow. Goes on at `translate`, `pass` or `fresh`. */
	#knownFlow(stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { now, transport, chosen } = this.#frame;
		const at = NatLayout.flowValue;
		const [other, use] = [stem('known-other'), stem('known-use')];
		assembler.load('dw', r1, fp, now).load('dw', r2, r0, 0).op('sub', r1, r2).load('w', r3, r0, at.flags);
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
			this.#expire(natTimeoutSeconds.tcpUnanswered, natTimeoutSeconds.tcpEstablished, stem('fresh'));
		});
		this.#tcpFlags(NatFlowFlag.finOfClient);
		assembler.jump(use);
		assembler.label(other);
		this.#expire(natTimeoutSeconds.udpUnanswered, natTimeoutSeconds.udpAnswered, stem('fresh'));
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

	/**
	 * Register 1: nanoseconds since the last packet, register 3: flags. Jumps when that is too long
	 * ago.
	 */
	#expire(unanswered: number, answered: number, expired: string): void {
		const assembler = this.#assembler;
		assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.answered));
		const check = assembler.freshLabel('idle');
		const isAnswered = assembler.freshLabel('answered');
		assembler.jumpIf(r2, '!=', imm(0), isAnswered).loadWide(r2, nanoseconds(unanswered)).jump(check);
		assembler.label(isAnswered).loadWide(r2, nanoseconds(answered));
		assembler.label(check).jumpIf(r1, '>', r2, expired);
	}

	/**
	 * FIN and RST of the packet (flags in register 4) into the flags of the flow in register 3. Loses
	 * register 2.
	 */
	#tcpFlags(fin: number): void {
		const assembler = this.#assembler;
		for (const [bit, flag] of [
			[Tcp.fin, fin],
			[Tcp.reset, NatFlowFlag.reset],
		] as const) {
			assembler.mov(r2, r4).op('and', r2, imm(bit));
			assembler.when(r2, '!=', imm(0), () => assembler.op('or', r3, imm(flag)));
		}
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
		assembler.lookup('nat_frontends', asked).jumpIf(r0, '==', imm(0), 'pass');
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
		// From here on `value` is that of the flow.
		assembler.load('dw', r1, fp, now).store('dw', fp, value, r1);
		copyWords(assembler, value + NatLayout.flowValue.backend, chosen, SocketLayout.endpoint.bytes);
		this.#hairpin(family, flags);
		assembler.load('dw', r1, fp, flags).op('and', r1, imm(NatFrontendFlag.masquerade)).mov(r2, imm(0));
		assembler.when(r1, '!=', imm(0), () => assembler.mov(r2, imm(NatFlowFlag.masquerade)));
		assembler.store('dw', fp, value + NatLayout.flowValue.flags, r2);
		const ports = { sourcePort: chosen + SocketLayout.endpoint.port, destinationPort: transport };
		emitFlowKey(assembler, reverse, family, { source: chosen, destination: source, ...ports });
		this.#requireFree(family, stem);
		assembler.update('nat_reverse', reverse, asked).update('nat_flows', flow, value);
		assembler.load('w', r1, fp, value + NatLayout.flowValue.flags).op('and', r1, imm(NatFlowFlag.masquerade));
		assembler.jumpIf(r1, '==', imm(0), stem('translate'));
		this.#mark();
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
		assembler.load('dw', r2, r0, 0).load('dw', r1, fp, now).op('sub', r1, r2);
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
		assembler.load('dw', r1, fp, now).load('dw', r2, r0, 0).op('sub', r1, r2);
		assembler.mov(r2, r3).op('and', r2, imm(bothFins)).jumpIf(r2, '==', imm(bothFins), free);
		assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.reset)).jumpIf(r2, '!=', imm(0), free);
		const udp = stem('rival-udp');
		const rival = stem('rival');
		assembler.jumpIf(protocolRegister, '==', imm(udpProtocol), udp);
		this.#expire(natTimeoutSeconds.tcpUnanswered, natTimeoutSeconds.tcpEstablished, free);
		assembler.jump(rival).label(udp);
		this.#expire(natTimeoutSeconds.udpUnanswered, natTimeoutSeconds.udpAnswered, free);
		assembler.label(rival).store('dw', fp, value + NatLayout.flowValue.flags, imm(NatFlowFlag.left));
		assembler.update('nat_flows', flow, value).jump('pass').label(free);
	}

	/** To the outside: an answer of a backend gets the address of the service. */
	#egress(family: Family, stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { source, destination, transport, flow, reverse, chosen, now } = this.#frame;
		const at = NatLayout.flowValue;
		const { endpoint } = SocketLayout;
		const ports = { sourcePort: transport, destinationPort: transport + 2 };
		emitFlowKey(assembler, reverse, family, { source, destination, ...ports });
		assembler.lookup('nat_reverse', reverse).jumpIf(r0, '==', imm(0), 'pass');
		for (let offset = 0; offset < endpoint.bytes; offset += 8)
			assembler.load('dw', r1, r0, offset).store('dw', fp, chosen + offset, r1);
		emitFlowKey(assembler, flow, family, {
			...{ source: destination, destination: chosen },
			...{ sourcePort: transport + 2, destinationPort: chosen + endpoint.port },
		});
		assembler.lookup('nat_flows', flow).jumpIf(r0, '==', imm(0), 'pass');
		// The client's newer connection may have another backend.
		for (let offset = 0; offset < 16; offset += 8)
			assembler
				.load('dw', r1, r0, at.backend + offset)
				.load('dw', r2, fp, source + offset)
				.jumpIf(r1, '!=', r2, 'pass');
		assembler
			.load('h', r1, r0, at.backend + endpoint.port)
			.load('h', r2, fp, transport)
			.jumpIf(r1, '!=', r2, 'pass');
		assembler.load('w', r3, r0, at.flags).mov(r2, r3).op('and', r2, imm(NatFlowFlag.left));
		assembler.jumpIf(r2, '!=', imm(0), 'pass');
		assembler.load('dw', r1, fp, now).load('dw', r2, r0, 0).op('sub', r1, r2);
		const [udp, use] = [stem('answer-udp'), stem('answer-use')];
		assembler.jumpIf(protocolRegister, '==', imm(udpProtocol), udp);
		this.#expire(natTimeoutSeconds.tcpEstablished, natTimeoutSeconds.tcpEstablished, 'pass');
		assembler.load('b', r4, fp, transport + 13);
		this.#tcpFlags(NatFlowFlag.finOfBackend);
		assembler.jump(use).label(udp);
		this.#expire(natTimeoutSeconds.udpAnswered, natTimeoutSeconds.udpAnswered, 'pass');
		assembler.label(use).op('or', r3, imm(NatFlowFlag.answered)).store('w', r0, at.flags, r3);
		assembler.load('dw', r1, fp, now).store('dw', r0, 0, r1);
	}

	/** The mark of the packet, by which the rules masquerade. */
	#mark(): void {
		const assembler = this.#assembler;
		assembler.load('w', r1, packetRegister, markAt).op('or', r1, imm(this.#options.masqueradeMark));
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

	/** The rest of the key of a datagram's fragments; the hook is in the place of the endpoint. */
	#fragmentKey(family: Family): void {
		const assembler = this.#assembler;
		const { fragment, source, destination } = this.#frame;
		const at = Layout.fragment;
		assembler.store('w', fp, fragment, imm(this.#options.hook === 'ingress' ? 1 : 2));
		assembler.store('b', fp, fragment + at.family, imm(family === 'ipv4' ? 4 : 6));
		copyWords(assembler, fragment + at.source, source, 16);
		copyWords(assembler, fragment + at.destination, destination, 16);
	}

	/** The address that the fragments behind the first one get. */
	#keepFragments(family: Family): void {
		const assembler = this.#assembler;
		const { fragmented, fragment, chosen, scratch, now } = this.#frame;
		assembler.load('dw', r1, fp, fragmented);
		assembler.when(r1, '!=', imm(0), () => {
			this.#fragmentKey(family);
			copyWords(assembler, scratch, chosen, 16);
			copyWords(assembler, scratch + NatLayout.fragmentValue.time, now, 8);
			assembler.update('nat_fragments', fragment, scratch);
		});
	}

	/** Without a transport header only the address is replaced. */
	#laterFragment(family: Family): void {
		const assembler = this.#assembler;
		const frame = this.#frame;
		this.#fragmentKey(family);
		assembler.call('ktimeGetNs').store('dw', fp, frame.now, r0).lookup('nat_fragments', frame.fragment);
		assembler.jumpIf(r0, '==', imm(0), 'pass');
		assembler.load('dw', r1, fp, frame.now).load('dw', r2, r0, NatLayout.fragmentValue.time).op('sub', r1, r2);
		assembler.loadWide(r2, nanoseconds(natTimeoutSeconds.fragments)).jumpIf(r1, '>', r2, 'pass');
		for (let offset = 0; offset < 16; offset += 8)
			assembler.load('dw', r1, r0, offset).store('dw', fp, frame.chosen + offset, r1);
		emitReplaceAddress(assembler, { family, end: this.#end, before: frame[this.#end], after: frame.chosen });
		assembler.jump('pass');
	}
}
