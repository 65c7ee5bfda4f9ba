import type { Family } from '../../core/index.ts';
import { HostMark } from '../../policy/index.ts';
import { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2 } from '../assembly/instruction.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { emitAge } from '../policy/connection.ts';
import { icmpOf, protocolRegister } from '../policy/frame.ts';
import { Layout } from '../policy/maps.ts';
import { emitDispatch, emitParseNetwork, emitParseTransport } from '../policy/parse.ts';
import { NatDirect } from './nat-direct.ts';
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
	/**
	 * Direct server return, of `ingress`: `send` sends packets to other nodes by the interface of
	 * this index; `arrivals` stands at that interface, and drops what it does not translate.
	 */
	readonly direct?: { readonly type: 'send'; readonly device: number } | { readonly type: 'arrivals' };
}

/**
 * The translation of services at an interface to the outside. Packets that it does not know, and
 * those that it leaves to nftables, pass as they are. Pure.
 */
export const compileNatProgram = (options: NatProgramOptions): AssembledProgram => new NatCompiler(options).compile();

/** Fragments of which hook, in the place of the endpoint of policy's fragments. */
const fragmentHooks = { ingress: 1, egress: 2, direct: 3 } as const;
type FragmentHook = keyof typeof fragmentHooks;

class NatCompiler {
	readonly #assembler = new Assembler();
	readonly #frame: NatFrame;
	readonly #options: NatProgramOptions;
	/** The end of a packet that is replaced. */
	readonly #end: NatEnd;
	readonly #direct: NatDirect | undefined;

	constructor(options: NatProgramOptions) {
		this.#options = options;
		this.#frame = makeNatFrame(this.#assembler);
		this.#end = options.hook === 'ingress' ? 'destination' : 'source';
		const { direct } = options;
		if (direct?.type === 'send') this.#direct = new NatDirect(this.#assembler, this.#frame, direct.device);
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
		this.#direct?.end();
		if (this.#options.direct?.type === 'arrivals') assembler.label('pass').mov(r0, imm(shot)).exit();
		else assembler.label('pass');
		assembler.label('done').mov(r0, imm(-1)).exit();
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
		if (hook === 'ingress') {
			const arrivals = this.#options.direct?.type === 'arrivals';
			new NatIngress(assembler, frame, { masqueradeMark, arrivals }, this.#direct).emit(family, stem);
		} else emitNatEgress(assembler, frame, family, stem);
		assembler.label(stem('translate'));
		this.#keepFragments(family);
		emitReplaceEnd(assembler, frame, family, this.#end);
		assembler.jump('done');
		if (this.#direct !== undefined) this.#keepDirectFragments(family);
		assembler.label(stem('later-fragment'));
		this.#laterFragment(family);
		emitIcmpErrors(assembler, frame, family, this.#options.hook, this.#direct);
	}

	/** The rest of the key of a datagram's fragments; the hook is in the place of the endpoint. */
	#fragmentKey(family: Family, hook: FragmentHook = this.#options.hook): void {
		const assembler = this.#assembler;
		const { fragment, source, destination } = this.#frame;
		const at = Layout.fragment;
		assembler.store('w', fp, fragment, imm(fragmentHooks[hook]));
		assembler.store('b', fp, fragment + at.family, imm(family === 'ipv4' ? 4 : 6));
		copyWords(assembler, fragment + at.source, source, 16);
		copyWords(assembler, fragment + at.destination, destination, 16);
	}

	/** The node that the fragments behind the first one go to. */
	#keepDirectFragments(family: Family): void {
		this.#assembler.label(`${family}-direct-keep`);
		this.#keepFragments(family, 'direct');
		this.#assembler.jump('direct-send');
	}

	/** The address that the fragments behind the first one get, or the node. */
	#keepFragments(family: Family, hook: FragmentHook = this.#options.hook): void {
		const assembler = this.#assembler;
		const { fragmented, fragment, chosen, value, scratch, now } = this.#frame;
		assembler.load('dw', r1, fp, fragmented);
		assembler.when(r1, '!=', imm(0), () => {
			this.#fragmentKey(family, hook);
			copyWords(assembler, scratch, hook === 'direct' ? value : chosen, 16);
			copyWords(assembler, scratch + NatLayout.fragmentValue.time, now, 8);
			assembler.update('nat_fragments', fragment, scratch);
		});
	}

	/** Without a transport header only the address is replaced. */
	#laterFragment(family: Family): void {
		const assembler = this.#assembler;
		const frame = this.#frame;
		this.#fragmentKey(family);
		const direct = this.#direct;
		const other = direct === undefined ? 'pass' : `${family}-direct-fragment`;
		const find = (otherwise: string) => {
			assembler.lookup('nat_fragments', frame.fragment).jumpIf(r0, '==', imm(0), otherwise);
			emitAge(assembler, frame.now, NatLayout.fragmentValue.time);
			assembler.loadWide(r2, nanoseconds(natTimeoutSeconds.fragments)).jumpIf(r1, '>', r2, otherwise);
		};
		assembler.call('ktimeGetNs').store('dw', fp, frame.now, r0);
		find(other);
		for (let offset = 0; offset < 16; offset += 8)
			assembler.load('dw', r1, r0, offset).store('dw', fp, frame.chosen + offset, r1);
		emitReplaceAddress(assembler, { family, end: this.#end, before: frame[this.#end], after: frame.chosen });
		assembler.jump('done');
		if (direct === undefined) return;
		assembler.label(other);
		this.#fragmentKey(family, 'direct');
		find('pass');
		direct.fragment();
	}
}
