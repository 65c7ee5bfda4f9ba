import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { type ClockHelper, fp, imm, type Register, r0, r1, r2, r3, r4, r5 } from '../assembly/instruction.ts';
import {
	copyAddress,
	destinationPortRegister,
	emitReadPacket,
	type Frame,
	icmpOf,
	protocolRegister,
	sourcePortRegister,
	storeEndpoint,
} from './frame.ts';
import { hostConnections, Layout } from './maps.ts';

/**
 * Seconds without a packet after which a connection is judged anew; after conntrack's defaults, TCP
 * shorter.
 */
export const timeoutSeconds = {
	tcpUnanswered: 120,
	tcpEstablished: 86_400,
	tcpFinished: 120,
	tcpReset: 10,
	otherUnanswered: 30,
	otherAnswered: 180,
	fragments: 30,
} as const;

/**
 * Flags of the value of a connection. `cut`: the policy denies it by now. `allowed`: by a preDNAT
 * policy. `translated`: the key has the address of a service, which no policy is asked for; such a
 * connection was taken over, and follows the policy in conntrack.
 */
export const Flag = {
	...{ answered: 1, finOfOpener: 2, finOfResponder: 4, reset: 8 },
	...{ cut: 16, allowed: 32, translated: 64 },
} as const;
const bothFins = Flag.finOfOpener | Flag.finOfResponder;
/** Flags of TCP, byte 13 of its header (RFC 9293 §3.1). */
export const Tcp = { fin: 1, syn: 2, reset: 4, ack: 16 } as const;
/** In the place of a port: no connection has this key. */
const noPort = 0xffff;

/** Queries of ICMP with their answers: RFC 792, RFC 950, RFC 4443. */
const icmpQueries: Readonly<Record<Family, readonly (readonly [query: number, answer: number])[]>> = {
	ipv4: [
		[8, 0],
		[13, 14],
		[15, 16],
		[17, 18],
	],
	ipv6: [[128, 129]],
};
/** Messages that quote the packet they are about; RFC 792 (redirect included), RFC 4443. */
const icmpErrors: Readonly<Record<Family, readonly number[]>> = { ipv4: [3, 4, 5, 11, 12], ipv6: [1, 2, 3, 4] };

export interface ConnectionOptions {
	readonly assembler: Assembler;
	readonly frame: Frame;
	readonly family: Family;
	/** By default the exact one. */
	readonly clock?: ClockHelper;
	/**
	 * At an interface of the host: the direction of the hook, or before translation at the ingress
	 * hook. All interfaces of the host share their connections, so that an answer may come by another
	 * one. Absent: at that of a pod.
	 */
	readonly host?: keyof typeof hostConnections;
	/** A stage with fragments of its own, see `earlyFragments`. */
	readonly fragments?: number;
}

/** Who keeps the connection of a packet: the interface of a pod, or all of the host. */
const storeKeeper = ({ assembler, host }: Pick<ConnectionOptions, 'assembler' | 'host'>, to: number): void => {
	if (host === undefined) storeEndpoint(assembler, to);
	else assembler.store('w', fp, to, imm(hostConnections[host] | 0));
};
/** Where a packet is looked for as an answer. */
const opposite = { early: 'egress', ingress: 'egress', egress: 'ingress' } as const;

export interface ConnectionTargets {
	/** The packet belongs to a connection that was allowed. */
	readonly established: string;
	/** It does not, and could begin one. */
	readonly fresh: string;
	/** It does not, and can't begin one. */
	readonly invalid: string;
	/** It belongs to one that was allowed before the policy changed. */
	readonly cut: string;
}

export interface KnownTargets extends Pick<ConnectionTargets, 'established' | 'fresh' | 'cut'> {
	/** No packet for too long: the connection is none any more. */
	readonly expired: string;
}

/** Nanoseconds: more than a tick of the kernel, which is 10 ms at most. */
const clockSlack = 20_000_000;

const nanoseconds = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n;

/**
 * Looks for the connection of the packet, in both directions; keeps the state of one that is found
 * up to date.
 */
export function emitFindConnection(options: ConnectionOptions, targets: ConnectionTargets): void {
	const { assembler, frame, family, clock = 'ktimeGetNs' } = options;
	const stem = (name: string) => `${family}-${name}`;
	emitKeys(options, frame.source, frame.destination);
	assembler.store('dw', fp, frame.tracked, imm(1));
	assembler.call(clock).store('dw', fp, frame.now, r0);
	const notIcmp = stem('ports-in-key');
	const look = stem('look-up');
	assembler.jumpIf(protocolRegister, '!=', imm(icmpOf(family)), notIcmp);
	emitIcmpKeys(options, look, targets);
	assembler.label(notIcmp);
	for (const [key, source, destination] of [
		[frame.connection, 0, 2],
		[frame.reverse, 2, 0],
	] as const) {
		assembler.load('h', r1, fp, frame.transport + source).store('h', fp, key + Layout.connection.sourcePort, r1);
		assembler.load('h', r1, fp, frame.transport + destination);
		assembler.store('h', fp, key + Layout.connection.destinationPort, r1);
	}
	const [opened, answers] = [
		{ key: frame.connection, answers: 0 },
		{ key: frame.reverse, answers: 1 },
	] as const;
	const lookUp = ({ key, answers: side }: typeof opened | typeof answers) => {
		assembler.lookup('connections', key).mov(r5, imm(side)).jumpIf(r0, '!=', imm(0), stem('known'));
		if (options.host === undefined || side === 0) return;
		storeKeeper(options, key);
		assembler.lookup('connections', key).mov(r5, imm(side)).jumpIf(r0, '!=', imm(0), stem('known'));
	};
	// SYN alone is no answer: in a simultaneous open (RFC 9293 §3.5) SYN with ACK follows it.
	// Answers come from the lower port, most often: one look-up is enough then.
	const [fromPorts, forth] = [stem('look-up-by-ports'), stem('look-up-opened')];
	assembler.label(look).jumpIf(protocolRegister, '!=', imm(6), fromPorts);
	assembler.load('b', r1, fp, frame.transport + 13).op('and', r1, imm(Tcp.syn | Tcp.ack));
	assembler.jumpIf(r1, '!=', imm(Tcp.syn), fromPorts);
	// Before translation answers are not seen, nor the end of the connection: SYN begins a new one.
	if (options.host !== 'early') lookUp(opened);
	assembler.jump(stem('unknown')).label(fromPorts);
	assembler.jumpIf(sourcePortRegister, '>=', destinationPortRegister, forth);
	for (const side of [answers, opened]) lookUp(side);
	assembler.jump(stem('unknown')).label(forth);
	for (const side of [opened, answers]) lookUp(side);
	assembler.jump(stem('unknown'));
	assembler.label(stem('known')).store('dw', fp, frame.answers, r5);
	emitKnown(options, stem, { ...targets, expired: stem('unknown') });
	assembler.label(stem('unknown'));
	// A packet of TCP begins a connection with SYN, or takes up one that is older than this table
	// with ACK alone.
	assembler.jumpIf(protocolRegister, '!=', imm(6), targets.fresh);
	assembler.load('b', r1, fp, frame.transport + 13).op('and', r1, imm(Tcp.fin | Tcp.syn | Tcp.reset | Tcp.ack));
	assembler.jumpIf(r1, '==', imm(Tcp.syn), targets.fresh).jumpIf(r1, '==', imm(Tcp.ack), targets.fresh);
	assembler.jump(targets.invalid);
}

/**
 * Everything but the ports. An answer at an interface of the host is most often that to a
 * connection which the other hook allowed.
 */
function emitKeys(options: ConnectionOptions, source: number, destination: number): void {
	const { assembler, frame, family, host } = options;
	const { bytes, protocol, family: familyAt, source: sourceAt, destination: destinationAt } = Layout.connection;
	for (const key of [frame.connection, frame.reverse]) {
		assembler.zero(key, bytes);
		storeKeeper(host !== undefined && key === frame.reverse ? { ...options, host: opposite[host] } : options, key);
		assembler
			.store('b', fp, key + protocol, protocolRegister)
			.store('b', fp, key + familyAt, imm(family === 'ipv4' ? 4 : 6));
	}
	copyAddress(assembler, frame.connection + sourceAt, source);
	copyAddress(assembler, frame.connection + destinationAt, destination);
	copyAddress(assembler, frame.reverse + sourceAt, destination);
	copyAddress(assembler, frame.reverse + destinationAt, source);
}

/**
 * The identifier is the source port, the type of the query the destination port: a query is never
 * an answer to another.
 */
function emitIcmpKeys({ assembler, frame, family }: ConnectionOptions, look: string, targets: ConnectionTargets): void {
	const { sourcePort, destinationPort } = Layout.connection;
	for (const key of [frame.connection, frame.reverse])
		assembler.load('h', r1, fp, frame.transport + 4).store('h', fp, key + sourcePort, r1);
	for (const [query, answer] of icmpQueries[family]) {
		for (const [type, forward, backward] of [
			[query, query, noPort],
			[answer, noPort, query],
		] as const)
			assembler.when(destinationPortRegister, '==', imm(type), () => {
				assembler.store('h', fp, frame.connection + destinationPort, imm(forward));
				assembler.store('h', fp, frame.reverse + destinationPort, imm(backward)).jump(look);
			});
	}
	for (const type of icmpErrors[family])
		assembler.jumpIf(destinationPortRegister, '==', imm(type), `${family}-icmp-error`);
	assembler.store('dw', fp, frame.tracked, imm(0)).jump(targets.invalid);
}

/**
 * Register 0: the value; register 5: 0 for a packet of the side that opened the connection. Calls
 * nothing, and loses registers 1 to 4.
 */
export function emitKnown(
	{ assembler, frame }: Pick<ConnectionOptions, 'assembler' | 'frame'>,
	stem: (name: string) => string,
	targets: KnownTargets,
): void {
	const flags = Layout.connectionValue.flags;
	emitAge(assembler, frame.now);
	assembler.load('w', r3, r0, flags);
	const [other, check, uncut] = [stem('known-other'), stem('known-timeout'), stem('known-uncut')];
	assembler.mov(r4, r3).op('and', r4, imm(Flag.cut)).jumpIf(r4, '==', imm(0), uncut);
	// A new connection between the same ports is judged.
	assembler.jumpIf(protocolRegister, '!=', imm(6), targets.cut).load('b', r4, fp, frame.transport + 13);
	assembler
		.op('and', r4, imm(Tcp.syn | Tcp.ack))
		.jumpIf(r4, '==', imm(Tcp.syn), targets.fresh)
		.jump(targets.cut);
	assembler.label(uncut).jumpIf(protocolRegister, '!=', imm(6), other);
	assembler.loadWide(r2, nanoseconds(timeoutSeconds.tcpUnanswered)).mov(r4, r3).op('and', r4, imm(Flag.answered));
	assembler.when(r4, '!=', imm(0), () => assembler.loadWide(r2, nanoseconds(timeoutSeconds.tcpEstablished)));
	const [finished, closing] = [stem('known-finished'), stem('known-closing')];
	assembler.mov(r4, r3).op('and', r4, imm(bothFins)).jumpIf(r4, '==', imm(bothFins), finished);
	assembler.mov(r4, r3).op('and', r4, imm(Flag.reset)).jumpIf(r4, '==', imm(0), stem('known-open'));
	assembler.loadWide(r2, nanoseconds(timeoutSeconds.tcpReset)).jump(closing);
	assembler.label(finished).loadWide(r2, nanoseconds(timeoutSeconds.tcpFinished));
	// A new SYN between the same ports is a new connection.
	assembler
		.label(closing)
		.load('b', r4, fp, frame.transport + 13)
		.op('and', r4, imm(Tcp.syn | Tcp.ack));
	assembler.jumpIf(r4, '==', imm(Tcp.syn), targets.fresh);
	assembler.label(stem('known-open')).load('b', r4, fp, frame.transport + 13);
	assembler.jumpIf(r1, '>', r2, targets.expired);
	emitTcpFlags(assembler, r3, r4);
	assembler.jump(check);
	assembler.label(other).loadWide(r2, nanoseconds(timeoutSeconds.otherUnanswered)).mov(r4, r3);
	assembler.op('and', r4, imm(Flag.answered));
	assembler.when(r4, '!=', imm(0), () => assembler.loadWide(r2, nanoseconds(timeoutSeconds.otherAnswered)));
	assembler.jumpIf(r1, '>', r2, targets.expired);
	assembler.label(check).when(r5, '==', imm(1), () => assembler.op('or', r3, imm(Flag.answered)));
	assembler.load('dw', r1, fp, frame.now).store('dw', r0, 0, r1).store('w', r0, flags, r3).jump(targets.established);
}

/**
 * Register 1: nanoseconds since the time at this offset from the address in register 0, and
 * `clockSlack`. Another processor, or a program with another clock, may have written a time that is
 * later than `now`. Loses register 2.
 */
export const emitAge = (assembler: Assembler, now: number, offset = 0): Assembler =>
	assembler.load('dw', r1, fp, now).load('dw', r2, r0, offset).op('sub', r1, r2).op('add', r1, imm(clockSlack));

/** FIN and RST of the packet (flags in `tcp`) into the flags of the connection. */
function emitTcpFlags(assembler: Assembler, flags: Register, tcp: Register): void {
	const noFin = assembler.freshLabel('no-fin');
	const noReset = assembler.freshLabel('no-reset');
	assembler.mov(r1, tcp).op('and', r1, imm(Tcp.fin)).jumpIf(r1, '==', imm(0), noFin);
	assembler.when(
		r5,
		'==',
		imm(0),
		() => assembler.op('or', flags, imm(Flag.finOfOpener)),
		() => assembler.op('or', flags, imm(Flag.finOfResponder)),
	);
	assembler.label(noFin).mov(r1, tcp).op('and', r1, imm(Tcp.reset)).jumpIf(r1, '==', imm(0), noReset);
	assembler.op('or', flags, imm(Flag.reset)).label(noReset);
}

/**
 * An ICMP error passes if the packet that it quotes belongs to a connection; else it is invalid.
 */
export function emitIcmpError(options: ConnectionOptions, targets: ConnectionTargets): void {
	const { assembler, frame, family } = options;
	const { protocol, source, destination, sourcePort, destinationPort } = Layout.connection;
	const headerBytes = family === 'ipv4' ? 20 : 40;
	const [sourceAt, destinationAt, protocolAt] = family === 'ipv4' ? [12, 16, 9] : [8, 24, 6];
	assembler.label(`${family}-icmp-error`).store('dw', fp, frame.tracked, imm(0));
	assembler.load('dw', r2, fp, frame.transportOffset).op('add', r2, imm(8));
	emitReadPacket(assembler, frame.header, headerBytes, targets.invalid);
	// Quoted headers with options are not looked through.
	assembler.load('b', r1, fp, frame.header);
	if (family === 'ipv4') assembler.jumpIf(r1, '!=', imm(0x45), targets.invalid);
	assembler.load('dw', r2, fp, frame.transportOffset).op('add', r2, imm(8 + headerBytes));
	emitReadPacket(assembler, frame.value, 8, targets.invalid);
	for (const [key, from, to, first, second] of [
		[frame.connection, sourceAt, destinationAt, sourcePort, destinationPort],
		[frame.reverse, destinationAt, sourceAt, destinationPort, sourcePort],
	] as const) {
		assembler.load('b', r1, fp, frame.header + protocolAt).store('b', fp, key + protocol, r1);
		for (let at = 0; at < (family === 'ipv4' ? 4 : 16); at += 4) {
			assembler.load('w', r1, fp, frame.header + from + at).store('w', fp, key + source + at, r1);
			assembler.load('w', r1, fp, frame.header + to + at).store('w', fp, key + destination + at, r1);
		}
		assembler.load('h', r1, fp, frame.value).store('h', fp, key + first, r1);
		assembler.load('h', r1, fp, frame.value + 2).store('h', fp, key + second, r1);
	}
	emitQuotedQuery(options);
	const keys = [frame.connection, frame.reverse];
	for (const key of keys) assembler.lookup('connections', key).jumpIf(r0, '!=', imm(0), targets.established);
	const { host } = options;
	if (host !== undefined)
		for (const key of keys) {
			storeKeeper(key === frame.reverse ? options : { ...options, host: opposite[host] }, key);
			assembler.lookup('connections', key).jumpIf(r0, '!=', imm(0), targets.established);
		}
	assembler.jump(targets.invalid);
}

/**
 * The quoted packet is a query of ICMP: its key has identifier and type. Quoted answers belong to
 * nothing.
 */
function emitQuotedQuery({ assembler, frame, family }: ConnectionOptions): void {
	const { sourcePort, destinationPort } = Layout.connection;
	assembler.load('b', r1, fp, frame.header + (family === 'ipv4' ? 9 : 6));
	assembler.when(r1, '==', imm(icmpOf(family)), () => {
		assembler.load('b', r1, fp, frame.value).load('h', r2, fp, frame.value + 4);
		assembler.store('h', fp, frame.connection + sourcePort, r2).store('h', fp, frame.connection + destinationPort, r1);
		assembler.store('h', fp, frame.reverse + destinationPort, imm(noPort));
	});
}

/**
 * Keeps the connection of a packet that was allowed; `begun` emits what else happens where one
 * begins. `flags`: see `Flag`.
 */
export function emitKeep(
	{ assembler, frame }: Pick<ConnectionOptions, 'assembler' | 'frame'>,
	begun: () => void = () => {},
	flags = 0,
): void {
	assembler.load('dw', r1, fp, frame.tracked);
	assembler.when(r1, '!=', imm(0), () => {
		assembler.load('dw', r1, fp, frame.now).zero(frame.value, 16).store('dw', fp, frame.value, r1);
		if (flags !== 0) assembler.store('w', fp, frame.value + Layout.connectionValue.flags, imm(flags));
		assembler.update('connections', frame.connection, frame.value);
		begun();
	});
}

/** A first fragment that passes lets those pass that follow it. `time`: the slot with the value. */
export function emitKeepFragments(
	{ assembler, frame }: Pick<ConnectionOptions, 'assembler' | 'frame'>,
	time = frame.now,
): void {
	assembler.load('dw', r1, fp, frame.fragmented);
	assembler.when(r1, '!=', imm(0), () => assembler.update('fragments', frame.fragment, time));
}

/** The rest of the key of a datagram's fragments. */
export function emitFragmentKey({ assembler, frame, family, fragments = 0 }: ConnectionOptions): void {
	const { family: familyAt, source, destination } = Layout.fragment;
	storeEndpoint(assembler, frame.fragment);
	if (fragments !== 0) assembler.op32('or', r1, imm(fragments | 0)).store('w', fp, frame.fragment, r1);
	assembler.store('b', fp, frame.fragment + familyAt, imm(family === 'ipv4' ? 4 : 6));
	copyAddress(assembler, frame.fragment + source, frame.source);
	copyAddress(assembler, frame.fragment + destination, frame.destination);
}

/**
 * Passes a later fragment if the first one passed a short time ago; register 0 is then the value of
 * the first one.
 */
export function emitLaterFragment(options: ConnectionOptions, pass: string, drop: string): void {
	const { assembler, frame, clock = 'ktimeGetNs' } = options;
	emitFragmentKey(options);
	assembler.call(clock).store('dw', fp, frame.now, r0).lookup('fragments', frame.fragment);
	assembler.jumpIf(r0, '==', imm(0), drop);
	emitAge(assembler, frame.now);
	assembler.loadWide(r2, nanoseconds(timeoutSeconds.fragments)).jumpIf(r1, '>', r2, drop).jump(pass);
}
