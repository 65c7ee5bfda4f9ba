import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3 } from '../assembly/instruction.ts';
import {
	destinationPortRegister,
	type Frame,
	packetRegister,
	protocolRegister,
	sourcePortRegister,
	storeEndpoint,
} from './frame.ts';
import { Layout } from './maps.ts';

/**
 * A tail call loses registers and stack: what the next program of the packet needs lies in a map
 * with one value for each processor. Programs of one packet run one after the other on one
 * processor, and no other packet comes between. An entry of an earlier version may call rules of
 * this one: a change needs a new `policyLayoutVersion`.
 */
const handedOver: readonly { readonly slot: keyof Frame; readonly bytes: number }[] = [
	{ slot: 'event', bytes: Layout.event.bytes },
	{ slot: 'connection', bytes: 48 },
	{ slot: 'fragment', bytes: 48 },
	{ slot: 'fragmented', bytes: 8 },
	{ slot: 'tracked', bytes: 8 },
	{ slot: 'now', bytes: 8 },
];

/** The frame of programs with rules: addresses are in the event. */
export const ruleFrame = (frame: Frame): Frame => ({
	...frame,
	source: frame.event + Layout.event.source,
	destination: frame.event + Layout.event.destination,
});

/**
 * Leaves the packet to the rules of its endpoint (`rulesNumber`); jumps to `otherwise` where it has
 * none.
 */
export function emitToRules(
	assembler: Assembler,
	frame: Frame,
	{ family, rules, otherwise }: { readonly family: Family; readonly rules: number; readonly otherwise: string },
): void {
	storeEndpoint(assembler, frame.endpoint);
	assembler.store('w', fp, frame.endpoint + 4, imm(rules));
	assembler.lookup('endpoints', frame.endpoint).jumpIf(r0, '==', imm(0), otherwise);
	assembler.load('w', r1, r0, family === 'ipv4' ? 0 : 4).store('dw', fp, frame.next, r1);
	emitScratch(assembler, frame, otherwise);
	copySlots(frame, (slot, at) => assembler.load('dw', r1, fp, slot).store('dw', r0, at, r1));
	emitTailCall(assembler, frame, { behind: 0, otherwise });
}

/**
 * The start of a program with rules. Jumps to `behind`, if given, where a tier of the program
 * before was left.
 */
export function emitFromScratch(
	assembler: Assembler,
	frame: Frame,
	{ behind, otherwise }: { readonly behind: string | undefined; readonly otherwise: string },
): void {
	assembler.mov(packetRegister, r1);
	emitScratch(assembler, frame, otherwise);
	copySlots(frame, (slot, at) => assembler.load('dw', r1, r0, at).store('dw', fp, slot, r1));
	const at = Layout.event;
	assembler.load('b', protocolRegister, fp, frame.event + at.protocol);
	assembler.load('h', sourcePortRegister, fp, frame.event + at.sourcePort);
	assembler.load('h', destinationPortRegister, fp, frame.event + at.destinationPort);
	assembler.load('w', r1, r0, Layout.scratch.program).op('add', r1, imm(1)).store('dw', fp, frame.next, r1);
	if (behind !== undefined) assembler.load('w', r1, r0, Layout.scratch.behind).jumpIf(r1, '!=', imm(0), behind);
}

/** Leaves the packet to the next program; `behind` 1: behind the tier that is open. */
export function emitToNext(
	assembler: Assembler,
	frame: Frame,
	{ behind, otherwise }: { readonly behind: 0 | 1; readonly otherwise: string },
): void {
	emitScratch(assembler, frame, otherwise);
	emitTailCall(assembler, frame, { behind, otherwise });
}

/** Register 0: the value of `scratch`. */
function emitScratch(assembler: Assembler, frame: Frame, otherwise: string): void {
	assembler.store('w', fp, frame.count, imm(0)).lookup('scratch', frame.count).jumpIf(r0, '==', imm(0), otherwise);
}

/** A program that does not exist is no error: the code behind the call goes on. */
function emitTailCall(
	assembler: Assembler,
	frame: Frame,
	{ behind, otherwise }: { readonly behind: 0 | 1; readonly otherwise: string },
): void {
	assembler.load('dw', r3, fp, frame.next).store('w', r0, Layout.scratch.program, r3);
	assembler.store('w', r0, Layout.scratch.behind, imm(behind));
	assembler.mov(r1, packetRegister).loadMap(r2, 'rule_programs').call('tailCall').jump(otherwise);
}

function copySlots(frame: Frame, copy: (slot: number, at: number) => void): void {
	let at: number = Layout.scratch.slots;
	for (const { slot, bytes } of handedOver)
		for (let offset = 0; offset < bytes; offset += 8, at += 8) copy(frame[slot] + offset, at);
	if (at > Layout.scratch.bytes) throw new RangeError(`${at} bytes do not fit into the scratch map`);
}
