/**
 * Inside Debian's kernel with systemd as the first process: the unit of this repository with a BIRD
 * as neighbour. Prints one line of JSON for each statement. Argument: the folder with the bundles.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { equal, holds, must, pingDuring, printStatements, run, until } from '../../support/statements.ts';
import {
	birdHas,
	config,
	configFile,
	hasRoute,
	install,
	journal,
	mainPid,
	pingService,
	service,
	show,
	trouble,
	unit,
	works,
} from './unit.ts';

const [folder = ''] = process.argv.slice(2);
const announced = '198.51.100.0/24';
const cgroup = `/sys/fs/cgroup/system.slice/${unit}`;
const gibibyte = 1 << 30;

/** No packet to `service` is lost while `act` runs. */
async function undisturbed(act: () => Promise<void>): Promise<string> {
	const { sent, lost } = await pingDuring(pingService, act);
	equal(lost, 0);
	return `${sent} pings to ${service}, 0 lost`;
}

/** Process id and name of each process that the kernel has killed because of a limit of memory. */
const killedByMemory = async () =>
	[...(await must('dmesg')).matchAll(/Memory cgroup out of memory: Killed process (\d+) \((.*?)\)/g)].map(
		([, pid, name]) => ({ pid: Number(pid), name }),
	);

/** systemd restarts the unit after a kill by the limit of memory; `relax`: once it has. */
async function restartByMemory(act: () => Promise<unknown>, relax?: () => Promise<unknown>): Promise<void> {
	const before = Number(await show('NRestarts'));
	await act();
	await until('the restart', async () => Number(await show('NRestarts')) > before);
	await relax?.();
	holds('the route is gone', await hasRoute());
	await until('the session after the restart', works);
}

await install(folder);
await printStatements(
	{
		async 'the start returns when the daemon is ready, and the unit is active'() {
			await must('systemctl', 'start', unit);
			equal(await show('ActiveState'), 'active');
			equal((await must('ps', '-o', 'user=', '-p', String(await mainPid()))).trim(), 'bgpmesh');
			await until('the session and its route', works);
		},
		async 'a reload puts the new configuration in effect, in the same process, and loses no packet'() {
			const pid = await mainPid();
			holds('announced before it was configured', !(await birdHas(announced)));
			const seen = await undisturbed(async () => {
				writeFileSync(configFile, config({ originate: [announced] }));
				await must('systemctl', 'reload', unit);
				await until('the neighbour has the new route', () => birdHas(announced));
			});
			equal(await mainPid(), pid);
			return seen;
		},
		async 'a reload of a configuration that is refused fails, and changes nothing'() {
			const pid = await mainPid();
			const seen = await undisturbed(async () => {
				writeFileSync(configFile, config({ asNumber: "'many'" }));
				holds('the reload succeeded', (await run('systemctl', 'reload', unit)).code !== 0);
				await pause(2000);
				holds('the former configuration has no effect', (await birdHas(announced)) && (await works()));
			});
			equal(await show('ActiveState'), 'active');
			equal(await mainPid(), pid);
			writeFileSync(configFile, config());
			await must('systemctl', 'reload', unit);
			await until('the neighbour has the route no longer', async () => !(await birdHas(announced)));
			return seen;
		},
		async 'a restart puts the new configuration in effect, and loses no packet'() {
			const pid = await mainPid();
			const seen = await undisturbed(async () => {
				writeFileSync(configFile, config({ originate: [announced] }));
				await must('systemctl', 'restart', unit);
				await until('the session after the restart', works);
				await until('the neighbour has the new route', () => birdHas(announced));
			});
			holds('the daemon was not restarted', (await mainPid()) !== pid);
			return seen;
		},
		async 'the watchdog restarts a daemon that hangs, and no packet is lost'() {
			const before = Number(await show('NRestarts'));
			const seen = await undisturbed(async () => {
				process.kill(await mainPid(), 'SIGSTOP');
				await until('the restart by the watchdog', async () => Number(await show('NRestarts')) > before);
				await until('the session after the watchdog', works);
			});
			holds('not by the watchdog', /watchdog/i.test(await journal()));
			return seen;
		},
		async 'systemd has the limits of memory that the unit names: 1 GiB, and 768 MiB without a kill'() {
			equal([await show('MemoryMax'), await show('MemoryHigh')], [`${gibibyte}`, `${(gibibyte / 4) * 3}`]);
			equal(readFileSync(`${cgroup}/memory.max`, 'utf8').trim(), `${gibibyte}`);
		},
		async 'memory beyond the limit of the unit is a restart, without a lost packet, and routes stay'() {
			// Above MemoryHigh the kernel slows processes down, for hours in place of seconds.
			await must('systemctl', 'set-property', '--runtime', unit, 'MemoryHigh=infinity', 'MemorySwapMax=0');
			equal(await show('MemoryMax'), `${gibibyte}`);
			const seen = await undisturbed(async () => {
				await restartByMemory(async () => {
					// It joins the processes of the unit, and keeps what it reads: a line without an end.
					const script = `echo $$ > ${cgroup}/cgroup.procs && exec tail /dev/zero`;
					spawn('/bin/sh', ['-c', script], { stdio: 'ignore' });
				});
			});
			const limit = `limit ${gibibyte / 1024}kB`;
			holds(`the kernel does not report ${limit}`, (await must('dmesg')).includes(limit));
			equal((await killedByMemory()).at(-1)?.name, 'tail');
			holds('systemd names another cause', (await journal()).includes("Failed with result 'oom-kill'"));
			return seen;
		},
		async 'a daemon that itself reaches a limit of memory is restarted, and no packet is lost'() {
			const pid = await mainPid();
			const seen = await undisturbed(async () => {
				const limit = (size: string) => must('systemctl', 'set-property', '--runtime', unit, `MemoryMax=${size}`);
				await restartByMemory(
					() => limit('24M'),
					() => limit('1G'),
				);
			});
			// systemd names either cause: the kill, or the signal where the exit is handled first.
			holds(
				'the kernel has not killed the daemon',
				(await killedByMemory()).some((killed) => killed.pid === pid),
			);
			return seen;
		},
		async 'the journal has the levels of the daemon as priorities'() {
			const text = await journal('-p', 'warning', '-o', 'json');
			const own = text.split('\n').filter((line) => line.includes('"_SYSTEMD_UNIT":"bgpmeshd.service"'));
			for (const line of own) {
				const { PRIORITY } = JSON.parse(line) as { PRIORITY: string };
				holds(line, Number(PRIORITY) <= 4);
			}
			holds('no line of the level info', (await journal('-p', 'info', '-o', 'cat')).includes('session established'));
		},
		async 'a stop ends in time and leaves the routes of the kernel'() {
			await must('systemctl', 'stop', unit);
			equal(await show('ActiveState'), 'inactive');
			holds('the route is gone', await hasRoute());
		},
	},
	trouble,
);
console.error(readFileSync('/proc/uptime', 'utf8'));
process.exit(0);
