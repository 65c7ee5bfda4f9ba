import type { Family } from '../../core/index.ts';
import { type Direction, HostMark, type NodeSettings } from '../../policy/index.ts';
import { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2 } from '../assembly/instruction.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { type ConnectionOptions, emitFindConnection, emitIcmpError, emitLaterFragment } from './connection.ts';
import { emitReadPacket, entryVerdict } from './entry-common.ts';
import {
	destinationPortRegister,
	ethernetBytes,
	type Frame,
	makeFrame,
	packetRegister,
	protocolRegister,
} from './frame.ts';
import { emitToRules } from './hand-over.ts';
import { emitEarlyVerdict, emitFailsafe, emitHostDiscovery, PacketField } from './host-common.ts';
import { Layout, type RulesOf, rulesNumber } from './maps.ts';
import { emitDispatch } from './parse.ts';
import { emitIfLocal } from './route.ts';
import { emitSetLookup } from './rule.ts';
import { emitBeginEvent, emitDecide, emitEnds, type VerdictOptions } from './verdict.ts';

export interface HostEntryOptions {
	/** `ingress`: at the ingress hook, packets that come in. */
	readonly direction: Direction;
	readonly settings: NodeSettings;
	/** `ip`: no header before that of IP, as with tunl0. */
	readonly link: 'ethernet' | 'ip';
	/** The set of the nodes exists. */
	readonly knowsNodes: boolean;
}

/** IANA protocol numbers. */
const [ipip, udp] = [4, 17];

/**
 * The program at the interfaces of host endpoints in one direction. It passes what belongs to a
 * connection, tunnels between nodes and failsafe ports, and leaves the rest to one of two lists of
 * rules: for packets that end or start at the host, and for those that are forwarded. Behind the
 * translation of services on the way in, before it on the way out. Pure.
 */
export function compileHostEntry(options: HostEntryOptions): AssembledProgram {
	return new HostEntryCompiler(options).compile();
}

class HostEntryCompiler {
	readonly #options: HostEntryOptions;
	readonly #assembler = new Assembler();
	readonly #frame: Frame;
	readonly #verdict: VerdictOptions;
	/** Not 0: a preDNAT policy allowed the packet. */
	#allowedBefore = 0;

	constructor(options: HostEntryOptions) {
		this.#options = options;
		this.#frame = makeFrame(this.#assembler, options.link === 'ethernet' ? ethernetBytes : 0);
		this.#verdict = entryVerdict(this.#assembler, this.#frame, options.direction);
	}

	compile(): AssembledProgram {
		const assembler = this.#assembler;
		assembler.label('begin');
		// The tag belongs to another interface, whose endpoint judges the packet.
		assembler.load('w', r2, r1, PacketField.vlanPresent).jumpIf(r2, '!=', imm(0), 'pass');
		this.#allowedBefore = assembler.slot('allowed-before', 8);
		assembler.mov(packetRegister, r1).store('dw', fp, this.#allowedBefore, imm(0));
		this.#earlyVerdicts();
		assembler.mov(r1, packetRegister);
		emitDispatch(assembler, { ipv4: 'ipv4', ipv6: 'ipv6', arp: 'pass', other: 'pass' });
		for (const family of ['ipv4', 'ipv6'] as const) this.#family(family);
		emitEnds(this.#verdict, { deniesToHost: false, redirects: 'none' });
		return assembler.assemble();
	}

	#family(family: Family): void {
		const { direction, settings } = this.#options;
		const assembler = this.#assembler;
		const frame = this.#frame;
		const connection: ConnectionOptions = { assembler, frame, family, host: direction };
		const stem = (name: string) => `${family}-${name}`;
		const targets = emitReadPacket(connection);
		if (family === 'ipv6') emitHostDiscovery(assembler, 'pass');
		emitBeginEvent(assembler, frame, family, rulesNumber(direction, 'own'));
		emitFindConnection(connection, targets);
		emitIcmpError(connection, targets);
		assembler.label(stem('later-fragment'));
		emitLaterFragment(connection, 'pass', 'drop');
		const forwarded = stem('forwarded');
		assembler.label(stem('invalid'));
		this.#allowedEarly(() => assembler.store('dw', fp, frame.tracked, imm(0)));
		if (direction === 'ingress' && settings.dropInvalid) {
			emitIfLocal(assembler, frame, () => emitDecide(this.#verdict, { type: 'invalid' }, 'deny'));
			assembler.jump(forwarded);
		}
		assembler.label(stem('fresh'));
		this.#allowedEarly(() => {});
		this.#whereOwn(() => {
			this.#tunnels(family);
			this.#failsafe(family);
			this.#toRules(family, 'own');
		});
		assembler.label(forwarded);
		this.#toRules(family, 'forward');
	}

	/** Packets that an early stage at the interface that they came by, or leave by, has allowed. */
	#earlyVerdicts(): void {
		const { direction } = this.#options;
		const assembler = this.#assembler;
		const { endpoint } = this.#frame;
		const none = 'no-early-verdict';
		assembler.load('w', r2, packetRegister, PacketField.mark);
		assembler.op('and', r2, imm(HostMark.allowedBeforeDnat | HostMark.untracked)).jumpIf(r2, '==', imm(0), none);
		const judge = (at: 'in' | 'out') => {
			emitEarlyVerdict(assembler, { endpoint, at, of: 'untracked', otherwise: `not-untracked-${at}` });
			assembler.jump('pass').label(`not-untracked-${at}`);
			if (at === 'out') return;
			emitEarlyVerdict(assembler, { endpoint, at, of: 'pre-dnat', otherwise: none });
			assembler.store('dw', fp, this.#allowedBefore, imm(1));
		};
		if (direction === 'ingress') judge('in');
		else {
			assembler.load('w', r1, packetRegister, PacketField.ingressInterface);
			assembler.when(
				r1,
				'!=',
				imm(0),
				() => judge('in'),
				() => judge('out'),
			);
		}
		assembler.label(none);
	}

	/** Policy before translation allowed the packet. `before`: what else happens. */
	#allowedEarly(before: () => void): void {
		const assembler = this.#assembler;
		assembler.load('dw', r1, fp, this.#allowedBefore);
		assembler.when(r1, '!=', imm(0), () => {
			before();
			emitDecide(this.#verdict, { type: 'before-dnat' }, 'allow');
		});
	}

	/** For packets that end at this host or start there, and are not forwarded. */
	#whereOwn(then: () => void): void {
		const assembler = this.#assembler;
		if (this.#options.direction === 'ingress') emitIfLocal(assembler, this.#frame, then);
		else assembler.load('w', r1, packetRegister, PacketField.ingressInterface).when(r1, '==', imm(0), then);
	}

	#toRules(family: Family, of: RulesOf): void {
		const rules = rulesNumber(this.#options.direction, of);
		this.#assembler.store('b', fp, this.#frame.event + Layout.event.rules, imm(rules));
		emitToRules(this.#assembler, this.#frame, { family, rules, otherwise: 'drop' });
	}

	/** The other end of the packet, as seen from this host. */
	get #peer(): number {
		return this.#options.direction === 'ingress' ? this.#frame.source : this.#frame.destination;
	}

	/** IP in IP and VXLAN between the nodes of the cluster; IP in IP of others is dropped. */
	#tunnels(family: Family): void {
		const { settings, direction, knowsNodes } = this.#options;
		const assembler = this.#assembler;
		const passNodes = () => {
			if (!knowsNodes) return;
			emitSetLookup({ assembler, frame: this.#frame, family }, settings.nodes, this.#peer);
			assembler.jumpIf(r0, '!=', imm(0), 'pass');
		};
		assembler.when(protocolRegister, '==', imm(ipip), () => {
			if (family === 'ipv4') passNodes();
			if (direction === 'ingress') emitDecide(this.#verdict, { type: 'foreign-tunnel' }, 'deny');
		});
		assembler.when(protocolRegister, '==', imm(udp), () =>
			assembler.when(destinationPortRegister, '==', imm(settings.vxlanPort), passNodes),
		);
	}

	#failsafe(family: Family): void {
		const { direction, settings } = this.#options;
		const assembler = this.#assembler;
		const found = assembler.freshLabel('failsafe');
		const none = assembler.freshLabel('no-failsafe');
		const ports = direction === 'ingress' ? settings.failsafeInbound : settings.failsafeOutbound;
		emitFailsafe({ assembler, family, ports, peer: this.#peer, port: destinationPortRegister }, found);
		assembler.jump(none).label(found);
		emitDecide(this.#verdict, { type: 'failsafe' }, 'allow');
		assembler.label(none);
	}
}
