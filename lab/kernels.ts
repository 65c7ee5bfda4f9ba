import type { GuestKernel } from './guest/index.ts';
import { type KernelSeries, qemuKernel } from './qemu/index.ts';
import type { LabReport } from './report.ts';
import type { PoolMode } from './resources.ts';
import { findCommand, hasIpip, umlKernel } from './uml/index.ts';

/** A kernel in which the laboratory can run. */
export interface LabKernel {
	readonly describe: string;
	/** Its name in the report. */
	readonly report: LabReport['kernel'];
	/** Missing: the kernel of this machine. */
	readonly guest?: GuestKernel;
	/** Can the daemons load their guard of the tunnels there? */
	readonly hasNftables: boolean;
	/** The tunnel of the pools; missing: IPIP. */
	readonly poolMode?: PoolMode;
	/** Bound of the time in which all sessions and routes must be there. */
	readonly convergeSeconds: number;
}

const inQemu = (series: KernelSeries): LabKernel => ({
	describe: `Debian's kernel ${series} under QEMU: IPIP with nftables and eBPF, needs \`npm run setup:kernels\``,
	report: `qemu-${series}`,
	guest: qemuKernel(series),
	hasNftables: findCommand('nft') !== undefined,
	convergeSeconds: 360,
});

/** The kernels by the names that `--kernel` takes. */
export const labKernels: Readonly<Record<string, LabKernel>> = {
	here: {
		describe: 'the kernel of this machine, which needs ipip',
		report: 'own',
		hasNftables: findCommand('nft') !== undefined,
		convergeSeconds: 90,
	},
	vxlan: {
		describe: 'the kernel of this machine, with VXLAN in place of IPIP',
		report: 'own',
		hasNftables: findCommand('nft') !== undefined,
		poolMode: 'vxlan',
		convergeSeconds: 90,
	},
	uml: {
		describe: 'user-mode-linux',
		report: 'user-mode-linux',
		guest: umlKernel,
		hasNftables: false,
		convergeSeconds: 90,
	},
	qemu: inQemu('6.1'),
	'qemu-5.10': inQemu('5.10'),
	'qemu-6.12': inQemu('6.12'),
};

/**
 * The name of the kernel for a run that names none: this machine's, if it has ipip. user-mode-linux
 * cannot enforce network policy.
 */
export const defaultKernel = (enforcesPolicy = false): string =>
	hasIpip() ? 'here' : enforcesPolicy ? 'vxlan' : 'uml';
