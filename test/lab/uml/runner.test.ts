import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { GuestError, initScript, shellQuote } from '../../../lab/guest/index.ts';
import { bundle, hasWideRegisters, runInUml } from '../../../lab/uml/index.ts';
import { umlTest } from '../../support/uml.ts';

const collect = () => {
	const text = { stdout: '', stderr: '' };
	const onOutput = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => {
		text[stream] += Buffer.from(chunk).toString();
	};
	return { text, onOutput };
};

async function folder(t: ExecutionContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'bgpmesh-uml-test-'));
	t.teardown(() => rm(path, { recursive: true }));
	return path;
}

for (const { title, cpuInfo, wide } of [
	{
		title: 'with AMX',
		cpuInfo: 'processor\t: 0\nflags\t\t: fpu sse2 avx512f amx_bf16 avx512_fp16 amx_tile amx_int8\n',
		wide: true,
	},
	{ title: 'with AVX-512 only', cpuInfo: 'processor\t: 0\nflags\t\t: fpu sse2 avx512f pku\n', wide: false },
	{
		title: 'with the name only in the list of bugs',
		cpuInfo: 'flags\t\t: fpu sse2\nbugs\t\t: amx_tile\n',
		wide: false,
	},
])
	test(`processors ${title} ${wide ? 'have' : 'do not have'} more registers than user-mode-linux has room for`, (t) =>
		t.is(hasWideRegisters(cpuInfo), wide));

test('a word for the shell keeps quotes, spaces and dollars', (t) => {
	t.is(shellQuote("it's $HOME"), String.raw`'it'\''s $HOME'`);
});

test('a variable with an invalid shell name is refused', (t) => {
	const files = { hostname: 'guest', mountHost: () => 'true', modules: '/m', mounts: [] };
	const base = { job: '/j', command: 'true', args: [], cwd: '/', modules: [], writable: [], inMemory: [], files };
	t.throws(() => initScript({ ...base, env: { 'A;reboot': '1' } }), { instanceOf: TypeError });
});

umlTest('a command runs in a kernel with tunl0: output in two streams, variables, exit code', async (t) => {
	const { text, onOutput } = collect();
	const script =
		'ip -o link show tunl0 | grep -c NOARP; echo "$GREETING" >&2; touch /usr/nothing || echo read-only; exit 7';
	const { exitCode } = await runInUml({
		command: 'sh',
		args: ['-c', script],
		env: { GREETING: "it's $fine" },
		onOutput,
	});
	t.is(exitCode, 7);
	t.is(text.stdout, '1\nread-only\n');
	t.regex(text.stderr, /^it's \$fine$/m);
});

umlTest('the kernel inside has ipip', async (t) => {
	const { text, onOutput } = collect();
	const code = `import { hasIpip } from '${new URL('../../../lab/uml/detect.js', import.meta.url).href}'; console.log(hasIpip());`;
	const { exitCode } = await runInUml({
		command: process.execPath,
		args: ['--input-type=module', '-e', code],
		onOutput,
	});
	t.is(exitCode, 0, text.stderr);
	t.is(text.stdout, 'true\n');
});

umlTest("a writable folder is the host's own, a folder in memory is a copy", async (t) => {
	const [shared, copied] = [await folder(t), await folder(t)];
	await writeFile(join(copied, 'before'), 'host');
	const { exitCode } = await runInUml({
		command: 'sh',
		args: ['-c', `cp ${copied}/before ${shared}/after && echo guest > ${copied}/before`],
		writable: [shared],
		inMemory: [copied],
	});
	t.is(exitCode, 0);
	t.is(await readFile(join(shared, 'after'), 'utf8'), 'host');
	t.is(await readFile(join(copied, 'before'), 'utf8'), 'host');
});

umlTest('a bundle with koffi runs inside', async (t) => {
	const target = await folder(t);
	const entry = join(target, 'entry.ts');
	await writeFile(entry, `import koffi from 'koffi'; console.log(koffi.load('libc.so.6').func('int abs(int)')(-5));`);
	const file = await bundle(entry, target, 'entry');
	const { text, onOutput } = collect();
	const { exitCode } = await runInUml({ command: process.execPath, args: [file], onOutput });
	t.is(exitCode, 0, text.stderr);
	t.is(text.stdout, '5\n');
});

umlTest('a time limit that expires is an error', async (t) => {
	const error = await t.throwsAsync(runInUml({ command: 'sleep', args: ['100'], timeoutSeconds: 2 }), {
		instanceOf: GuestError,
	});
	t.is(error?.reason, 'timeout');
});

umlTest('an abort is an error and leaves no process', async (t) => {
	const abort = new AbortController();
	let output = '';
	const onOutput = (_: string, chunk: Uint8Array) => {
		output += Buffer.from(chunk).toString();
		abort.abort();
	};
	const running = runInUml({
		command: 'sh',
		args: ['-c', 'cat /proc/cmdline; sleep 100'],
		signal: abort.signal,
		onOutput,
	});
	const error = await t.throwsAsync(running, { instanceOf: GuestError });
	t.is(error?.reason, 'aborted');
	const job = /init=(\S+)\/init/.exec(output)?.[1] ?? '';
	t.not(job, '');
	t.false(existsSync(job), 'its folder is removed');
	t.is(spawnSync('pgrep', ['-f', job]).status, 1, 'its processes are gone');
});

umlTest('after SIGKILL of its caller no process is left running', async (t) => {
	const main = fileURLToPath(new URL('../../../lab/uml/main.js', import.meta.url));
	const caller = spawn(process.execPath, [main, '--', 'sh', '-c', 'cat /proc/cmdline; sleep 100'], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	const [line] = await once(createInterface({ input: caller.stdout }), 'line');
	const job = /init=(\S+)\/init/.exec(String(line))?.[1] ?? '';
	t.is(spawnSync('pgrep', ['-f', job]).status, 0, 'it runs');
	caller.kill('SIGKILL');
	while (spawnSync('pgrep', ['-f', job]).status === 0) await new Promise((resolve) => setTimeout(resolve, 50));
	t.true(existsSync(job), 'only its folder is left');
	await rm(job, { recursive: true });
});

umlTest('a panic of that kernel is an error with its log', async (t) => {
	const error = await t.throwsAsync(
		runInUml({ command: 'sh', args: ['-c', 'echo c > /proc/sysrq-trigger; sleep 100'] }),
		{ instanceOf: GuestError },
	);
	t.is(error?.reason, 'crashed');
	t.regex(error?.kernelLog ?? '', /crash/i);
});
