import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './run.mjs';
import { say } from './say.mjs';

/** Runs `npm ci` if node_modules differs from package-lock.json. @throws Error when npm fails */
export async function installDependencies() {
	if (dependenciesMatch()) return;
	say('installing npm packages (npm ci)');
	const { status, text } = await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
		stdout: 'capture',
	});
	if (status !== 0) throw new Error(`npm ci ended with status ${status}:\n${text.trimEnd()}`);
}

/**
 * npm writes a list of installed packages next to them; each package of the lock file must be in it
 * with its version.
 */
function dependenciesMatch() {
	const installed = join(root, 'node_modules/.package-lock.json');
	if (!existsSync(installed)) return false;
	const here = JSON.parse(readFileSync(installed, 'utf8')).packages;
	const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
	return Object.entries(wanted).every(
		([path, { version, link, optional }]) =>
			!path.startsWith('node_modules/') ||
			link === true ||
			(here[path] === undefined ? optional === true : here[path].version === version),
	);
}
