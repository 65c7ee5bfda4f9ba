/** Memory that maps and programs take in the kernel. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { PolicyMaps } from '../../src/ebpf/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';

export interface KernelMemory {
	/** `memlock` of the maps: what is allocated, or reserved for all elements at once. */
	readonly mapsMiB: number;
	readonly programs: number;
	/** Programs with rules and entries. Absent: bpftool is missing. */
	readonly programsKiB?: number;
}

const infoOf = (fd: string): string => {
	try {
		return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
	} catch {
		return '';
	}
};
const numberIn = (text: string, field: string): number | undefined => {
	const [, value] = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text) ?? [];
	return value === undefined ? undefined : Number(value);
};

/** Of these maps, the programs in their array, and the programs that this process has open. */
export function kernelMemory(maps: PolicyMaps): KernelMemory {
	const ofMaps = [...maps.values()].reduce((sum, { fd }) => sum + (numberIn(infoOf(String(fd)), 'memlock') ?? 0), 0);
	const ids = new Set<number>();
	for (const fd of readdirSync('/proc/self/fdinfo')) {
		const id = numberIn(infoOf(fd), 'prog_id');
		if (id !== undefined) ids.add(id);
	}
	const array = maps.get('rule_programs');
	for (const key of [...(array?.keys() ?? [])]) {
		const value = array?.get(key);
		if (value !== undefined) ids.add(new DataView(value.buffer, value.byteOffset).getUint32(0, true));
	}
	const mapsMiB = Math.round((ofMaps / 2 ** 20) * 10) / 10;
	try {
		const text = execFileSync('bpftool', ['-j', 'prog', 'show'], { env: systemEnvironment(), maxBuffer: 1 << 28 });
		// The list of bpftool.
		const listed = JSON.parse(text.toString()) as { id: number; bytes_memlock: number }[];
		const bytes = listed.filter(({ id }) => ids.has(id)).reduce((sum, one) => sum + one.bytes_memlock, 0);
		return { mapsMiB, programs: ids.size, programsKiB: Math.round(bytes / 1024) };
	} catch {
		return { mapsMiB, programs: ids.size };
	}
}
