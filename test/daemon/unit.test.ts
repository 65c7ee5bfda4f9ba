import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const source = resolve(dirname(fileURLToPath(import.meta.url)), '../../../systemd/bgpmeshd.service');
const unit = readFileSync(source, 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-unit-'));
const file = join(folder, 'bgpmeshd.service');
// The commands need not be installed where the tests run.
writeFileSync(file, unit.replaceAll(/\/usr\/bin\/bgpmeshd?(?= )/g, process.execPath));

const missing =
	spawnSync('systemd-analyze', ['--version']).error === undefined
		? undefined
		: 'systemd-analyze is missing; install: systemd';
const unitTest = missing === undefined ? test : test.skip;
const note = missing === undefined ? '' : ` (skipped: ${missing})`;

unitTest(`systemd accepts every key of the unit${note}`, (t) => {
	const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
	t.is(status, 0);
	// An unknown key is only a warning.
	t.deepEqual(
		stderr.split('\n').filter((line) => line.includes('bgpmeshd.service')),
		[],
	);
});

unitTest(`the daemon has few privileges on the machine${note}`, (t) => {
	const text = execFileSync('systemd-analyze', ['security', '--offline=yes', file], { encoding: 'utf8' });
	const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(text)?.[1]);
	t.true(exposure < 3, text.split('\n').at(-2));
});

test('the unit starts the installed command, and does not restart after an invalid configuration', (t) => {
	t.regex(unit, /^ExecStart=\/usr\/bin\/bgpmeshd --config \/etc\/bgpmesh\/bgpmeshd\.yaml$/m);
	t.regex(unit, /^RestartPreventExitStatus=2$/m);
	t.regex(unit, /^Type=notify$/m);
});

test('a stop sends CEASE, a restart leaves without a NOTIFICATION', (t) => {
	t.regex(unit, /^KillSignal=SIGTERM$/m);
	t.regex(unit, /^RestartKillSignal=SIGUSR2$/m);
	t.regex(unit, /^RuntimeDirectoryPreserve=yes$/m);
});

test('a refused reload fails: the unit calls the command that has an exit status', (t) => {
	t.regex(unit, /^ExecReload=\/usr\/bin\/bgpmesh reload$/m);
});

test('the daemon runs under its own user, with ambient capabilities and a memory limit', (t) => {
	t.regex(unit, /^User=bgpmesh$/m);
	t.regex(unit, /^MemoryMax=\S+$/m);
	const capabilities = (key: string) => new RegExp(`^${key}=(.+)$`, 'm').exec(unit)?.[1]?.split(' ').sort();
	t.deepEqual(capabilities('AmbientCapabilities'), capabilities('CapabilityBoundingSet'));
	t.true(capabilities('AmbientCapabilities')?.includes('CAP_NET_ADMIN'));
});

test('the user of the unit is created by the file for sysusers.d', (t) => {
	const users = readFileSync(join(dirname(source), 'bgpmesh.sysusers.conf'), 'utf8');
	t.regex(users, /^u bgpmesh - "[^"]+" \S+$/m);
});
