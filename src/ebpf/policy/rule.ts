import { type Family, type PrefixKey, parsePrefix } from '../../core/index.ts';
import {
	DanglingReferenceError,
	type IcmpMatch,
	type PortMatch,
	portProtocols,
	type Rule,
	type RuleBook,
	type SetId,
	type SideMatch,
} from '../../policy/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, type Register, r0, r1 } from '../assembly/instruction.ts';
import {
	copyAddress,
	destinationPortRegister,
	emitInPrefix,
	type Frame,
	icmpOf,
	protocolRegister,
	sourcePortRegister,
} from './frame.ts';
import { Layout, setKey } from './maps.ts';

/**
 * More prefixes than these in one rule become a set of their own: the size of programs follows
 * rules, not addresses.
 */
const mostInlinePrefixes = 4;

export interface RuleContext {
	readonly assembler: Assembler;
	readonly frame: Frame;
	readonly family: Family;
	readonly sets: RuleBook['sets'];
	/** Receives sets that rules need beyond those of the policy, with their members. */
	readonly extraSets: Map<SetId, readonly PrefixKey[]>;
}

/** One end of the packet. */
interface Side {
	readonly address: number;
	readonly port: Register;
}

/**
 * Goes on behind it when every match of the rule holds, else jumps to `next`. Gives `false` and
 * emits nothing where no packet of the family can match.
 */
export function emitRule(context: RuleContext, rule: Rule, next: string): boolean {
	const { assembler, frame, family } = context;
	if (rule.ipVersion !== undefined && rule.ipVersion !== (family === 'ipv4' ? 4 : 6)) return false;
	for (const { nets } of [rule.source, rule.destination])
		if (nets !== undefined && ofFamily(nets, family).length === 0) return false;
	if (rule.protocol !== undefined) assembler.jumpIf(protocolRegister, '!=', imm(rule.protocol), next);
	if (rule.notProtocol !== undefined) assembler.jumpIf(protocolRegister, '==', imm(rule.notProtocol), next);
	if (rule.icmp !== undefined) emitIcmp(context, rule.icmp, next);
	if (rule.notIcmp !== undefined) {
		const other = assembler.freshLabel('other-icmp');
		emitIcmp(context, rule.notIcmp, other);
		assembler.jump(next).label(other);
	}
	const hasPorts = rule.protocol !== undefined && portProtocols.has(rule.protocol);
	emitSide(context, rule.source, { address: frame.source, port: sourcePortRegister }, hasPorts, next);
	emitSide(context, rule.destination, { address: frame.destination, port: destinationPortRegister }, hasPorts, next);
	return true;
}

const ofFamily = (nets: readonly PrefixKey[], family: Family) =>
	nets.map((net) => parsePrefix(net)).filter((prefix) => prefix.family === family);

/** Type and code lie in the registers of the ports. */
function emitIcmp({ assembler, family }: RuleContext, { type, code }: IcmpMatch, next: string): void {
	assembler.jumpIf(protocolRegister, '!=', imm(icmpOf(family)), next);
	assembler.jumpIf(destinationPortRegister, '!=', imm(type), next);
	if (code !== undefined) assembler.jumpIf(sourcePortRegister, '!=', imm(code), next);
}

function emitSide(context: RuleContext, match: SideMatch, side: Side, hasPorts: boolean, next: string): void {
	const { assembler } = context;
	if (match.nets !== undefined) {
		const inside = assembler.freshLabel('inside');
		emitNets(context, match.nets, side, inside);
		assembler.jump(next).label(inside);
	}
	if (match.notNets !== undefined) emitNets(context, match.notNets, side, next);
	for (const id of match.sets ?? []) {
		emitNetLookup(context, id, side);
		assembler.jumpIf(r0, '==', imm(0), next);
	}
	for (const id of match.notSets ?? []) {
		emitNetLookup(context, id, side);
		assembler.jumpIf(r0, '!=', imm(0), next);
	}
	if (match.ports !== undefined) {
		if (!hasPorts) emitRequirePorts(assembler, next);
		const found = assembler.freshLabel('port');
		emitPorts(context, match.ports, side, found);
		assembler.jump(next).label(found);
	}
	if (match.notPorts !== undefined) {
		const without = assembler.freshLabel('no-ports');
		if (!hasPorts) emitRequirePorts(assembler, without);
		emitPorts(context, match.notPorts, side, next);
		assembler.label(without);
	}
	if ((match.addressPortSets ?? []).length > 0 && !hasPorts) emitRequirePorts(assembler, next);
	for (const id of match.addressPortSets ?? []) {
		emitAddressPortLookup(context, id, side);
		assembler.jumpIf(r0, '==', imm(0), next);
	}
}

function emitNets(context: RuleContext, nets: readonly PrefixKey[], side: Side, then: string): void {
	const { assembler, family, extraSets } = context;
	const prefixes = ofFamily(nets, family);
	if (prefixes.length <= mostInlinePrefixes) {
		for (const prefix of prefixes) emitInPrefix(assembler, side.address, prefix, then);
		return;
	}
	const members = [...new Set(nets)].sort();
	const id = `nets:${members.join(' ')}`;
	extraSets.set(id, members);
	emitSetLookup(context, id, side.address);
	assembler.jumpIf(r0, '!=', imm(0), then);
}

/** A set of type `nets` of the policy. Leaves 0 in register 0 if the address is no member. */
function emitNetLookup(context: RuleContext, id: SetId, side: Side): void {
	requireSet(context, id);
	emitSetLookup(context, id, side.address);
}

/** Leaves 0 in register 0 if the address at this place of the stack is no member of the set. */
export function emitSetLookup(
	{ assembler, frame, family }: Pick<RuleContext, 'assembler' | 'frame' | 'family'>,
	id: SetId,
	address: number,
): void {
	// The trie's key begins with 4 bytes; from `member + 4` on its set is aligned to 8.
	const key = frame.member + 4;
	assembler.store('w', fp, key, imm(64 + (family === 'ipv4' ? 32 : 128)));
	assembler.loadWide(r1, setKey(id, family)).store('dw', fp, key + Layout.nets.set, r1);
	copyAddress(assembler, key + Layout.nets.address, address);
	assembler.lookup('nets', key);
}

function emitAddressPortLookup(context: RuleContext, id: SetId, side: Side): void {
	const { assembler, frame, family } = context;
	requireSet(context, id);
	const key = frame.member;
	assembler.loadWide(r1, setKey(id, family)).store('dw', fp, key, r1);
	copyAddress(assembler, key + Layout.addressPorts.address, side.address);
	assembler.store('h', fp, key + Layout.addressPorts.protocol, protocolRegister);
	assembler.store('h', fp, key + Layout.addressPorts.port, side.port).lookup('address_ports', key);
}

function requireSet({ sets }: RuleContext, id: SetId): void {
	if (!sets.has(id)) throw new DanglingReferenceError(id);
}

function emitRequirePorts(assembler: Assembler, otherwise: string): void {
	assembler.anyOf(
		portProtocols,
		(protocol, found) => assembler.jumpIf(protocolRegister, '==', imm(protocol), found),
		otherwise,
	);
}

/** Jumps to `then` when a range has the port or a set the address with it. */
function emitPorts(context: RuleContext, { ranges, sets }: PortMatch, side: Side, then: string): void {
	const { assembler } = context;
	emitRanges(assembler, side.port, joined(ranges), then);
	for (const id of sets) {
		emitAddressPortLookup(context, id, side);
		assembler.jumpIf(r0, '!=', imm(0), then);
	}
}

type PortRange = PortMatch['ranges'][number];
/** Ranges that are compared one after another. */
const mostInSequence = 4;

/** In ascending order; what overlaps or adjoins is one range. */
function joined(ranges: readonly PortRange[]): readonly PortRange[] {
	const result: { first: number; last: number }[] = [];
	for (const { first, last } of [...ranges].sort((left, right) => left.first - right.first)) {
		const before = result.at(-1);
		if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
		else result.push({ first, last });
	}
	return result;
}

/**
 * Many ranges are halved: the verifier bounds the jumps in a row, and a packet passes few. Goes on
 * behind it where none has the port.
 */
function emitRanges(assembler: Assembler, port: Register, ranges: readonly PortRange[], then: string): void {
	const middle = ranges.length >> 1;
	const pivot = ranges[middle];
	if (ranges.length > mostInSequence && pivot !== undefined) {
		assembler.when(
			port,
			'<',
			imm(pivot.first),
			() => emitRanges(assembler, port, ranges.slice(0, middle), then),
			() => emitRanges(assembler, port, ranges.slice(middle), then),
		);
		return;
	}
	for (const { first, last } of ranges) {
		if (first === last) assembler.jumpIf(port, '==', imm(first), then);
		else {
			const outside = assembler.freshLabel('outside');
			assembler.jumpIf(port, '<', imm(first), outside).jumpIf(port, '<=', imm(last), then).label(outside);
		}
	}
}
