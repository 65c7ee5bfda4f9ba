import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './run.mjs';

/**
 * Builds other projects' commands from a Go module of ours, once for each version, into
 * ~/.cache/bgpmesh/NAME/VERSION. `module` is the folder of the go.mod, `requires` the module whose
 * version counts, `commands` maps file names to packages; a name that ends in `.test` is the
 * package's test binary. `flags` are for the linker. `replaced`: lines of files of that module which
 * are others in this build, `{ file, line, by }`. Exits the process on failure.
 */
export function buildGoCommands({
	name,
	module,
	requires,
	commands,
	flags = () => [],
	replaced = [],
	minutes,
	without,
}) {
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
	const modfile = replaced.length === 0 ? [] : ['-modfile', withReplaced(build, folderOfModule, requires, replaced)];
	for (const [command, source] of wanted) {
		const ldflags = ['-s', '-w', ...flags(version)].join(' ');
		const verb = command.endsWith('.test') ? ['test', '-c'] : ['build', '-buildvcs=false'];
		const options = ['-trimpath', ...modfile, '-ldflags', ldflags, '-o', join(build, command)];
		const result = spawnSync('go', [...verb, ...options, source], {
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

/** A copy of the dependency with other lines, and a go.mod that names it. Exits the process if a line is not there. */
function withReplaced(build, folderOfModule, dependency, replaced) {
	const go = (...args) => {
		const { status, stdout } = spawnSync('go', args, { cwd: folderOfModule, stdio: ['ignore', 'pipe', 'inherit'] });
		if (status !== 0) process.exit(1);
		return String(stdout).trim();
	};
	go('mod', 'download', dependency);
	const copy = join(build, 'module');
	cpSync(go('list', '-m', '-f', '{{.Dir}}', dependency), copy, { recursive: true });
	for (const { file, line, by } of replaced) {
		const path = join(copy, file);
		const lines = readFileSync(path, 'utf8').split('\n');
		const place = lines.findIndex((text) => text.trim() === line);
		if (place === -1) {
			console.error(`${dependency}: ${file} has no line '${line}'`);
			process.exit(1);
		}
		chmodSync(path, 0o644);
		writeFileSync(path, lines.with(place, by).join('\n'));
	}
	const path = join(build, 'go.mod');
	const text = readFileSync(join(folderOfModule, 'go.mod'), 'utf8');
	writeFileSync(path, `${text}\nreplace ${dependency} => ${copy}\n`);
	cpSync(join(folderOfModule, 'go.sum'), join(build, 'go.sum'));
	return path;
}
