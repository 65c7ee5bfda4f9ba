import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './run.mjs';

/**
 * Builds other projects' commands from a Go module of ours, once for each version, into
 * ~/.cache/bgpmesh/NAME/VERSION. `module` is the folder of the go.mod, `requires` the module whose
 * version counts, `commands` maps file names to packages; a name that ends in `.test` is the
 * package's test binary. `flags` are for the linker. Exits the process on failure.
 */
export function buildGoCommands({ name, module, requires, commands, flags = () => [], minutes, without }) {
	const folderOfModule = join(root, module);
	const pattern = new RegExp(`${requires.replaceAll('.', '\\.')} (v\\S+)`);
	const version = pattern.exec(readFileSync(join(folderOfModule, 'go.mod'), 'utf8'))?.[1];
	const folder = join(homedir(), '.cache/bgpmesh', name, version);
	const wanted = Object.entries(commands).filter(([command]) => !existsSync(join(folder, command)));
	const names = Object.keys(commands).join(', ');
	if (wanted.length === 0) {
		console.log(`${names} ${version} are in ${folder}`);
		return;
	}
	if (spawnSync('go', ['version'], { stdio: 'ignore' }).status !== 0) {
		console.error(`setup:${name} needs Go 1.24 or newer; without it ${without}`);
		process.exit(1);
	}
	console.log(`building ${names} ${version} into ${folder}: about ${minutes} minutes`);
	const build = `${folder}.build-${process.pid}`;
	mkdirSync(build, { recursive: true });
	for (const [command, source] of wanted) {
		const ldflags = ['-s', '-w', ...flags(version)].join(' ');
		const verb = command.endsWith('.test') ? ['test', '-c'] : ['build', '-buildvcs=false'];
		const result = spawnSync('go', [...verb, '-trimpath', '-ldflags', ldflags, '-o', join(build, command), source], {
			cwd: folderOfModule,
			stdio: 'inherit',
			env: { ...process.env, CGO_ENABLED: '0' },
		});
		if (result.status !== 0) {
			rmSync(build, { recursive: true, force: true });
			process.exit(1);
		}
	}
	mkdirSync(folder, { recursive: true });
	for (const [command] of wanted) renameSync(join(build, command), join(folder, command));
	rmSync(build, { recursive: true, force: true });
}
