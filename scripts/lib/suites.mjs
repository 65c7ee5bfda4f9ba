import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './run.mjs';

/**
 * Folders whose tests start real daemons or whole kernels: one file at a time, after the others.
 * `long` are left out of a quick run, all of them of a run of the unit suites. `mostMinutes` bounds
 * each file.
 */
export const serialFolders = [
	{ folder: 'dist/test/interop', long: true, mostMinutes: 10 },
	{ folder: 'dist/test/kubernetes/contract', long: false, mostMinutes: 15 },
	{ folder: 'dist/test/calico', long: true, mostMinutes: 15 },
	{ folder: 'dist/test/cni/reference', long: false, mostMinutes: 10 },
	{ folder: 'dist/test/uml', long: false, mostMinutes: 15 },
	{ folder: 'dist/test/lab', long: true, mostMinutes: 15 },
	{ folder: 'dist/test/qemu', long: true, mostMinutes: 15 },
	{ folder: 'dist/test/felix', long: true, mostMinutes: 10 },
];

/** Bounds the run of the files that are in no row of the table. */
export const unitMinutes = 30;

/** Bound of one file that runs alone, in minutes. */
export const minutesOf = (file) =>
	serialFolders.find(({ folder }) => file.startsWith(`${folder}/`))?.mostMinutes ?? unitMinutes;

const outputs = ['dist/test', 'packages/bgp-packet/dist/test'];

/** Every compiled test file, relative to the repository. */
export function testFiles() {
	return outputs
		.filter((folder) => existsSync(join(root, folder)))
		.flatMap((folder) =>
			readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
				.filter((file) => file.endsWith('.test.js'))
				.map((file) => join(folder, file))
				.sort(),
		);
}

/** The compiled path of an argument: a source or compiled file, or a folder of either. */
export function compiledPath(path) {
	const compiled = relative(root, join(process.cwd(), path)).replace(/\.ts$/, '.js').replace(/\/$/, '');
	return compiled
		.replace(/^test(?=\/|$)/, 'dist/test')
		.replace(/^packages\/bgp-packet\/test(?=\/|$)/, 'packages/bgp-packet/dist/test');
}

/**
 * The files below any of `paths` (all if empty), in two groups: those that may run in parallel, and
 * those that may not.
 */
export function chooseFiles(files, paths, { quick = false, unit = false } = {}) {
	const below = (file, folder) => file === folder || file.startsWith(`${folder}/`);
	const wanted = files.filter((file) => paths.length === 0 || paths.some((path) => below(file, path)));
	const rowOf = (file) => serialFolders.find(({ folder }) => below(file, folder));
	return {
		together: wanted.filter((file) => rowOf(file) === undefined),
		serial: unit ? [] : wanted.filter((file) => rowOf(file) !== undefined && !(quick && rowOf(file).long)),
	};
}
