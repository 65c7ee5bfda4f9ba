import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { packages } from './packages.mjs';
import { run } from './run.mjs';
import { bold, say, warn } from './say.mjs';

const policy = '/usr/sbin/policy-rc.d';
const apt = ['-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0'];
const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', NEEDRESTART_MODE: 'l' };

const missingPackages = () => packages.filter(({ file }) => !existsSync(file));

/**
 * Installs missing Debian packages if possible (root, Debian, `BGPMESH_INSTALL` not `no`), lists
 * them, and returns the rows that are still missing. No installed service is started, now or at the
 * next boot.
 */
export async function installPackages() {
	const missing = missingPackages();
	if (missing.length === 0) return [];
	const names = missing.map(({ name }) => name);
	const command = `apt-get install ${names.join(' ')}`;
	const obstacle = whyNot();
	if (obstacle !== undefined) {
		warn(`${bold('missing')}: ${names.join(' ')} (${obstacle}; on Debian, as root: ${command})`);
		for (const { name, use } of missing) say(`    ${name.padEnd(28)} ${use}`);
		say('  what needs them is skipped, by name');
		return missing;
	}
	say(`installing Debian packages: ${names.join(' ')}`);
	const ownPolicy = forbidServices();
	try {
		let result = await run('apt-get', ['install', ...apt, ...names], { stdout: 'capture', env });
		if (result.status !== 0) {
			await run('apt-get', ['update', '-q'], { stdout: 'capture', env });
			result = await run('apt-get', ['install', ...apt, ...names], { stdout: 'capture', env });
		}
		if (result.status !== 0) {
			warn(`apt-get failed; its last words:\n${result.text.trimEnd().split('\n').slice(-6).join('\n')}`);
			// A package that cannot be installed must not block the others.
			for (const name of names) await run('apt-get', ['install', ...apt, name], { stdout: 'capture', env });
		}
		await disableServices(missing.filter(({ file }) => existsSync(file)).flatMap(({ services = [] }) => services));
	} finally {
		if (ownPolicy) rmSync(policy, { force: true });
	}
	const still = missingPackages();
	for (const { name, use } of still) warn(`${bold(name)} could not be installed; skipped without it: ${use}`);
	return still;
}

function whyNot() {
	if (!existsSync('/etc/debian_version')) return 'this is not Debian';
	if (process.getuid?.() !== 0) return 'not root';
	if (process.env.BGPMESH_INSTALL === 'no') return 'BGPMESH_INSTALL=no';
	return undefined;
}

/**
 * Debian starts a service on installation unless this script forbids it; an existing script of the
 * machine is left unchanged.
 */
function forbidServices() {
	if (existsSync(policy)) return false;
	writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
	return true;
}

/** A routing daemon must not start at the next boot because the tests installed it. */
async function disableServices(services) {
	if (services.length === 0 || !existsSync('/usr/bin/systemctl')) return;
	for (const service of services) await run('systemctl', ['disable', `${service}.service`], { stdout: 'capture' });
	say(`  their services stay off (${services.join(', ')})`);
}
