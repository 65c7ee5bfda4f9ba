import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

const packageFolder = join(root, 'node_modules/@kubernetes/client-node');

/**
 * Bundles the parts of @kubernetes/client-node that the daemon uses (kubeconfigs and credentials)
 * into one file: at every start it loads in an eighth of a second, the package's thousand modules
 * in nearly a second. Rebuilt only for another version of the package. Returns the file.
 */
export async function bundleClient(outfile = join(root, 'dist/client-node.mjs')) {
	const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'));
	const mark = `// @kubernetes/client-node ${version}`;
	if (existsSync(outfile) && readFileSync(outfile, 'utf8').startsWith(mark)) return outfile;
	const { build } = await import('esbuild');
	await build({
		stdin: {
			contents: `export { KubeConfig } from ${JSON.stringify(join(packageFolder, 'dist/config.js'))};\n`,
			resolveDir: root,
			loader: 'js',
		},
		outfile,
		bundle: true,
		platform: 'node',
		format: 'esm',
		target: 'node20',
		// Some of its dependencies are CommonJS, and load modules of Node.js by `require`.
		banner: {
			js: `${mark}\nimport { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);`,
		},
		logLevel: 'warning',
	});
	return outfile;
}
