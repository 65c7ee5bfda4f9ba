/**
 * Inside Debian's kernel with systemd as the first process: the unit of this repository with a BIRD
 * as neighbour. Prints one line of JSON for each statement. Arguments: the folder with the bundles.
 */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const [folder = ''] = process.argv.slice(2);
const unit = 'bgpmeshd.service';
const service = '203.0.113.1';
const configFile = '/etc/bgpmesh/bgpmeshd.yaml';
/** A kernel without hardware support is slow. */
const patienceMs = 120_000;

async function run(command: string, ...args: string[]): Promise<{ code: number; output: string }> {
	try {
		const { stdout } = await promisify(execFile)(command, args, { encoding: 'utf8' });
		return { code: 0, output: stdout };
	} catch (error) {
		const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
		return { code, output: `${stdout}${stderr}` };
	}
}

async function must(command: string, ...args: string[]): Promise<string> {
	const { code, output } = await run(command, ...args);
	if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${output}`);
	return output;
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
	const deadline = Date.now() + patienceMs;
	while (!(await holds())) {
		if (Date.now() > deadline) throw new Error(`${what}: not within ${patienceMs / 1000} s`);
		await pause(500);
	}
}

const show = async (property: string) => (await must('systemctl', 'show', unit, '-p', property, '--value')).trim();
const mainPid = async () => Number(await show('MainPID'));
const hasRoute = async () => (await must('ip', 'route', 'show', '203.0.113.0/24')).includes('via 10.9.0.2');
const isEstablished = async () => /established/.test((await run('bgpmesh', 'peers')).output);
const works = async () => (await hasRoute()) && (await isEstablished());

/** Pings while `act` runs; the number of lost packets. */
async function lostDuring(act: () => Promise<void>): Promise<number> {
	const child = spawn('ping', ['-n', '-i', '0.1', service], { stdio: ['ignore', 'pipe', 'inherit'] });
	let output = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		output += text;
	});
	const ended = new Promise((resolve) => child.once('exit', resolve));
	await pause(2000);
	await act();
	await pause(2000);
	child.kill('SIGINT');
	await ended;
	const [, sent = '', received = ''] = /(\d+) packets transmitted, (\d+) received/.exec(output) ?? [];
	if (Number(sent) < 20) throw new Error(`only ${sent} pings were sent: ${output}`);
	return Number(sent) - Number(received);
}

const config = (asNumber: number | string) => `node: guest
bgp:
  asNumber: ${asNumber}
  routerId: 10.9.0.1
  peers:
    - name: tor
      address: 10.9.0.2
      asNumber: 64999
      localAddress: 10.9.0.1
      connectRetrySeconds: 2
      importPolicies: [all]
policies:
  all: { terms: [{ action: accept }] }
`;
const bird = `log stderr { warning, error, fatal, bug };
router id 10.9.0.2;
protocol device {}
protocol static { ipv4; route 203.0.113.0/24 blackhole; }
protocol bgp guest { local 10.9.0.2 as 64999; neighbor 10.9.0.1 as 64512; graceful restart on;
  connect delay time 1; connect retry time 2; ipv4 { import all; export all; }; }
`;

async function install(): Promise<void> {
	cpSync(folder, '/usr/lib/bgpmesh', { recursive: true });
	// The daemon is another user than the owner of a temporary folder.
	chmodSync('/usr/lib/bgpmesh', 0o755);
	for (const name of ['bgpmeshd', 'bgpmesh'])
		writeFileSync(
			`/usr/bin/${name}`,
			`#!/bin/sh\nexec ${process.execPath} /usr/lib/bgpmesh/${name}/${name}.mjs "$@"\n`,
			{ mode: 0o755 },
		);
	mkdirSync('/etc/bgpmesh', { recursive: true });
	writeFileSync(configFile, config(64512));
	cpSync(join(folder, 'systemd/bgpmesh.sysusers.conf'), '/usr/lib/sysusers.d/bgpmesh.conf');
	await must('systemd-sysusers', '/usr/lib/sysusers.d/bgpmesh.conf');
	cpSync(join(folder, 'systemd', unit), join('/etc/systemd/system', unit));
	// The network is made here, and this slow kernel needs longer than the unit's times allow.
	mkdirSync(`/etc/systemd/system/${unit}.d`, { recursive: true });
	writeFileSync(`/etc/systemd/system/${unit}.d/guest.conf`, '[Service]\nTimeoutStartSec=300\n');
	await must('systemctl', 'mask', 'network-online.target');
	await must('systemctl', 'daemon-reload');
	for (const words of [
		'netns add tor',
		'link add up0 type veth peer name eth0 netns tor',
		'addr add 10.9.0.1/24 dev up0',
		'link set up0 up',
		'-n tor addr add 10.9.0.2/24 dev eth0',
		`-n tor addr add ${service}/32 dev lo`,
		'-n tor link set eth0 up',
		'-n tor link set lo up',
	])
		await must('ip', ...words.split(' '));
	writeFileSync('/run/tmp/bird.conf', bird);
	const child = spawn(
		'ip',
		['netns', 'exec', 'tor', 'bird', '-f', '-c', '/run/tmp/bird.conf', '-s', '/run/tmp/bird.ctl'],
		{ stdio: ['ignore', 'ignore', 'inherit'] },
	);
	process.once('exit', () => child.kill());
}

const statements: Readonly<Record<string, () => Promise<void>>> = {
	async 'the start returns when the daemon is ready, and the unit is active'() {
		await must('systemctl', 'start', unit);
		equal(await show('ActiveState'), 'active');
		equal((await must('ps', '-o', 'user=', '-p', String(await mainPid()))).trim(), 'bgpmesh');
		await eventually('the session and its route', works);
	},
	async 'a reload with a valid configuration succeeds, one that is refused fails and changes nothing'() {
		equal((await run('systemctl', 'reload', unit)).code, 0);
		const pid = await mainPid();
		writeFileSync(configFile, config("'many'"));
		if ((await run('systemctl', 'reload', unit)).code === 0) throw new Error('the reload succeeded');
		equal(await show('ActiveState'), 'active');
		equal(await mainPid(), pid);
		writeFileSync(configFile, config(64512));
		equal((await run('systemctl', 'reload', unit)).code, 0);
		if (!(await works())) throw new Error('the session or its route is gone');
	},
	async 'a restart loses no packet'() {
		const pid = await mainPid();
		const lost = await lostDuring(async () => {
			await must('systemctl', 'restart', unit);
			await eventually('the session after the restart', works);
		});
		equal(lost, 0);
		if ((await mainPid()) === pid) throw new Error('the daemon was not restarted');
	},
	async 'the watchdog restarts a daemon that hangs, and no packet is lost'() {
		const before = Number(await show('NRestarts'));
		const lost = await lostDuring(async () => {
			process.kill(await mainPid(), 'SIGSTOP');
			await eventually('the restart by the watchdog', async () => Number(await show('NRestarts')) > before);
			await eventually('the session after the watchdog', works);
		});
		equal(lost, 0);
		if (!/watchdog/i.test(await must('journalctl', '-u', unit, '--no-pager'))) throw new Error('not by the watchdog');
	},
	async 'a daemon that reaches its limit of memory is restarted, and no packet is lost'() {
		const before = Number(await show('NRestarts'));
		const lost = await lostDuring(async () => {
			await must(
				'systemctl',
				'set-property',
				'--runtime',
				unit,
				'MemoryHigh=infinity',
				'MemoryMax=24M',
				'MemorySwapMax=0',
			);
			await eventually('the end by the limit', async () => Number(await show('NRestarts')) > before);
			await must('systemctl', 'set-property', '--runtime', unit, 'MemoryMax=1G');
			await eventually('the session with the old limit', works);
		});
		equal(lost, 0);
		if (!/oom/i.test(await must('journalctl', '-u', unit, '--no-pager'))) throw new Error('not by the limit of memory');
	},
	async 'the journal has the levels of the daemon as priorities'() {
		const text = await must('journalctl', '-u', unit, '-p', 'warning', '-o', 'json', '--no-pager');
		const own = text.split('\n').filter((line) => line.includes('"_SYSTEMD_UNIT":"bgpmeshd.service"'));
		for (const line of own) {
			const { PRIORITY } = JSON.parse(line) as { PRIORITY: string };
			if (Number(PRIORITY) > 4) throw new Error(line);
		}
		const all = await must('journalctl', '-u', unit, '-p', 'info', '-o', 'cat', '--no-pager');
		if (!all.includes('session established')) throw new Error('no line of the level info');
	},
	async 'a stop ends in time and leaves the routes of the kernel'() {
		await must('systemctl', 'stop', unit);
		equal(await show('ActiveState'), 'inactive');
		if (!(await hasRoute())) throw new Error('the route is gone');
	},
};

function equal<T>(actual: T, expected: T): void {
	if (actual !== expected) throw new Error(`${JSON.stringify(actual)} where ${JSON.stringify(expected)} is expected`);
}

await install();
for (const [title, check] of Object.entries(statements)) {
	let problem: string | undefined;
	try {
		await check();
	} catch (error) {
		problem = `${String(error)}\n${(await run('journalctl', '-u', unit, '-n', '25', '--no-pager')).output}`;
	}
	console.log(JSON.stringify({ title, ...(problem === undefined ? {} : { problem }) }));
	// What follows needs what failed.
	if (problem !== undefined) break;
}
console.error(readFileSync('/proc/uptime', 'utf8'));
process.exit(0);
