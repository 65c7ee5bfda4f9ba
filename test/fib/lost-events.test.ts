/**
 * Events of a real kernel that are lost: a storm of foreign routes overflows the socket's buffer
 * (ENOBUFS), and the changes that matter are behind it. Audits at intervals are off.
 */
import { execFileSync } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import { type LogFields, type Logger, prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import { Fib, NextHopTracker, openNeighbouringKernel, openNetlinkKernel } from '../../src/fib/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { eventually } from '../support/eventually.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';
import { ourProtocol } from './kernel-contract.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: lost events of the kernel: ${noNamespaces}`);
const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;

/** More events than 8 MiB of socket buffer hold. */
const stormRoutes = 60_000;

/** Runs all commands in one process while this one reads no events. */
function changeUnseen(last: readonly string[]): void {
	const storm = Array.from(
		{ length: stormRoutes },
		(_, index) => `route add blackhole 100.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}/32`,
	);
	const input = `${[...storm, ...last].join('\n')}\n`;
	execFileSync('ip', ['-force', '-batch', '-'], { input, env: systemEnvironment() });
}

/** A logger that keeps the reasons of lost events. */
function losses(): { readonly log: Logger; readonly reasons: unknown[] } {
	const reasons: unknown[] = [];
	const warn = (message: string, fields: LogFields = {}) => {
		if (message === 'kernel events were lost') reasons.push(fields['reason']);
	};
	const log: Logger = { ...silentLogger, warn, child: () => log };
	return { log, reasons };
}

/** A started FIB with two routes over 10.7.0.2 in the main table. */
async function startFib(t: ExecutionContext, log: Logger): Promise<Fib> {
	const fib = new Fib(
		{ routeProtocol: ourProtocol, auditSeconds: 100_000 },
		{
			kernel: openNetlinkKernel({ routeProtocol: ourProtocol }, log),
			encapsulate: () => ({ type: 'direct', device: 'left' }),
			clock: systemClock,
			random: Math.random,
			log,
		},
	);
	t.teardown(() => fib.stop());
	await fib.start();
	fib.apply(
		['192.168.1.0/26', '192.168.2.0/26'].map((prefix) => ({
			type: 'install',
			route: {
				prefix: prefixKey(prefix),
				family: 'ipv4',
				nextHop: '10.7.0.2',
				source: 'internal',
				peer: 'b',
				localPref: 100,
			},
		})),
	);
	await fib.whenIdle();
	return fib;
}

const ours = () =>
	ip(`route show proto ${ourProtocol}`)
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '')
		.sort();

kernelTest('after lost events the FIB reads its routes once and restores them', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	const { log, reasons } = losses();
	const fib = await startFib(t, log);
	const before = ours();
	t.is(before.length, 2);
	const { audits } = fib.stats();
	changeUnseen([
		'route del 192.168.1.0/26 metric 1024',
		'route change 192.168.2.0/26 via 10.7.0.9 dev left proto 80 metric 1024',
	]);
	t.not(ours().length, 2);
	await eventually('the routes are back', () => ours().join() === before.join());
	await fib.whenIdle();
	t.is(reasons.length, 1);
	t.regex(String(reasons[0]), /ENOBUFS/);
	t.is(fib.stats().audits, audits + 1);
});

kernelTest('after lost events the tracker of next hops reads all routes', async (t) => {
	enterNewNamespace();
	addInterface('left', ['10.7.0.1/24']);
	ip('route add 172.16.0.0/24 via 10.7.0.2');
	const { log, reasons } = losses();
	const tracker = new NextHopTracker({
		kernel: openNeighbouringKernel({ exceptProtocols: [ourProtocol] }, log),
		clock: systemClock,
		log,
	});
	t.teardown(() => tracker.stop());
	await tracker.start();
	t.is(tracker.way('172.16.0.9')?.via, '10.7.0.2');
	changeUnseen(['route del 172.16.0.0/24']);
	await eventually('the next hop is unreachable', () => tracker.cost('172.16.0.9') === undefined);
	t.regex(String(reasons[0]), /ENOBUFS/);
});
