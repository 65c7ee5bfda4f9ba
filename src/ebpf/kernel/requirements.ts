import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { Assembler } from '../assembly/assembler.ts';
import { imm, r0 } from '../assembly/instruction.ts';
import { BpfMap, type MapType } from './map.ts';
import { LoadedProgram } from './program.ts';

/** The oldest kernel that this backend is made for. */
export const leastKernel = { major: 5, minor: 10 } as const;

/** Bits of capabilities, `linux/capability.h`. */
const Capability = { netAdmin: 12n, sysAdmin: 21n, sysResource: 24n, bpf: 39n } as const;
/** The kernel that split CAP_BPF from CAP_SYS_ADMIN. */
const bpfCapabilitySince = { major: 5, minor: 8 } as const;
/** The kernel that no more counts maps as locked memory. */
const uncountedSince = { major: 5, minor: 11 } as const;
/** All maps at their default sizes are somewhat smaller. */
const mostLockedBytes = 512 << 20;

/** What is known of the machine before anything is tried. */
export interface MachineFacts {
	/** `process.arch`. */
	readonly architecture: string;
	/** `6.1.0-18-amd64`. */
	readonly kernelRelease: string;
	/** Text of `/proc/self/status`; `undefined`: not readable. */
	readonly processStatus: string | undefined;
	/** Text of `/proc/self/limits`; `undefined`: not readable. */
	readonly processLimits: string | undefined;
}

const isBefore = (
	version: { readonly major: number; readonly minor: number },
	least: { readonly major: number; readonly minor: number },
): boolean => version.major < least.major || (version.major === least.major && version.minor < least.minor);

/** What the machine lacks for eBPF, a sentence for each; empty: nothing that can be seen. Pure. */
export function missingRequirements({
	architecture,
	kernelRelease,
	processStatus,
	processLimits,
}: MachineFacts): string[] {
	const missing: string[] = [];
	if (architecture !== 'x64' && architecture !== 'arm64')
		missing.push(`the architecture ${architecture} is not supported: x64 or arm64`);
	const [, major, minor] = /^(\d+)\.(\d+)/.exec(kernelRelease) ?? [];
	const kernel = { major: Number(major), minor: Number(minor) };
	if (major !== undefined && isBefore(kernel, leastKernel))
		missing.push(`kernel ${kernelRelease} is older than ${leastKernel.major}.${leastKernel.minor}`);
	const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(processStatus ?? '') ?? [];
	if (effective === undefined) return missing;
	const has = (bit: bigint) => ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
	if (!has(Capability.netAdmin)) missing.push('the capability CAP_NET_ADMIN is missing');
	const mayLoad = has(Capability.sysAdmin) || (has(Capability.bpf) && !isBefore(kernel, bpfCapabilitySince));
	if (!mayLoad) missing.push('the capability CAP_BPF is missing (CAP_SYS_ADMIN before kernel 5.8)');
	const counted = major !== undefined && isBefore(kernel, uncountedSince);
	if (counted && !has(Capability.sysResource) && !mayLock(processLimits))
		missing.push(
			`the capability CAP_SYS_RESOURCE is missing: kernel ${kernelRelease} counts maps as locked memory, ` +
				'which is limited (RLIMIT_MEMLOCK)',
		);
	return missing;
}

/** Is there room for the maps below the limits of a process? */
function mayLock(limits: string | undefined): boolean {
	const [, soft, hard] = /^Max locked memory\s+(\S+)\s+(\S+)/m.exec(limits ?? '') ?? [];
	return soft === undefined || hard === 'unlimited' || soft === 'unlimited' || Number(soft) >= mostLockedBytes;
}

/** Kinds of maps that policy needs, each tried once. */
const probes: readonly { readonly type: keyof typeof MapType; readonly since: string }[] = [
	{ type: 'hash', since: '3.19' },
	{ type: 'programArray', since: '4.2' },
	{ type: 'perCpuArray', since: '4.6' },
	{ type: 'lruHash', since: '4.10' },
	{ type: 'lpmTrie', since: '4.11' },
	{ type: 'ringBuffer', since: '5.8' },
];

/**
 * What this machine lacks for eBPF: facts first, then each kind of map and a program in the kernel.
 * Empty: it can be used.
 */
export function checkRequirements(): string[] {
	const missing = missingRequirements({
		architecture: process.arch,
		kernelRelease: release(),
		processStatus: textOf('/proc/self/status'),
		processLimits: textOf('/proc/self/limits'),
	});
	if (missing.length > 0) return missing;
	const attempt = (what: string, act: () => { close(): void }) => {
		try {
			act().close();
		} catch (error) {
			missing.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
		}
	};
	for (const { type, since } of probes) {
		const ring = type === 'ringBuffer';
		attempt(`maps of type ${type} (kernel ${since}) are refused`, () =>
			BpfMap.create({
				...{
					name: 'probe',
					type,
					keyBytes: ring ? 0 : type.endsWith('Array') ? 4 : 8,
					valueBytes: ring ? 0 : 4,
					entries: ring ? 4096 : 1,
				},
			}),
		);
	}
	attempt('programs are refused', loadProbe);
	return missing;
}

/**
 * A program that passes every packet; it shows what the kernel supports. @throws SystemCallError,
 * VerifierError
 */
export const loadProbe = (): LoadedProgram =>
	LoadedProgram.load(new Assembler().mov(r0, imm(-1)).exit().assemble(), {
		name: 'probe',
		type: 'schedClassifier',
		maps: new Map(),
	});

function textOf(file: string): string | undefined {
	try {
		return readFileSync(file, 'utf8');
	} catch {
		return undefined;
	}
}
