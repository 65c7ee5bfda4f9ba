import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './run.mjs';

/**
 * Folders whose tests start real daemons or whole kernels: one file at a time, after the others. `long` are left out of the second
 * run on another Node.js, which asks whether the code works there, not whether the peers do.
 */
export const serialFolders = [
	{ folder: 'dist/test/interop', long: true },
	{ folder: 'dist/test/kubernetes/contract', long: false },
	{ folder: 'dist/test/calico', long: true },
	{ folder: 'dist/test/cni/reference', long: false },
	{ folder: 'dist/test/uml', long: false },
	{ folder: 'dist/test/lab', long: true },
];

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

/** The compiled place of what a person names: a source or compiled file, or a folder of either. */
export function compiledPath(path) {
	const compiled = relative(root, join(process.cwd(), path)).replace(/\.ts$/, '.js').replace(/\/$/, '');
	return compiled.replace(/^test(?=\/|$)/, 'dist/test').replace(/^packages\/bgp-packet\/test(?=\/|$)/, 'packages/bgp-packet/dist/test');
}

/** The files below any of `paths` (all without any), in two groups: those that may run beside each other, and those that may not. */
export function chooseFiles(files, paths, { quick = false } = {}) {
	const below = (file, folder) => file === folder || file.startsWith(`${folder}/`);
	const wanted = files.filter((file) => paths.length === 0 || paths.some((path) => below(file, path)));
	const rowOf = (file) => serialFolders.find(({ folder }) => below(file, folder));
	return {
		together: wanted.filter((file) => rowOf(file) === undefined),
		serial: wanted.filter((file) => rowOf(file) !== undefined && !(quick && rowOf(file).long)),
	};
}
