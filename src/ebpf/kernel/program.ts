import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { SystemCallError } from '../../linux/index.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { Attributes, bpf, Command, tryBpf } from './call.ts';
import type { BpfMap } from './map.ts';
import { explainVerifierLog } from './verifier-log.ts';

/** Kinds of programs. */
export const ProgramType = { schedClassifier: 3, cgroupSockAddr: 18 } as const;

/**
 * The verifier refused a program. The message names labels and scopes of the generator, never
 * numbers of instructions.
 */
export class VerifierError extends Error {
	override readonly name = 'VerifierError';
	readonly program: string;
	/** Last label before the refused instruction, and the distance from it. */
	readonly label: string;
	/** What the instruction was made for, e.g. a policy rule. */
	readonly scope: string | undefined;
	/** The verifier's sentence. */
	readonly reason: string;

	constructor(program: string, explanation: ReturnType<typeof explainVerifierLog>) {
		const { label, scope, reason } = explanation;
		super(`the kernel refused program ${program} at ${label}${scope === undefined ? '' : ` (${scope})`}: ${reason}`);
		this.program = program;
		this.label = label;
		this.scope = scope;
		this.reason = reason;
	}
}

export interface LoadOptions {
	/** For `bpftool`; at most 15 letters remain. */
	readonly name: string;
	readonly type: keyof typeof ProgramType;
	/** By the names that the program uses. */
	readonly maps: ReadonlyMap<string, BpfMap>;
	/** Of programs at a cgroup: the hook. */
	readonly expectedAttachType?: number;
}

const logBytes = 16 << 20;
const { EAGAIN } = constants.errno;
/** Loads of one program that signals may interrupt. */
const mostTries = 10;
/** Helpers such as `ktime_get_ns` are open to programs under the GPL alone. */
const license = new TextEncoder().encode('GPL\0');

export interface TestRunOptions {
	/** Index of the interface that the packet came by; 0: it starts here. */
	readonly ingressIndex?: number;
	readonly mark?: number;
}

/** A loaded program. It lives while this object, an attachment or a pin refers to it. */
export class LoadedProgram {
	readonly fd: number;

	private constructor(fd: number) {
		this.fd = fd;
	}

	/**
	 * Loads without a log, which is fast, and again with a log when refused. @throws VerifierError,
	 * SystemCallError
	 */
	static load(program: AssembledProgram, { name, type, maps, expectedAttachType = 0 }: LoadOptions): LoadedProgram {
		const code = program.encode((map) => {
			const found = maps.get(map);
			if (found === undefined) throw new RangeError(`program ${name} uses the map ${map}, which is not given`);
			return found.fd;
		});
		const attempt = (log?: Uint8Array): number => {
			const attributes = new Attributes()
				.u32(0, ProgramType[type])
				.u32(4, code.length / 8)
				.pointer(8, code)
				.pointer(16, license)
				.name(48, name)
				.u32(68, expectedAttachType);
			if (log !== undefined) attributes.u32(24, 1).u32(28, log.length).pointer(32, log);
			let result = tryBpf(Command.programLoad, attributes, 120);
			// The verifier gives up with EAGAIN while a signal is pending; its handler runs before the
			// next call.
			for (let tries = 1; tries < mostTries && result === -EAGAIN; tries++)
				result = tryBpf(Command.programLoad, attributes, 120);
			return result;
		};
		const first = attempt();
		if (first >= 0) return new LoadedProgram(first);
		// A log that does not fit gives ENOSPC in place of the cause.
		const log = new Uint8Array(logBytes);
		const second = attempt(log);
		if (second >= 0) return new LoadedProgram(second);
		// Interrupted, not refused: the log ends where the verifier was.
		if (first === -EAGAIN || second === -EAGAIN) throw new SystemCallError(`bpf: load program ${name}`, EAGAIN);
		const text = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0))));
		if (text.trim() === '') throw new SystemCallError(`bpf: load program ${name}`, -first);
		throw new VerifierError(name, explainVerifierLog(text, program));
	}

	/**
	 * Runs it on a packet with its Ethernet header, without any interface (BPF_PROG_TEST_RUN, kernel
	 * 4.12). @throws SystemCallError
	 */
	testRun(packet: Uint8Array, options: TestRunOptions = {}): number {
		return this.testRunMarked(packet, options).result;
	}

	/** The same, with the mark that the packet has afterwards. @throws SystemCallError */
	testRunMarked(
		packet: Uint8Array,
		{ ingressIndex = 0, mark = 0 }: TestRunOptions = {},
	): { readonly result: number; readonly mark: number } {
		// `struct __sk_buff`: `mark` lies at 8, `ingress_ifindex` at 36.
		const context = new Uint8Array(192);
		const view = new DataView(context.buffer);
		view.setUint32(8, mark, true);
		view.setUint32(36, ingressIndex, true);
		const after = new Uint8Array(192);
		const attributes = new Attributes()
			.u32(0, this.fd)
			.u32(8, packet.length)
			.pointer(16, packet)
			.u32(32, 1)
			.u32(40, context.length)
			.u32(44, after.length)
			.pointer(48, context)
			.pointer(56, after);
		bpf('run the program', Command.testRun, attributes, 80);
		return { result: attributes.readU32(4), mark: new DataView(after.buffer).getUint32(8, true) };
	}

	close(): void {
		closeSync(this.fd);
	}
}
