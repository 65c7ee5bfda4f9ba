import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { formatPrefix, type PrefixKey, type RouteChange, silentLogger, systemClock } from '../../src/core/index.ts';
import { ordered } from '../../src/fib/diff.ts';
import { Fib, type KernelRoute, openNetlinkKernel, type RouteOperation } from '../../src/fib/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { CompilerMissingError, compile } from '../compile.ts';

export interface Layout {
	readonly routes: number;
	/** Routes use them in turn. */
	readonly nextHops: number;
}

export const operations = ['install', 'list', 'replace', 'delete'] as const;
/** `list` reads all routes back; `replace` gives every route another next hop. */
export type Operation = (typeof operations)[number];

/**
 * Of one pass: milliseconds, and the longest block of our event loop, if the subject runs in this
 * process.
 */
export type Timing = Readonly<Record<Operation, { readonly ms: number; readonly longestBlockMs?: number }>>;

/** The result of a pass, or the reason why there is none. */
export type Outcome =
	| { readonly type: 'timed'; readonly timing: Timing }
	| { readonly type: 'missing'; readonly reason: string };

export type Subject = (layout: Layout) => Promise<Outcome>;

const routeProtocol = 80;
const changesPerSlice = 2000;

function prefixes({ routes }: Layout): PrefixKey[] {
	return Array.from({ length: routes }, (_, index) =>
		formatPrefix(Uint8Array.of(100, (index >> 14) & 255, (index >> 6) & 255, (index & 63) << 2), 30),
	);
}

/** Interleaved, the order that is hard for the kernel. */
const nextHop = (index: number, { nextHops }: Layout, generation: number): string => {
	const host = 256 + (index % nextHops) + generation * nextHops;
	return `10.0.${(host >> 8) & 255}.${host & 255}`;
};

/** Runs the operations in order; with `blocks` the event loop is measured during each. */
async function pass(work: Readonly<Record<Operation, () => unknown>>, blocks: boolean): Promise<Outcome> {
	const delay = monitorEventLoopDelay({ resolution: 1 });
	const timing: Partial<Record<Operation, { ms: number; longestBlockMs?: number }>> = {};
	for (const operation of operations) {
		await pause(20);
		delay.enable();
		delay.reset();
		const start = performance.now();
		await work[operation]();
		const ms = performance.now() - start;
		await pause(2);
		delay.disable();
		timing[operation] = blocks ? { ms, longestBlockMs: delay.max / 1e6 } : { ms };
	}
	// Every operation was timed.
	return { type: 'timed', timing: timing as Timing };
}

/** Only the kernel interface: prepared operations, grouped by next hop as the FIB groups them. */
async function timeKernel(layout: Layout): Promise<Outcome> {
	const keys = prefixes(layout);
	const routes = (generation: number): KernelRoute[] =>
		keys.map((prefix, index) => ({
			prefix,
			family: 'ipv4',
			type: 'unicast',
			via: nextHop(index, layout, generation),
			device: 'eth0',
			onlink: false,
			metric: 1024,
		}));
	const [before, after] = [routes(0), routes(1)];
	const install = ordered(before.map((route) => ({ type: 'add', route })));
	const replace = ordered(after.map((route, index) => ({ type: 'replace', route, old: before[index] ?? route })));
	const remove = ordered(after.map((route) => ({ type: 'remove', route })));
	const kernel = openNetlinkKernel({ routeProtocol }, silentLogger);
	const apply = async (operations: readonly RouteOperation[]) => {
		const refused = await kernel.apply(operations);
		if (refused.length > 0) throw new Error(`refused: ${refused[0]?.error.message}`);
	};
	const outcome = await pass(
		{
			install: () => apply(install),
			list: () => kernel.list(),
			replace: () => apply(replace),
			delete: () => apply(remove),
		},
		true,
	);
	kernel.close();
	return outcome;
}

/**
 * The whole FIB: from best routes passed to it until the kernel has them, differences and grouping
 * included.
 */
async function timeFib(layout: Layout): Promise<Outcome> {
	const keys = prefixes(layout);
	const changes = (generation: number): RouteChange[] =>
		keys.map((prefix, index) => ({
			type: 'install',
			route: {
				prefix,
				family: 'ipv4',
				nextHop: nextHop(index, layout, generation),
				source: 'internal',
				peer: 'bench',
				localPref: 100,
			},
		}));
	const [before, after] = [changes(0), changes(1)];
	const kernel = openNetlinkKernel({ routeProtocol }, silentLogger);
	const fib = new Fib(
		{ routeProtocol },
		{
			kernel,
			encapsulate: () => ({ type: 'direct', device: 'eth0' }),
			clock: systemClock,
			random: Math.random,
			log: silentLogger,
		},
	);
	// As the RIB passes changes: a slice at a time.
	const apply = async (batch: readonly RouteChange[], expected: number) => {
		for (let start = 0; start < batch.length; start += changesPerSlice) {
			fib.apply(batch.slice(start, start + changesPerSlice));
			await new Promise((resolve) => setImmediate(resolve));
		}
		await fib.whenIdle();
		const { prefixes: held, failing } = fib.stats();
		if (held !== expected || failing > 0) throw new Error(`${held} of ${expected} held, ${failing} refused`);
	};
	await fib.start();
	// The events of the new interfaces cause one more read of the kernel.
	await pause(500);
	await fib.whenIdle();
	const removals = keys.map((prefix): RouteChange => ({ type: 'remove', prefix }));
	const outcome = await pass(
		{
			install: () => apply(before, layout.routes),
			list: () => kernel.list(),
			replace: () => apply(after, layout.routes),
			delete: () => apply(removals, 0),
		},
		true,
	);
	await fib.stop();
	return outcome;
}

/**
 * A C program that is compiled here: the performance of the kernel and a process without a runtime.
 */
async function timeC({ routes, nextHops }: Layout): Promise<Outcome> {
	let program: string;
	try {
		program = compile('fib-writer');
	} catch (error) {
		if (error instanceof CompilerMissingError) return { type: 'missing', reason: error.message };
		throw error;
	}
	const text = execFileSync(program, [String(routes), String(nextHops), 'eth0'], { encoding: 'utf8' });
	// The program prints the four times.
	const times = JSON.parse(text) as Record<`${Operation}Ms`, number>;
	const timing = Object.fromEntries(operations.map((name) => [name, { ms: times[`${name}Ms`] }]));
	return { type: 'timed', timing: timing as Timing };
}

/** iproute2 with a file of commands, in the order of the routes. */
async function timeIpBatch(layout: Layout): Promise<Outcome> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-fib-'));
	const keys = prefixes(layout);
	const file = (verb: string, generation: number): string => {
		const path = join(folder, verb);
		const tail = (index: number) =>
			verb === 'del'
				? 'metric 1024'
				: `via ${nextHop(index, layout, generation)} dev eth0 metric 1024 proto ${routeProtocol}`;
		writeFileSync(path, keys.map((prefix, index) => `route ${verb} ${prefix} ${tail(index)}\n`).join(''));
		return path;
	};
	const files = { add: file('add', 0), replace: file('replace', 1), del: file('del', 1) };
	const run = async (path: string) => {
		const child = spawn('ip', ['-force', '-batch', path], { stdio: 'ignore', env: systemEnvironment() });
		const [code] = await once(child, 'exit');
		if (code !== 0) throw new Error(`ip -batch ended with ${code}`);
	};
	try {
		return await pass(
			{
				install: () => run(files.add),
				list: () => listed('80'),
				replace: () => run(files.replace),
				delete: () => run(files.del),
			},
			false,
		);
	} finally {
		rmSync(folder, { recursive: true });
	}
}

const listed = (protocol: string) =>
	execFileSync('ip', ['-o', 'route', 'show', 'proto', protocol], {
		env: systemEnvironment(),
		maxBuffer: 1 << 28,
		encoding: 'utf8',
	});

/**
 * BIRD's kernel protocol with static routes. Installing is enabling the protocol, deleting is
 * disabling it; replacing is a new configuration, less the time that BIRD needs to read one.
 */
async function timeBird(layout: Layout): Promise<Outcome> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-bird-'));
	const env = systemEnvironment();
	try {
		execFileSync('bird', ['--version'], { stdio: 'ignore', env });
	} catch {
		rmSync(folder, { recursive: true });
		return { type: 'missing', reason: 'the command bird is missing; install: bird2' };
	}
	const keys = prefixes(layout);
	const [configuration, control] = [join(folder, 'bird.conf'), join(folder, 'bird.ctl')];
	const configure = (generation: number) =>
		writeFileSync(
			configuration,
			[
				'router id 10.0.0.1;',
				'protocol device {}',
				`protocol kernel kernel1 { ipv4 { export all; }; metric 1024; disabled ${generation === 0 ? 'yes' : 'no'}; }`,
				'protocol static statics { ipv4;',
				...keys.map((prefix, index) => `route ${prefix} via ${nextHop(index, layout, generation)};`),
				'}',
				'',
			].join('\n'),
		);
	const ask = (...words: string[]) => execFileSync('birdc', ['-s', control, ...words], { encoding: 'utf8', env });
	configure(0);
	const readStart = performance.now();
	execFileSync('bird', ['-p', '-c', configuration], { env, stdio: 'ignore' });
	const readMs = performance.now() - readStart;
	const bird = spawn('bird', ['-f', '-c', configuration, '-s', control, '-P', join(folder, 'bird.pid')], {
		stdio: 'ignore',
		env,
	});
	const until = async (what: string, holds: () => boolean) => {
		for (let attempt = 0; attempt < 6000; attempt++) {
			try {
				if (holds()) return;
			} catch {
				// BIRD is not started yet, or is busy.
			}
			await pause(10);
		}
		throw new Error(`BIRD: waited in vain until ${what}`);
	};
	const count = () =>
		Number(/^\s*Export updates:.* (\d+)$/m.exec(ask('show', 'protocols', 'all', 'kernel1'))?.[1] ?? 0);
	try {
		await until('it has its static routes', () => ask('show', 'route', 'count').includes(`${layout.routes} of`));
		const outcome = await pass(
			{
				install: async () => {
					ask('enable', 'kernel1');
					await until('all are exported', () => count() >= layout.routes);
				},
				list: () => listed('bird'),
				replace: async () => {
					configure(1);
					// The protocol stays enabled by hand.
					ask('configure');
					await until('all are exported again', () => count() >= 2 * layout.routes);
				},
				delete: () => ask('disable', 'kernel1'),
			},
			false,
		);
		if (outcome.type !== 'timed') return outcome;
		const { replace } = outcome.timing;
		return { type: 'timed', timing: { ...outcome.timing, replace: { ms: Math.max(1, replace.ms - readMs) } } };
	} finally {
		const exited = once(bird, 'exit');
		bird.kill('SIGKILL');
		// Its memory is freed before the next subject is measured.
		await exited;
		rmSync(folder, { recursive: true });
	}
}

/** By the name in the rows. */
export const subjects = {
	c: timeC,
	kernel: timeKernel,
	fib: timeFib,
	'ip-batch': timeIpBatch,
	bird: timeBird,
} as const satisfies Readonly<Record<string, Subject>>;
