/**
 * Registers, sizes, conditions and helpers of the instruction set, RFC 9669, with the kernel's
 * numbers of helpers. Pure.
 */

/**
 * 0 holds results, 1 to 5 arguments (lost by a call), 6 to 9 stay, 10 is the frame pointer (read
 * only).
 */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;
export const [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, fp] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const;

/** 1, 2, 4 or 8 bytes. */
export type Size = 'b' | 'h' | 'w' | 'dw';

/** Unsigned comparisons; `&`: a bit of the operand is set. */
export type Condition = '==' | '!=' | '>' | '>=' | '<' | '<=' | '&';

/** A register, or a constant of 32 bits (sign-extended in 64-bit operations). */
export type Operand = Register | { readonly imm: number };
export const imm = (value: number): Operand => ({ imm: value });

export const sizeCodes: Readonly<Record<Size, number>> = { w: 0x00, h: 0x08, b: 0x10, dw: 0x18 };
export const conditionCodes: Readonly<Record<Condition, number>> = {
	'==': 0x10,
	'>': 0x20,
	'>=': 0x30,
	'&': 0x40,
	'!=': 0x50,
	'<': 0xa0,
	'<=': 0xb0,
};
/** The conditions that have an opposite of one instruction. */
export type Invertible = Exclude<Condition, '&'>;
export const opposites: Readonly<Record<Invertible, Invertible>> = {
	'==': '!=',
	'!=': '==',
	'>': '<=',
	'>=': '<',
	'<': '>=',
	'<=': '>',
};
export const arithmeticCodes = {
	add: 0x00,
	sub: 0x10,
	mul: 0x20,
	div: 0x30,
	or: 0x40,
	and: 0x50,
	lsh: 0x60,
	rsh: 0x70,
	mod: 0x90,
	xor: 0xa0,
	mov: 0xb0,
} as const;
export type Arithmetic = keyof typeof arithmeticCodes;

/** Numbers of helpers in `linux/bpf.h`, with the kernel that introduced each. */
export const Helper = {
	mapLookup: 1, // 3.19
	mapUpdate: 2, // 3.19
	mapDelete: 3, // 3.19
	ktimeGetNs: 5, // 4.1
	random: 7, // 4.1
	skbStoreBytes: 9, // 4.1
	ipv4ChecksumReplace: 10, // 4.1, bpf_l3_csum_replace
	transportChecksumReplace: 11, // 4.1, bpf_l4_csum_replace
	tailCall: 12, // 4.2
	skbSetTunnelKey: 21, // 4.3
	redirect: 23, // 4.4
	skbLoadBytes: 26, // 4.5
	checksumDifference: 28, // 4.6, bpf_csum_diff
	socketCookie: 46, // 4.12, at sockets 4.19
	fibLookup: 69, // 4.18
	netnsCookie: 122, // 5.7
	ringBufferOutput: 130, // 5.8
	redirectNeigh: 152, // 5.10
	redirectPeer: 155, // 5.10
	ktimeGetCoarseNs: 160, // 5.11
} as const;
export type HelperName = keyof typeof Helper;

/** Nanoseconds since boot: exact, or as of the last tick of the kernel, which costs a tenth. */
export type ClockHelper = 'ktimeGetNs' | 'ktimeGetCoarseNs';

/** Operation codes that are not composed. */
export const Opcode = { wide: 0x18, jump: 0x05, call: 0x85, exit: 0x95, byteSwap: 0xdc, atomicAdd: 0xdb } as const;

/** One `struct bpf_insn`, its jump target and map still by name. */
export interface Instruction {
	readonly code: number;
	readonly destination: number;
	readonly source: number;
	readonly offset: number;
	readonly value: number;
	/** Label that the instruction jumps to. */
	readonly target?: string;
	/** Map whose descriptor is put into `value`. */
	readonly map?: string;
	/** What the instruction was made for, e.g. a policy rule. */
	readonly scope: string | undefined;
}
