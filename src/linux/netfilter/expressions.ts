/**
 * Expressions of nf_tables rules: what the kernel carries out for a packet, in order.
 * linux/netfilter/nf_tables.h
 */
import type { MessageWriter } from '../netlink/writer.ts';
import { DataAttribute, ExpressionAttribute, listElement, objectTypeCounter } from './constants.ts';
import { type Verdict, writeVerdict } from './elements.ts';

/** Registers of 32 bits: an address of IPv6 takes four. */
export type Register = number;

/** One expression. `register` counts in words of 4 bytes from 0 to 15. */
export type Expression =
	/** Loads bytes of the packet: from the header of the network or of the transport layer. */
	| {
			readonly type: 'payload';
			readonly base: 'network' | 'transport';
			readonly offset: number;
			readonly bytes: number;
			readonly register: Register;
	  }
	| { readonly type: 'meta'; readonly key: MetaKey; readonly register: Register }
	| { readonly type: 'set-mark'; readonly register: Register }
	/** Keeps the bits of `mask`, then flips those of `xor`. */
	| { readonly type: 'bitwise'; readonly register: Register; readonly mask: Uint8Array; readonly xor: Uint8Array }
	| { readonly type: 'compare'; readonly register: Register; readonly operator: Operator; readonly value: Uint8Array }
	/** RTN_* of the packet's source address, as a number of the machine. */
	| { readonly type: 'source-type'; readonly register: Register }
	/** A number below this that is drawn anew for each packet, as a number of the machine. */
	| { readonly type: 'draw'; readonly below: number; readonly register: Register }
	/** Not in this range, both ends included. */
	| { readonly type: 'outside'; readonly register: Register; readonly from: Uint8Array; readonly to: Uint8Array }
	| { readonly type: 'lookup'; readonly register: Register; readonly set: string; readonly inverted: boolean }
	/** The verdict that a map has for the key; none: the rule does not match. */
	| { readonly type: 'lookup-verdict'; readonly register: Register; readonly map: string }
	/** Replaces the key by the value that a map has for it; none: the rule does not match. */
	| { readonly type: 'lookup-value'; readonly register: Register; readonly map: string }
	/** A look-up in a set that belongs to the rule; a map if it has verdicts. One in a rule. */
	| { readonly type: 'lookup-own'; readonly register: Register; readonly set: OwnSet }
	/** Adds the key to a set, or makes it young again. */
	| {
			readonly type: 'update';
			readonly register: Register;
			readonly set: string;
			readonly timeoutMs: number;
	  }
	| {
			readonly type: 'destination-nat';
			readonly family: 'ipv4' | 'ipv6';
			readonly addressRegister: Register;
			readonly portRegister: Register;
	  }
	| { readonly type: 'verdict'; readonly verdict: Verdict }
	/** Counts in a named counter. */
	| { readonly type: 'counter'; readonly name: string }
	| { readonly type: 'limit'; readonly packetsPerSecond: number; readonly burst: number }
	| { readonly type: 'log'; readonly group: number; readonly prefix: string; readonly snapBytes: number }
	| { readonly type: 'notrack' };

/** A set without a name, in one rule. */
export type OwnSet =
	| { readonly type: 'protocols'; readonly numbers: readonly number[] }
	/** From 0 to the length of the list. */
	| { readonly type: 'verdicts'; readonly verdicts: readonly Verdict[] };

/** What the kernel gives a number to. A rule and its set refer to each other by it. */
export const ownSetName = (set: OwnSet): string => (set.type === 'verdicts' ? '__map%d' : '__set%d');

/** NFT_META_*. */
const metaKeys = { mark: 3, nfproto: 15, l4proto: 16 } as const;
export type MetaKey = keyof typeof metaKeys;
/** NFT_CMP_*. */
const operators = { equal: 0, 'not-equal': 1, 'at-most': 3, 'at-least': 5 } as const;
export type Operator = keyof typeof operators;
/** NFT_PAYLOAD_*_HEADER. */
const payloadBases = { network: 1, transport: 2 } as const;

const nestedFlag = 0x8000;
const rangeNotEqual = 1;
const lookupInverted = 1;
const verdictRegister = 0;
const oneSecond = 1n;
/** NFTA_FIB_F_SADDR and NFT_FIB_RESULT_ADDRTYPE. */
const fib = { source: 1, addressType: 3 } as const;
const randomNumber = 1;
const destinationNat = 1;
const dynamicUpdate = 1;
/** `nfproto`. */
const protocols = { ipv4: 2, ipv6: 10 } as const;

/**
 * NFT_REG_1 to 4 are 16 bytes each, NFT_REG32_00 and on are words: the kernel lists multiples of
 * four as the former.
 */
const registerNumber = (register: Register): number => (register % 4 === 0 ? 1 + register / 4 : 8 + register);

/** Appends the elements of NFTA_RULE_EXPRESSIONS. `ownSetId`: number of the rule's own set. */
export function writeExpressions(writer: MessageWriter, expressions: readonly Expression[], ownSetId: number): void {
	for (const expression of expressions) writeExpression(writer, expression, ownSetId);
}

function writeExpression(writer: MessageWriter, expression: Expression, ownSetId: number): void {
	const named = (name: string, body: () => void) =>
		writer.nested(nestedFlag | listElement, () => {
			writer.attributeText(ExpressionAttribute.name, name);
			writer.nested(nestedFlag | ExpressionAttribute.data, body);
		});
	const number = (attribute: number, value: number) => writer.attributeBe32(attribute, value);
	const data = (attribute: number, value: Uint8Array) =>
		writer.nested(nestedFlag | attribute, () => writer.attribute(DataAttribute.value, value));
	switch (expression.type) {
		case 'payload':
			named('payload', () => {
				number(1, registerNumber(expression.register));
				number(2, payloadBases[expression.base]);
				number(3, expression.offset);
				number(4, expression.bytes);
			});
			break;
		case 'meta':
			named('meta', () => {
				number(1, registerNumber(expression.register));
				number(2, metaKeys[expression.key]);
			});
			break;
		case 'set-mark':
			named('meta', () => {
				number(2, metaKeys.mark);
				number(3, registerNumber(expression.register));
			});
			break;
		case 'bitwise':
			named('bitwise', () => {
				number(1, registerNumber(expression.register));
				number(2, registerNumber(expression.register));
				number(3, expression.mask.length);
				data(4, expression.mask);
				data(5, expression.xor);
			});
			break;
		case 'compare':
			named('cmp', () => {
				number(1, registerNumber(expression.register));
				number(2, operators[expression.operator]);
				data(3, expression.value);
			});
			break;
		case 'outside':
			named('range', () => {
				number(1, registerNumber(expression.register));
				number(2, rangeNotEqual);
				data(3, expression.from);
				data(4, expression.to);
			});
			break;
		case 'lookup':
			named('lookup', () => {
				writer.attributeText(1, expression.set);
				number(2, registerNumber(expression.register));
				if (expression.inverted) number(5, lookupInverted);
			});
			break;
		case 'lookup-verdict':
			named('lookup', () => {
				writer.attributeText(1, expression.map);
				number(2, registerNumber(expression.register));
				number(3, verdictRegister);
			});
			break;
		case 'source-type':
			named('fib', () => {
				number(1, registerNumber(expression.register));
				number(2, fib.addressType);
				number(3, fib.source);
			});
			break;
		case 'draw':
			named('numgen', () => {
				number(1, registerNumber(expression.register));
				number(2, expression.below);
				number(3, randomNumber);
				number(4, 0);
			});
			break;
		case 'lookup-value':
			named('lookup', () => {
				writer.attributeText(1, expression.map);
				number(2, registerNumber(expression.register));
				number(3, registerNumber(expression.register));
			});
			break;
		case 'lookup-own':
			named('lookup', () => {
				writer.attributeText(1, ownSetName(expression.set));
				number(2, registerNumber(expression.register));
				if (expression.set.type === 'verdicts') number(3, verdictRegister);
				number(4, ownSetId);
			});
			break;
		case 'update':
			named('dynset', () => {
				writer.attributeText(1, expression.set);
				number(3, dynamicUpdate);
				number(4, registerNumber(expression.register));
				writer.attributeBe64(6, BigInt(expression.timeoutMs));
			});
			break;
		case 'destination-nat':
			named('nat', () => {
				number(1, destinationNat);
				number(2, protocols[expression.family]);
				number(3, registerNumber(expression.addressRegister));
				number(5, registerNumber(expression.portRegister));
			});
			break;
		case 'verdict':
			named('immediate', () => {
				number(1, verdictRegister);
				writer.nested(nestedFlag | 2, () => writeVerdict(writer, expression.verdict));
			});
			break;
		case 'counter':
			named('objref', () => {
				number(1, objectTypeCounter);
				writer.attributeText(2, expression.name);
			});
			break;
		case 'limit':
			named('limit', () => {
				writer.attributeBe64(1, BigInt(expression.packetsPerSecond));
				writer.attributeBe64(2, oneSecond);
				number(3, expression.burst);
			});
			break;
		case 'log':
			named('log', () => {
				writer.attribute(1, Uint8Array.of(expression.group >> 8, expression.group & 0xff));
				writer.attributeText(2, expression.prefix);
				number(3, expression.snapBytes);
			});
			break;
		case 'notrack':
			named('notrack', () => {});
			break;
		default:
			expression satisfies never;
	}
}
