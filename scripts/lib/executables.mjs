import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { root, run } from './run.mjs';
import { say } from './say.mjs';

const bunVersion = '1.4.5';
/** Our names of targets, and the packages that hold the runtime of each. */
export const runtimes = {
	'linux-x64': '@oven/bun-linux-x64',
	'linux-x64-musl': '@oven/bun-linux-x64-musl',
	'linux-arm64': '@oven/bun-linux-aarch64',
	'linux-arm64-musl': '@oven/bun-linux-aarch64-musl',
};
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bgpmesh/bun', bunVersion);

/** The target of this machine; musl if its dynamic loader is the only one. */
export const here = () => {
	const musl = readdirSync('/lib').some((name) => name.startsWith('ld-musl-'));
	return `linux-${process.arch}${musl ? '-musl' : ''}`;
};

/** The runtime of a target, downloaded once. @throws Error */
async function runtime(target) {
	const folder = join(cache, target);
	const file = join(folder, 'package/bin/bun');
	if (existsSync(file)) return file;
	say(`fetching the runtime for ${target} (Bun ${bunVersion}, 50 MB)`);
	await unpack(`${runtimes[target]}@${bunVersion}`, folder);
	return file;
}

/** The native module of koffi for a target: installed, or downloaded once. @throws Error */
async function nativeModule(target) {
	const [, arch, libc = 'linux'] = target.split('-');
	const name = `@koromix/koffi-linux-${arch}`;
	const inside = `${libc}_${arch}/koffi.node`;
	const installed = join(root, 'node_modules', name, inside);
	if (existsSync(installed)) return installed;
	const manifest = JSON.parse(readFileSync(join(root, 'node_modules/koffi/package.json'), 'utf8'));
	const folder = join(cache, '../../koffi', manifest.version, arch);
	const file = join(folder, 'package', inside);
	if (!existsSync(file)) await unpack(`${name}@${manifest.version}`, folder);
	return file;
}

/** Unpacks a package of the registry. @throws Error */
async function unpack(name, folder) {
	mkdirSync(folder, { recursive: true });
	const packed = await run('npm', ['pack', name, '--pack-destination', folder, '--silent'], { stdout: 'capture' });
	const [archive] = readdirSync(folder).filter((entry) => entry.endsWith('.tgz'));
	if (packed.status !== 0 || archive === undefined) throw new Error(`npm pack ${name} failed:\n${packed.text}`);
	const unpacked = await run('tar', ['-xzf', join(folder, archive), '-C', folder], { stdout: 'capture' });
	if (unpacked.status !== 0) throw new Error(`tar failed:\n${unpacked.text}`);
}

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Builds the executable for a target from compiled code. Returns the file. @throws Error */
export async function buildExecutable(target, out = join(root, `dist/executables/bgpmesh-${target}`)) {
	const bun = await runtime(here());
	mkdirSync(dirname(out), { recursive: true });
	const native = JSON.stringify(await nativeModule(target));
	writeFileSync(
		join(root, 'dist/native-module.js'),
		`import file from ${native} with { type: 'file' };\nexport default file;\n`,
	);
	const args = [
		// With --splitting a call of the plugin loads the plugin's modules, not those of the command.
		...['build', '--compile', '--minify', '--splitting', '--format=esm', '--bytecode'],
		`--target=bun-${target.replace('x64', 'x64-baseline')}`,
		`--compile-executable-path=${await runtime(target)}`,
		`--define=process.env.BGPMESH_VERSION="${version}"`,
		...[join(root, 'bin/executable.js'), '--outfile', out],
	];
	const { status, text } = await run(bun, args, { stdout: 'capture' });
	if (status !== 0) throw new Error(`${target}:\n${text.trimEnd()}`);
	return out;
}
