/**
 * `npm run setup:kernels`: installs QEMU, and unpacks Debian's kernels 5.10, 6.1 and 6.12 in
 * ~/.cache/bgpmesh/kernels for `npm run lab -- --kernel qemu` and the tests in `test/qemu`. Nothing
 * of these kernels is installed. Needs root and about 1 GB.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './lib/run.mjs';
import { say } from './lib/say.mjs';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bgpmesh/kernels');
const needed = ['qemu-system-x86', 'busybox-static', 'xz-utils', 'kmod'];
/** The flavour for clouds has no 9p. `suite`: not that of this machine, hence with lists of its own. */
const series = [
	{ name: '5.10', pattern: /^linux-image-5\.10\.\d+-\d+-amd64$/, suite: 'bullseye' },
	{ name: '6.1', pattern: /^linux-image-6\.1\.\d+-\d+-amd64$/ },
	{ name: '6.12', pattern: /^linux-image-6\.12\.[\w.+]+-amd64$/ },
];
const mirror = 'http://deb.debian.org/debian';
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

async function must(command, args, cwd) {
	const { status, text } = await run(command, args, { stdout: 'capture', ...(cwd === undefined ? {} : { cwd }) });
	if (status !== 0) throw new Error(`${command} failed:\n${text.trimEnd().split('\n').slice(-6).join('\n')}`);
	return text;
}

/** Options of apt for another suite; the machine's own lists stay as they are. */
async function optionsFor(suite, folder) {
	const list = join(folder, 'sources.list');
	writeFileSync(list, `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
	for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, name), { recursive: true });
	const values = {
		'Dir::Etc::SourceList': list,
		'Dir::Etc::SourceParts': '/dev/null',
		'Dir::State::lists': join(folder, 'lists'),
		'Dir::Cache': join(folder, 'cache'),
		'APT::Sandbox::User': 'root',
	};
	const options = Object.entries(values).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
	await must('apt-get', ['update', '-q', ...options]);
	return options;
}

/** The newest package of the pattern that can be downloaded. */
async function newest(pattern, options) {
	const names = (await must('apt-cache', ['pkgnames', ...options, 'linux-image-']))
		.split('\n')
		.filter((name) => pattern.test(name));
	const byNumber = new Intl.Collator('en', { numeric: true }).compare;
	for (const name of names.sort(byNumber).reverse())
		if (/Candidate: (?!\(none\))/.test(await must('apt-cache', ['policy', ...options, name]))) return name;
	throw new Error(`no package matches ${pattern}: apt-get update, and the suite bookworm-security for 6.12`);
}

async function unpack(name, target, options) {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-kernel-'));
	const building = `${target}.build-${process.pid}`;
	try {
		await must('apt-get', ['download', '-q', '-o', 'APT::Sandbox::User=root', ...options, name], folder);
		const [file] = readdirSync(folder);
		mkdirSync(building, { recursive: true });
		await must('dpkg-deb', ['-x', join(folder, file), building]);
		const modules = existsSync(join(building, 'lib/modules')) ? building : join(building, 'usr');
		if (modules !== building) renameSync(join(modules, 'lib'), join(building, 'lib'));
		const [release] = readdirSync(join(building, 'lib/modules'));
		await must('depmod', ['-b', building, release]);
		writeFileSync(join(building, 'complete'), `${name}\n`);
		rmSync(target, { recursive: true, force: true });
		renameSync(building, target);
	} finally {
		rmSync(folder, { recursive: true, force: true });
		rmSync(building, { recursive: true, force: true });
	}
}

async function main() {
	if (process.arch !== 'x64') throw new Error('only kernels for amd64 are known');
	if (process.getuid?.() !== 0) throw new Error('setup:kernels needs root: apt-get does');
	const installed = await run('dpkg-query', ['-W', ...needed], { stdout: 'capture' });
	if (installed.status !== 0) {
		say(`installing ${needed.join(', ')}`);
		await must('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...needed]);
	}
	for (const { name, pattern, suite } of series) {
		const target = join(cache, name);
		if (existsSync(join(target, 'complete')) && !process.argv.includes('--again')) continue;
		const lists = mkdtempSync(join(tmpdir(), 'bgpmesh-apt-'));
		try {
			const options = suite === undefined ? [] : await optionsFor(suite, lists);
			const found = await newest(pattern, options);
			say(`unpacking ${found} in ${target}`);
			await unpack(found, target, options);
		} finally {
			rmSync(lists, { recursive: true, force: true });
		}
	}
}

await main().catch((error) => {
	say(error.message);
	process.exitCode = 1;
});
