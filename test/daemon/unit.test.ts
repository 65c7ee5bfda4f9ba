import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const unit = readFileSync(resolve(dirname(fileURLToPath(import.meta.url)), '../../../systemd/bgpmeshd.service'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-unit-'));
const file = join(folder, 'bgpmeshd.service');
// The command need not be installed where the tests run.
writeFileSync(file, unit.replace('/usr/bin/bgpmeshd', process.execPath));

const missing = spawnSync('systemd-analyze', ['--version']).error === undefined ? undefined : 'systemd-analyze is missing; install: systemd';
const unitTest = missing === undefined ? test : test.skip;
const note = missing === undefined ? '' : ` (skipped: ${missing})`;

unitTest(`systemd knows every key of the unit${note}`, (t) => {
	const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
	t.is(status, 0);
	// An unknown key is only a warning.
	t.deepEqual(
		stderr.split('\n').filter((line) => line.includes('bgpmeshd.service')),
		[],
	);
});

unitTest(`the daemon has little of the machine to lose${note}`, (t) => {
	const text = execFileSync('systemd-analyze', ['security', '--offline=yes', file], { encoding: 'utf8' });
	const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(text)?.[1]);
	t.true(exposure < 3, text.split('\n').at(-2));
});

test('the unit starts what the package installs, and does not restart a wrong configuration', (t) => {
	t.regex(unit, /^ExecStart=\/usr\/bin\/bgpmeshd --config \/etc\/bgpmesh\/bgpmeshd\.yaml$/m);
	t.regex(unit, /^RestartPreventExitStatus=2$/m);
	t.regex(unit, /^Type=notify$/m);
});

test('a stop says goodbye, a restart leaves without a word', (t) => {
	t.regex(unit, /^KillSignal=SIGTERM$/m);
	t.regex(unit, /^RestartKillSignal=SIGUSR2$/m);
	t.regex(unit, /^RuntimeDirectoryPreserve=yes$/m);
});
