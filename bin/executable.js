/**
 * The entry of the executable that needs no Node.js (`npm run build:executables`): the CNI plugin where a container runtime calls
 * it, `bgpmesh-cni` under that name, and the command `bgpmesh` otherwise.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/**
 * koffi looks for its native module in folders, one of them below `process.resourcesPath`. The
 * embedded file becomes a real one when koffi asks, which few commands do, and is removed at the end.
 */
function provideNativeModule(embedded) {
	let folder;
	Object.defineProperty(process, 'resourcesPath', {
		configurable: true,
		get() {
			if (folder !== undefined) return folder;
			folder = mkdtempSync(join(tmpdir(), 'bgpmesh-native-'));
			process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
			for (const libc of ['linux', 'musl']) {
				const place = join(folder, 'koffi', `${libc}_${process.arch}`);
				mkdirSync(place, { recursive: true });
				writeFileSync(join(place, 'koffi.node'), readFileSync(embedded));
			}
			return folder;
		},
	});
}

if (process.env.CNI_COMMAND !== undefined) {
	const [{ main }, { bunExchange }] = await Promise.all([
		import('../dist/src/cni/main.js'),
		import('./bun-exchange.js'),
	]);
	await main(bunExchange);
} else if (basename(process.argv0) === 'bgpmesh-cni') {
	const { main } = await import('../dist/src/cni/install/index.js');
	process.exitCode = main({
		arguments: process.argv.slice(2),
		bundle: undefined,
		executable: process.execPath,
		node: process.execPath,
		write: (text) => process.stdout.write(text),
		complain: (text) => process.stderr.write(text),
	});
} else {
	const { default: embedded } = await import('../dist/native-module.js');
	provideNativeModule(embedded);
	const { runCommand } = await import('./command.js');
	await runCommand({
		version: process.env.BGPMESH_VERSION,
		// The store of the API server is a native module, which this form does not have.
		apiServer: undefined,
	});
}
