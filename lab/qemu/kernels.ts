import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** Debian's kernels that `npm run setup:kernels` unpacks, by the series of the kernel. */
export const kernelSeries = ['5.10', '6.1', '6.12'] as const;
export type KernelSeries = (typeof kernelSeries)[number];

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'bgpmesh/kernels');

/** An unpacked kernel package. */
export interface InstalledKernel {
	/** The image, which QEMU loads. */
	readonly image: string;
	/** Its release, as `uname -r` shows it. */
	readonly release: string;
	/** The folder that holds a folder of modules for each release. */
	readonly modules: string;
}

/** The kernel of that series; `undefined` if `npm run setup:kernels` has not run. */
export function installedKernel(series: KernelSeries): InstalledKernel | undefined {
	const root = join(cache, series);
	const modules = join(root, 'lib/modules');
	if (!existsSync(join(root, 'complete'))) return undefined;
	const [release] = readdirSync(modules);
	return release === undefined ? undefined : { image: join(root, `boot/vmlinuz-${release}`), release, modules };
}

/**
 * The name of a module without folder, suffix and compression; dashes and underscores are equal.
 */
const moduleName = (path: string) =>
	basename(path)
		.replace(/\.ko(\.xz)?$/, '')
		.replaceAll('-', '_');

/**
 * The files of these modules and of all that they depend on, in the order to load, relative to the
 * folder of the release. `dependencies`: the text of modules.dep (depmod(8)). Names that it lacks
 * are built into the kernel. Pure.
 */
export function modulesInOrder(dependencies: string, names: readonly string[]): readonly string[] {
	const rows = dependencies
		.trim()
		.split('\n')
		.map((line) => {
			const [path = '', needed = ''] = line.split(':');
			return { path, needed: needed.split(' ').filter((each) => each !== '') };
		});
	const table = new Map(rows.map((row) => [moduleName(row.path), row]));
	const ordered = names.flatMap((name) => {
		const row = table.get(moduleName(name));
		// depmod lists the direct dependency first and the deepest last.
		return row === undefined ? [] : [...row.needed.toReversed(), row.path];
	});
	return [...new Set(ordered)];
}

/** A module as the kernel loads it: Debian compresses them since 6.12. */
export const moduleBytes = (path: string): Uint8Array =>
	path.endsWith('.xz') ? execFileSync('xz', ['-dc', path], { maxBuffer: 1 << 26 }) : readFileSync(path);
