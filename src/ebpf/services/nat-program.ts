import type { Family } from '../../core/index.ts';
import { HostMark } from '../../policy/index.ts';
import { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2 } from '../assembly/instruction.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { emitAge } from '../policy/connection.ts';
import { icmpOf, protocolRegister } from '../policy/frame.ts';
import { Layout } from '../policy/maps.ts';
import { emitDispatch, emitParseNetwork, emitParseTransport } from '../policy/parse.ts';
import { emitNatEgress } from './nat-egress.ts';
import {
	copyWords,
	emitReplaceAddress,
	emitReplaceEnd,
	makeNatFrame,
	type NatEnd,
	type NatFrame,
	tcpProtocol,
	udpProtocol,
} from './nat-frame.ts';
import { emitIcmpErrors } from './nat-icmp.ts';
import { NatIngress } from './nat-ingress.ts';
import { NatLayout } from './nat-maps.ts';
import { nanoseconds, natTimeoutSeconds } from './nat-time.ts';

/** TC_ACT_SHOT. */
const shot = 2;
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
		if (this.#options.hook === 'ingress') {
			// Without connection tracking nothing is translated, as in the kernel's own.
			assembler.load('w', r2, r1, markAt).op('and', r2, imm(HostMark.untracked)).jumpIf(r2, '!=', imm(0), 'pass');
		}
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
		const { hook, masqueradeMark } = this.#options;
		if (hook === 'ingress') new NatIngress(assembler, frame, masqueradeMark).emit(family, stem);
		else emitNatEgress(assembler, frame, family, stem);
		assembler.label(stem('translate'));
		this.#keepFragments(family);
		emitReplaceEnd(assembler, frame, family, this.#end);
		assembler.jump('pass');
		assembler.label(stem('later-fragment'));
		this.#laterFragment(family);
		emitIcmpErrors(assembler, frame, family, this.#options.hook);
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
		emitAge(assembler, frame.now, NatLayout.fragmentValue.time);
		assembler.loadWide(r2, nanoseconds(natTimeoutSeconds.fragments)).jumpIf(r1, '>', r2, 'pass');
		for (let offset = 0; offset < 16; offset += 8)
			assembler.load('dw', r1, r0, offset).store('dw', fp, frame.chosen + offset, r1);
		emitReplaceAddress(assembler, { family, end: this.#end, before: frame[this.#end], after: frame.chosen });
		assembler.jump('pass');
	}
}
