import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { isJournal, notifySystemd, SystemCallError, watchdogIntervalMs } from '../../src/linux/index.ts';
import { check, libc } from '../../src/linux/libc.ts';

/** A bound datagram socket with an abstract name, which Node cannot make. */
function listen(name: string): { receive(): string; close(): void } {
	const address = Buffer.concat([Buffer.from([1, 0, 0]), Buffer.from(name)]);
	const fd = check('socket', libc().socket(1, 2 | 0x80000 | 0x800, 0));
	check('bind', libc().bind(fd, address, address.length));
	return {
		receive() {
			const bytes = Buffer.alloc(4096);
			return bytes.toString('utf8', 0, check('recv', libc().recv(fd, bytes, bytes.length, 0)));
		},
		close: () => void libc().close(fd),
	};
}

test('the service manager receives the state unchanged', (t) => {
	const name = `bgpmesh-notify-${process.pid}`;
	const manager = listen(name);
	t.true(notifySystemd('READY=1\nSTATUS=4 peers', `@${name}`));
	t.is(manager.receive(), 'READY=1\nSTATUS=4 peers');
	manager.close();
});

test('without a service manager nothing is sent', (t) => {
	t.false(notifySystemd('READY=1', undefined));
});

test('a missing service manager is an error with its errno', (t) => {
	const error = t.throws(() => notifySystemd('READY=1', '@bgpmesh-without-listener'), { instanceOf: SystemCallError });
	t.is(error?.code, 'ECONNREFUSED');
});

test('a path that is too long for an address is refused', (t) => {
	t.throws(() => notifySystemd('READY=1', `/${'x'.repeat(108)}`), { instanceOf: RangeError });
});

for (const { title, environment, interval } of [
	{ title: 'no watchdog', environment: {}, interval: undefined },
	{
		title: 'a watchdog for this process',
		environment: { WATCHDOG_USEC: '10000000', WATCHDOG_PID: String(process.pid) },
		interval: 5000,
	},
	{
		title: 'a watchdog for another process',
		environment: { WATCHDOG_USEC: '10000000', WATCHDOG_PID: '1' },
		interval: undefined,
	},
	{ title: 'a watchdog for any process', environment: { WATCHDOG_USEC: '3000000' }, interval: 1500 },
]) {
	test(`the watchdog interval with ${title}`, (t) => t.is(watchdogIntervalMs(environment), interval));
}

test('a process that sent a notification can still exit', async (t) => {
	const code = `import { libc } from ${JSON.stringify(new URL('../../src/linux/libc.js', import.meta.url).href)}; libc();`;
	const child = spawn(process.execPath, ['--input-type=module', '-e', code]);
	const [exitCode] = await once(child, 'exit');
	t.is(exitCode, 0);
});

test('the journal is detected by device and inode of the descriptor', (t) => {
	const file = openSync(fileURLToPath(import.meta.url), 'r');
	t.teardown(() => closeSync(file));
	const { dev, ino } = fstatSync(file, { bigint: true });
	t.true(isJournal(file, { JOURNAL_STREAM: `${dev}:${ino}` }));
	t.false(isJournal(file, { JOURNAL_STREAM: `${dev}:${ino + 1n}` }));
	t.false(isJournal(file, {}));
	t.false(isJournal(9999, { JOURNAL_STREAM: '1:1' }));
});
