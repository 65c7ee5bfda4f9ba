import {
	type Arithmetic,
	arithmeticCodes,
	type Condition,
	conditionCodes,
	fp,
	Helper,
	type HelperName,
	type Instruction,
	type Invertible,
	imm,
	Opcode,
	type Operand,
	opposites,
	type Register,
	r1,
	r2,
	r3,
	r4,
	type Size,
	sizeCodes,
} from './instruction.ts';
import { type AssembledProgram, assembleProgram } from './layout.ts';

/** Bytes of stack of a program; a limit of the kernel (MAX_BPF_STACK). */
const mostStackBytes = 512;

/**
 * The program as described is wrong: a label twice, a label that is missing, too much stack. A
 * fault of the generator.
 */
export class AssemblyError extends Error {
	override readonly name = 'AssemblyError';
}

/**
 * Collects the instructions of one program. Targets of jumps are labels, maps are names, places on
 * the stack have names. The same calls give the same program: there is no state outside of the
 * object.
 */
export class Assembler {
	readonly #instructions: Instruction[] = [];
	readonly #labels = new Map<string, number>();
	readonly #slots = new Map<string, number>();
	#scope: string | undefined;
	#stackBytes = 0;
	#fresh = 0;

	#emit(
		code: number,
		destination: number,
		source: number,
		offset: number,
		value: number,
		names: Pick<Instruction, 'target' | 'map'> = {},
	): this {
		this.#instructions.push({ code, destination, source, offset, value, ...names, scope: this.#scope });
		return this;
	}

	#operate(code: number, destination: Register, operand: Operand, offset = 0, target?: string): this {
		const names = target === undefined ? {} : { target };
		return typeof operand === 'number'
			? this.#emit(code | 0x08, destination, operand, offset, 0, names)
			: this.#emit(code, destination, 0, offset, operand.imm, names);
	}

	/** 64-bit arithmetic. */
	op(name: Arithmetic, destination: Register, operand: Operand): this {
		return this.#operate(0x07 | arithmeticCodes[name], destination, operand);
	}

	/** 32-bit arithmetic; clears the upper half. */
	op32(name: Arithmetic, destination: Register, operand: Operand): this {
		return this.#operate(0x04 | arithmeticCodes[name], destination, operand);
	}

	mov(destination: Register, operand: Operand): this {
		return this.op('mov', destination, operand);
	}

	/** Between network order and the machine's order; clears the bits above. */
	swap(destination: Register, bits: 16 | 32 | 64): this {
		return this.#emit(Opcode.byteSwap, destination, 0, 0, bits);
	}

	/** `destination = *(source + offset)` */
	load(size: Size, destination: Register, source: Register, offset: number): this {
		return this.#emit(0x61 | sizeCodes[size], destination, source, offset, 0);
	}

	/** `*(destination + offset) = operand` */
	store(size: Size, destination: Register, offset: number, operand: Operand): this {
		return typeof operand === 'number'
			? this.#emit(0x63 | sizeCodes[size], destination, operand, offset, 0)
			: this.#emit(0x62 | sizeCodes[size], destination, 0, offset, operand.imm);
	}

	/** Atomically `*(u64 *)(destination + offset) += source` */
	atomicAdd(destination: Register, offset: number, source: Register): this {
		return this.#emit(Opcode.atomicAdd, destination, source, offset, 0);
	}

	loadMap(destination: Register, map: string): this {
		return this.#emit(Opcode.wide, destination, 1, 0, 0, { map }).#emit(0, 0, 0, 0, 0);
	}

	/** A constant of 64 bits. */
	loadWide(destination: Register, value: bigint): this {
		const half = (shift: bigint) => Number(BigInt.asIntN(32, value >> shift));
		return this.#emit(Opcode.wide, destination, 0, 0, half(0n)).#emit(0, 0, 0, 0, half(32n));
	}

	call(helper: HelperName): this {
		return this.#emit(Opcode.call, 0, 0, 0, Helper[helper]);
	}

	exit(): this {
		return this.#emit(Opcode.exit, 0, 0, 0, 0);
	}

	/** @throws AssemblyError when it exists */
	label(name: string): this {
		if (this.#labels.has(name)) throw new AssemblyError(`the label '${name}' exists twice`);
		this.#labels.set(name, this.#instructions.length);
		return this;
	}

	/** A name for a label that is not in use. */
	freshLabel(stem: string): string {
		this.#fresh++;
		return `${stem}#${this.#fresh}`;
	}

	jump(target: string): this {
		return this.#emit(Opcode.jump, 0, 0, 0, 0, { target });
	}

	/** Compares 64 bits; a constant is sign-extended. */
	jumpIf(register: Register, condition: Condition, operand: Operand, target: string): this {
		return this.#operate(0x05 | conditionCodes[condition], register, operand, 0, target);
	}

	/**
	 * Compares the lower 32 bits (kernel 5.1): the form for addresses, whose first bit must not
	 * become a sign.
	 */
	jumpIf32(register: Register, condition: Condition, operand: Operand, target: string): this {
		return this.#operate(0x06 | conditionCodes[condition], register, operand, 0, target);
	}

	/** `if (register condition operand) { then } else { otherwise }` */
	when(register: Register, condition: Invertible, operand: Operand, then: () => void, otherwise?: () => void): this {
		const end = this.freshLabel('end');
		const other = otherwise === undefined ? end : this.freshLabel('else');
		this.jumpIf(register, opposites[condition], operand, other);
		then();
		if (otherwise !== undefined) {
			this.jump(end).label(other);
			otherwise();
		}
		return this.label(end);
	}

	/** Goes on behind it when one of the tests jumps to `found`, else jumps to `otherwise`. */
	anyOf<T>(items: Iterable<T>, test: (item: T, found: string) => void, otherwise: string): this {
		const found = this.freshLabel('found');
		for (const item of items) test(item, found);
		return this.jump(otherwise).label(found);
	}

	/** What `emit` adds belongs to `scope`: errors of the verifier name it. */
	within(scope: string, emit: () => void): this {
		const outer = this.#scope;
		this.#scope = scope;
		try {
			emit();
		} finally {
			this.#scope = outer;
		}
		return this;
	}

	/**
	 * Offset from the frame pointer of bytes with a name, aligned to 8; the same name gives the same
	 * place. @throws AssemblyError
	 */
	slot(name: string, bytes: number): number {
		const known = this.#slots.get(name);
		if (known !== undefined) return known;
		this.#stackBytes += (bytes + 7) & ~7;
		if (this.#stackBytes > mostStackBytes)
			throw new AssemblyError(`'${name}' does not fit into ${mostStackBytes} bytes of stack`);
		this.#slots.set(name, -this.#stackBytes);
		return -this.#stackBytes;
	}

	/**
	 * Zeroes stack in steps of 8 bytes. The verifier refuses keys with bytes that were never written,
	 * padding included.
	 */
	zero(offset: number, bytes: number): this {
		for (let at = 0; at < bytes; at += 8) this.store('dw', fp, offset + at, imm(0));
		return this;
	}

	/** `destination = frame pointer + offset` */
	address(destination: Register, offset: number): this {
		return this.mov(destination, fp).op('add', destination, imm(offset));
	}

	/** Leaves the address of the value, or 0, in register 0. */
	lookup(map: string, keyOffset: number): this {
		return this.loadMap(r1, map).address(r2, keyOffset).call('mapLookup');
	}

	update(map: string, keyOffset: number, valueOffset: number): this {
		return this.loadMap(r1, map).address(r2, keyOffset).address(r3, valueOffset).mov(r4, imm(0)).call('mapUpdate');
	}

	/** Instructions up to now, those that nothing reaches included. */
	get size(): number {
		return this.#instructions.length;
	}

	/**
	 * The program without the code that nothing reaches. @throws AssemblyError, ProgramTooLargeError
	 */
	assemble(): AssembledProgram {
		return assembleProgram(this.#instructions, this.#labels, (message) => new AssemblyError(message));
	}
}
