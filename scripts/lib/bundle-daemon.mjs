import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { root } from './run.mjs';

const sources = [join(root, 'dist/src'), join(root, 'packages/bgp-packet/dist/src')];

/** A file that finds others by its own place keeps that place. */
const placeOfSource = (outdir) => ({
	name: 'place-of-source',
	setup({ onLoad }) {
		onLoad({ filter: /\.js$/ }, ({ path }) => {
			if (!path.startsWith(sources[0] + sep)) return undefined;
			const text = readFileSync(path, 'utf8');
			if (!text.includes('import.meta.url')) return undefined;
			const place = JSON.stringify(relative(outdir, path).replaceAll(sep, '/'));
			return {
				contents: text.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`),
				resolveDir: dirname(path),
			};
		});
	},
});

/** The latest change below the folders, in milliseconds since 1970. */
function latestChange(folders) {
	const files = folders.flatMap((folder) =>
		readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
	);
	return Math.max(...files.filter((file) => file.endsWith('.js')).map((file) => statSync(file).mtimeMs));
}

/**
 * Bundles the compiled daemon for packages: a start resolves, reads and compiles some ten files in
 * place of three hundred, in half of the processor time. What a node may not need stays in files of
 * its own. Native and very large modules stay in `node_modules`. Made only if the compiled code is
 * newer. Returns
 * the first file.
 */
export async function bundleDaemon(outdir = join(root, 'dist/bgpmeshd')) {
	const first = join(outdir, 'index.mjs');
	if (existsSync(first) && statSync(first).mtimeMs > latestChange(sources)) return first;
	rmSync(outdir, { recursive: true, force: true });
	const { build } = await import('esbuild');
	await build({
		entryPoints: [join(root, 'dist/src/daemon/index.js')],
		outdir,
		outExtension: { '.js': '.mjs' },
		bundle: true,
		splitting: true,
		platform: 'node',
		format: 'esm',
		target: 'node20',
		external: ['koffi', 'classic-level', '@kubernetes/client-node'],
		plugins: [placeOfSource(outdir)],
		// Some packages are CommonJS, and load modules of Node.js by `require`.
		banner: {
			js: "import { createRequire as bundledRequire } from 'node:module';\nconst require = bundledRequire(import.meta.url);",
		},
		logLevel: 'warning',
	});
	return first;
}
