import type { Family } from '../../core/index.ts';
import type { Direction, NodeSettings } from '../../policy/index.ts';
import { Assembler } from '../assembly/assembler.ts';
import { type ClockHelper, fp, imm, r0, r1 } from '../assembly/instruction.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { type ConnectionOptions, emitFindConnection, emitIcmpError, emitLaterFragment } from './connection.ts';
import { emitReadPacket, entryVerdict } from './entry-common.ts';
import {
	copyAddress,
	destinationPortRegister,
	type Frame,
	makeFrame,
	packetRegister,
	protocolRegister,
	storeEndpoint,
} from './frame.ts';
import { emitToRules } from './hand-over.ts';
import { Layout, rulesNumber } from './maps.ts';
import { emitDispatch } from './parse.ts';
import { emitRedirectShort } from './redirect.ts';
import { emitShortWay } from './short-way.ts';
import { emitBeginEvent, emitDecide, emitEnds, type VerdictOptions } from './verdict.ts';

export interface EntryOptions {
	/** `ingress`: to the pod, at the egress hook of the host's end. */
	readonly direction: Direction;
	readonly settings: NodeSettings;
	/** Packets of connections between pods of this node go from interface to interface. */
	readonly redirects?: boolean;
	/** By default the exact one, which every kernel has. */
	readonly clock?: ClockHelper;
}

/**
 * The program at the interfaces of all pods in one direction: reads the packet, passes what belongs
 * to a connection, and leaves the rest to the rules of the endpoint. It depends on the settings of
 * the node alone, so that a change of a policy neither loads nor attaches it. Pure.
 */
export function compileEntry(options: EntryOptions): AssembledProgram {
	return new EntryCompiler(options).compile();
}

class EntryCompiler {
	readonly #options: EntryOptions;
	readonly #assembler = new Assembler();
	readonly #frame: Frame;
	readonly #verdict: VerdictOptions;

	constructor(options: EntryOptions) {
		this.#options = options;
		this.#frame = makeFrame(this.#assembler);
		this.#verdict = entryVerdict(this.#assembler, this.#frame, options.direction);
	}

	get #redirects(): boolean {
		return this.#options.redirects === true && this.#options.direction === 'egress';
	}

	compile(): AssembledProgram {
		const assembler = this.#assembler;
		assembler.label('begin');
		emitDispatch(assembler, { ipv4: 'ipv4-short', ipv6: 'ipv6-short', arp: 'pass', other: 'drop' });
		for (const family of ['ipv4', 'ipv6'] as const) this.#family(family);
		emitEnds(this.#verdict, { deniesToHost: false, redirects: this.#redirects ? 'known' : 'none' });
		return assembler.assemble();
	}

	#family(family: Family): void {
		const { direction, settings, clock = 'ktimeGetNs' } = this.#options;
		const assembler = this.#assembler;
		const frame = this.#frame;
		const connection: ConnectionOptions = { assembler, frame, family, clock };
		const stem = (name: string) => `${family}-${name}`;
		assembler.label(stem('short'));
		emitShortWay(connection, { known: this.#redirects ? stem('short-known') : 'pass', otherwise: family });
		if (this.#redirects) {
			assembler.label(stem('short-known'));
			emitRedirectShort(connection, 'pass');
		}
		const targets = emitReadPacket(connection);
		if (family === 'ipv6') this.#neighbourDiscovery();
		// The source of a connection was the pod's own when it began.
		emitFindConnection(connection, targets);
		emitIcmpError(connection, { ...targets, established: stem('icmp-established') });
		assembler.label(stem('icmp-established'));
		emitBeginEvent(assembler, frame, family, rulesNumber(direction, 'own'));
		if (direction === 'egress') this.#requireSource(family, 'deny');
		assembler.jump('established').label(stem('later-fragment'));
		if (direction === 'egress') this.#requireSource(family, 'drop');
		emitLaterFragment(connection, 'pass', 'drop');
		assembler.label(stem('invalid'));
		emitBeginEvent(assembler, frame, family, rulesNumber(direction, 'own'));
		if (direction === 'egress') this.#requireSource(family, 'deny');
		if (direction === 'ingress') this.#allowLocal();
		if (settings.dropInvalid) emitDecide(this.#verdict, { type: 'invalid' }, 'deny');
		else assembler.jump(stem('judge'));
		assembler.label(stem('fresh'));
		emitBeginEvent(assembler, frame, family, rulesNumber(direction, 'own'));
		if (direction === 'egress') this.#requireSource(family, 'deny');
		if (direction === 'ingress') this.#allowLocal();
		assembler.label(stem('judge'));
		if (direction === 'egress') this.#tunnels();
		emitToRules(assembler, frame, { family, rules: rulesNumber(direction, 'own'), otherwise: 'drop' });
	}

	/**
	 * ND and MLD of a pod with its router, RFC 4861 §7.1 (hop limit 255: not forwarded), RFC 2710.
	 */
	#neighbourDiscovery(): void {
		const assembler = this.#assembler;
		const no = 'ipv6-no-discovery';
		assembler.jumpIf(protocolRegister, '!=', imm(58), no);
		const multicast = 'ipv6-multicast-listener';
		assembler
			.jumpIf(destinationPortRegister, '<', imm(130), no)
			.jumpIf(destinationPortRegister, '<=', imm(132), multicast);
		assembler.jumpIf(destinationPortRegister, '>', imm(136), no);
		// A pod is no router.
		if (this.#options.direction === 'egress') assembler.jumpIf(destinationPortRegister, '==', imm(134), no);
		assembler
			.load('b', r1, fp, this.#frame.header + 7)
			.jumpIf(r1, '==', imm(255), 'pass')
			.jump(no);
		assembler.label(multicast).load('h', r1, fp, this.#frame.destination).swap(r1, 16);
		assembler.jumpIf(r1, '==', imm(0xff02), 'pass');
		assembler.label(no);
	}

	/** Only the pod's own addresses may send. */
	#requireSource(family: Family, otherwise: 'deny' | 'drop'): void {
		const assembler = this.#assembler;
		const { member, source } = this.#frame;
		const own = assembler.freshLabel('own-source');
		storeEndpoint(assembler, member);
		assembler.store('w', fp, member + Layout.sourceAddress.family, imm(family === 'ipv4' ? 4 : 6));
		copyAddress(assembler, member + Layout.sourceAddress.address, source);
		assembler.lookup('sources', member).jumpIf(r0, '!=', imm(0), own);
		if (otherwise === 'deny') emitDecide(this.#verdict, { type: 'spoofed-source' }, 'deny');
		else assembler.jump('drop');
		assembler.label(own);
	}

	/** IP in IP and VXLAN from a pod would enter the tunnels of the nodes. */
	#tunnels(): void {
		const { allowIpipFromWorkloads, allowVxlanFromWorkloads, vxlanPort } = this.#options.settings;
		const assembler = this.#assembler;
		const drop = () => emitDecide(this.#verdict, { type: 'tunnel-from-workload' }, 'deny');
		if (!allowIpipFromWorkloads) assembler.when(protocolRegister, '==', imm(4), drop);
		if (!allowVxlanFromWorkloads)
			assembler.when(protocolRegister, '==', imm(17), () =>
				assembler.when(destinationPortRegister, '==', imm(vxlanPort), drop),
			);
	}

	/** What this node itself sends to its pod is allowed: `__sk_buff.ingress_ifindex` is 0. */
	#allowLocal(): void {
		const assembler = this.#assembler;
		assembler.load('w', r1, packetRegister, 36);
		assembler.when(r1, '==', imm(0), () => emitDecide(this.#verdict, { type: 'own-node' }, 'allow'));
	}
}
