import { cp, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

/**
 * Packages with native code: they are not bundled. koffi is copied next to the bundle; the disk
 * store of the API server needs a folder, and none is used here.
 */
const nativePackages = ['koffi', 'classic-level'];

/**
 * Bundles an entry point and all it imports into `FOLDER/NAME.mjs`, with native packages in
 * `FOLDER/node_modules`, and returns the file. Loading hundreds of small modules is slow inside
 * user-mode-linux (three seconds for the daemon's libraries); one file is not.
 */
export async function bundle(entry: string, folder: string, name = 'main'): Promise<string> {
	const outfile = join(folder, `${name}.mjs`);
	await build({
		entryPoints: [entry],
		outfile,
		bundle: true,
		platform: 'node',
		format: 'esm',
		target: 'node20',
		external: nativePackages,
		// Reading is slow inside: a separate map is only read on demand, and an inline map made
		// this file six times as long.
		sourcemap: 'linked',
		minifyWhitespace: true,
		minifySyntax: true,
		logLevel: 'silent',
		// CommonJS packages inside an ES module still use `require`.
		banner: {
			js:
				"import { createRequire as bundleRequire } from 'node:module'; const require = " +
				'bundleRequire(import.meta.url);',
		},
	});
	await copyNativePackages(folder);
	return outfile;
}

async function copyNativePackages(folder: string): Promise<void> {
	const require = createRequire(import.meta.url);
	const koffi = dirname(require.resolve('koffi'));
	const binary = `@koromix/koffi-linux-${process.arch}`;
	for (const [name, source] of [
		['koffi', koffi],
		[binary, join(dirname(koffi), binary)],
	] as const) {
		const target = join(folder, 'node_modules', name);
		await mkdir(dirname(target), { recursive: true });
		await cp(source, target, {
			recursive: true,
			filter: (path) => !/\/(doc|vendor|musl_[^/]+)(\/|$)/.test(path.slice(source.length)),
		});
	}
}
