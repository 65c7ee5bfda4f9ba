/**
 * `npm run setup:peers`: builds a folder with the BGP daemons of Debian unstable in
 * ~/.cache/bgpmesh/peers/sid, beside which `npm run bench -- --peers bird@sid` and `npm test --
 * --peers sid test/interop` run. Needs root, debootstrap and about 320 MB. `--again` builds it anew
 * with today's versions.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { run } from './lib/run.mjs';
import { say } from './lib/say.mjs';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bgpmesh/peers');
const root = join(cache, 'sid');
const packages = ['bird2', 'frr', 'gobgpd', 'openbgpd', 'exabgp'];
const mirror = process.env.BGPMESH_DEBIAN_MIRROR ?? 'http://deb.debian.org/debian';
/** Mirrors and snapshots of unstable are often older than their Release file allows. */
const aptGet = 'apt-get -q -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root';
const versions = {
	'BIRD 2': '/usr/sbin/bird --version',
	'BIRD 3': '/opt/bird3/usr/sbin/bird --version',
	FRR: '/usr/lib/frr/bgpd --version',
	GoBGP: '/usr/bin/gobgpd --version',
	OpenBGPD: '/usr/sbin/bgpd -V',
};

async function must(what, command, args) {
	const { status, text } = await run(command, args, { stdout: 'capture' });
	if (status !== 0) throw new Error(`${what} failed:\n${text.trimEnd().split('\n').slice(-8).join('\n')}`);
	return text;
}

const inside = (folder, script) =>
	must('the installation', 'unshare', [
		'--mount',
		'--propagation',
		'private',
		'/bin/sh',
		'-c',
		`mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"`,
		folder,
		`export DEBIAN_FRONTEND=noninteractive LC_ALL=C; set -e; ${script}`,
	]);

async function build() {
	const folder = `${root}.build-${process.pid}`;
	mkdirSync(cache, { recursive: true });
	try {
		say(`building Debian unstable in ${root}: two to four minutes`);
		await must('debootstrap', 'debootstrap', ['--variant=minbase', '--include=ca-certificates', 'sid', folder, mirror]);
		// No daemon is started by its installation.
		writeFileSync(join(folder, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
		say(`installing ${packages.join(', ')} and bird3`);
		await inside(folder, `${aptGet} update; ${aptGet} install -y --no-install-recommends ${packages.join(' ')}`);
		// It conflicts with bird2, so it is unpacked next to it.
		await inside(folder, `cd /tmp; ${aptGet} download bird3; dpkg -x bird3_*.deb /opt/bird3; rm bird3_*.deb`);
		// OpenBGPD changes its root to this folder, which its service would create.
		mkdirSync(join(folder, 'run/openbgpd'), { recursive: true });
		await inside(folder, 'apt-get clean; rm -rf /var/lib/apt/lists/*');
		rmSync(root, { recursive: true, force: true });
		renameSync(folder, root);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

async function main() {
	if (process.getuid?.() !== 0) throw new Error('setup:peers needs root: debootstrap and chroot do');
	if (process.argv.includes('--again') || !existsSync(join(root, 'opt/bird3'))) {
		if (!existsSync('/usr/sbin/debootstrap'))
			await must('apt-get', 'apt-get', ['install', '-y', '-q', '--no-install-recommends', 'debootstrap']);
		await build();
	}
	for (const [name, command] of Object.entries(versions)) {
		const { text } = await run('chroot', [root, ...command.split(' ')], { stdout: 'capture' });
		say(`  ${name.padEnd(9)} ${text.trim().split('\n')[0]}`);
	}
}

await main().catch((error) => {
	say(error.message);
	process.exitCode = 1;
});
