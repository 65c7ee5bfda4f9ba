import { BpfMap } from '../../src/ebpf/kernel/map.ts';

/** Why this process can't use bpf(2); `undefined`: it can. */
export const noBpf: string | undefined = findBpf();

function findBpf(): string | undefined {
	if (process.platform !== 'linux') return 'eBPF needs Linux';
	try {
		BpfMap.create({ name: 'probe', type: 'array', keyBytes: 4, valueBytes: 4, entries: 1 }).close();
		return undefined;
	} catch (error) {
		return `bpf(2) is not possible here: ${error instanceof Error ? error.message : String(error)}; it needs root`;
	}
}
