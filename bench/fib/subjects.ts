import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { formatPrefix, type PrefixKey, type RouteChange, silentLogger, systemClock } from '../../src/core/index.ts';
import { ordered } from '../../src/fib/diff.ts';
import { Fib, type KernelRoute, openNetlinkKernel, type RouteOperation } from '../../src/fib/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';

export interface Layout {
	readonly routes: number;
	/** Routes name them in turn. */
	readonly nextHops: number;
}

/** Of one run. */
export interface Timing {
	readonly installMs: number;
	/** Every route gets another next hop. */
	readonly replaceMs: number;
	readonly deleteMs: number;
	/** Reading all routes back. */
	readonly listMs: number;
	/** The longest time our event loop was blocked. */
	readonly longestBlockMs: number;
}

const routeProtocol = 80;

function prefixes({ routes }: Layout): PrefixKey[] {
	return Array.from({ length: routes }, (_, index) => formatPrefix(Uint8Array.of(100, (index >> 14) & 255, (index >> 6) & 255, (index & 63) << 2), 30));
}

/** Interleaved, the order that is hard for the kernel. */
const nextHop = (index: number, { nextHops }: Layout, generation: number): string => {
	const host = 256 + (index % nextHops) + generation * nextHops;
	return `10.0.${(host >> 8) & 255}.${host & 255}`;
};

async function timed(work: () => unknown): Promise<number> {
	const start = performance.now();
	await work();
	return performance.now() - start;
}

async function watched(work: (delay: IntervalHistogram) => Promise<Omit<Timing, 'longestBlockMs'>>): Promise<Timing> {
	const delay = monitorEventLoopDelay({ resolution: 1 });
	delay.enable();
	const timing = await work(delay);
	delay.disable();
	return { ...timing, longestBlockMs: delay.max / 1e6 };
}

/** The kernel interface alone: operations that are ready, grouped by next hop as the FIB groups them. */
export function timeKernel(layout: Layout): Promise<Timing> {
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
	const remove: RouteOperation[] = after.map((route) => ({ type: 'remove', route }));
	const kernel = openNetlinkKernel({ routeProtocol }, silentLogger);
	const apply = async (operations: RouteOperation[]) => {
		const refused = await kernel.apply(operations);
		if (refused.length > 0) throw new Error(`refused: ${refused[0]?.error.message}`);
	};
	return watched(async () => {
		const installMs = await timed(() => apply(install));
		const listMs = await timed(() => kernel.list());
		const replaceMs = await timed(() => apply(replace));
		const deleteMs = await timed(() => apply(remove));
		kernel.close();
		return { installMs, replaceMs, deleteMs, listMs };
	});
}

/** The whole FIB: from best routes handed over to the kernel holding them, differences and grouping included. */
export function timeFib(layout: Layout): Promise<Timing> {
	const keys = prefixes(layout);
	const changes = (generation: number): RouteChange[] =>
		keys.map((prefix, index) => ({
			type: 'install',
			route: { prefix, family: 'ipv4', nextHop: nextHop(index, layout, generation), source: 'internal', peer: 'bench', localPref: 100 },
		}));
	const [before, after] = [changes(0), changes(1)];
	const kernel = openNetlinkKernel({ routeProtocol }, silentLogger);
	const fib = new Fib(
		{ routeProtocol },
		{ kernel, encapsulate: () => ({ type: 'direct', device: 'eth0' }), clock: systemClock, random: Math.random, log: silentLogger },
	);
	const apply = async (batch: RouteChange[], expected: number) => {
		fib.apply(batch);
		await fib.whenIdle();
		const { prefixes: held, failing } = fib.stats();
		if (held !== expected || failing > 0) throw new Error(`${held} of ${expected} held, ${failing} refused`);
	};
	return watched(async (delay) => {
		await fib.start();
		delay.reset();
		const installMs = await timed(() => apply(before, layout.routes));
		const listMs = await timed(() => kernel.list());
		const replaceMs = await timed(() => apply(after, layout.routes));
		const deleteMs = await timed(() =>
			apply(
				keys.map((prefix) => ({ type: 'remove', prefix })),
				0,
			),
		);
		await fib.stop();
		return { installMs, replaceMs, deleteMs, listMs };
	});
}

/** iproute2 with a file of commands, in the order in which the routes come. */
export function timeIpBatch(layout: Layout): Promise<Timing> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-fib-'));
	const keys = prefixes(layout);
	const file = (verb: string, generation: number): string => {
		const path = join(folder, verb);
		const tail = (index: number) => (verb === 'del' ? 'metric 1024' : `via ${nextHop(index, layout, generation)} dev eth0 metric 1024 proto ${routeProtocol}`);
		writeFileSync(path, keys.map((prefix, index) => `route ${verb} ${prefix} ${tail(index)}\n`).join(''));
		return path;
	};
	const files = { add: file('add', 0), replace: file('replace', 1), del: file('del', 1) };
	const run = async (path: string) => {
		const child = spawn('ip', ['-force', '-batch', path], { stdio: 'ignore', env: systemEnvironment() });
		const [code] = await once(child, 'exit');
		if (code !== 0) throw new Error(`ip -batch ended with ${code}`);
	};
	return watched(async () => {
		try {
			const installMs = await timed(() => run(files.add));
			const listMs = await timed(() =>
				execFileSync('ip', ['-o', 'route', 'show', 'proto', String(routeProtocol)], { env: systemEnvironment(), maxBuffer: 1 << 28 }),
			);
			const replaceMs = await timed(() => run(files.replace));
			const deleteMs = await timed(() => run(files.del));
			return { installMs, replaceMs, deleteMs, listMs };
		} finally {
			rmSync(folder, { recursive: true });
		}
	});
}
