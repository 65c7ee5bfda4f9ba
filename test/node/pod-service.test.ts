import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { ControlError } from '../../src/control/index.ts';
import { type Clock, type Logger, systemClock } from '../../src/core/index.ts';
import { type AddressHandlers, noAddressService, podService, ReleaseQueue } from '../../src/node/index.ts';
import { type AttachRequest, PodInterfaceError, type PodInterfaces } from '../../src/pods/index.ts';

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };
const grant = { family: 'ipv4', address: '192.168.1.1', block: '192.168.1.0/26' } as const;
const attachment = { network: 'pods', containerId: 'c1', ifname: 'eth0' };
const request = {
	...attachment,
	families: ['ipv4'],
	ipv4Pools: [],
	ipv6Pools: [],
	interface: { namespace: '/run/netns/p' },
};

/** A service on fakes that record the calls in order. */
function service(
	fails: { readonly attach?: Error; readonly secure?: Error; readonly release?: Error } = {},
	annotated: { readonly mac?: string; readonly writes?: string[] } = {},
) {
	const events: string[] = [];
	const attached: AttachRequest[] = [];
	const failing = async (error: Error | undefined) => {
		if (error !== undefined) throw error;
	};
	const addresses: AddressHandlers = {
		...noAddressService('not in this test'),
		cniAdd: async () => {
			events.push('addresses given');
			return { addresses: [grant], ...annotated };
		},
		cniDelete: async () => {
			await failing(fails.release);
			events.push('addresses released');
			return { addresses: [grant.address] };
		},
	};
	const interfaces = {
		attach: async (wanted: AttachRequest) => {
			await failing(fails.attach);
			attached.push(wanted);
			events.push('interface made');
			return { hostName: 'cali1', mac: new Uint8Array([2, 0, 0, 0, 0, 1]), mtuBytes: 1480 };
		},
		detach: async () => void events.push('interface removed'),
	} as unknown as PodInterfaces;
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-queue-'));
	const queue = new ReleaseQueue({
		folder,
		release: (queued) => Promise.resolve(addresses.cniDelete({ request: queued })),
		clock: systemClock,
		log: quiet,
	});
	const secured = async () => {
		await failing(fails.secure);
		events.push('policy stands');
	};
	const annotations = {
		attached: async (_: unknown, given: readonly string[]) => void annotated.writes?.push(`attached ${given}`),
		detached: async () => void annotated.writes?.push('detached'),
	};
	const handlers = podService({ addresses, interfaces: () => interfaces, queue, secured, annotations, log: quiet });
	return { handlers, events, attached, folder, queue };
}

test('ADD assigns addresses, then creates the interface, then writes its policy, then returns', async (t) => {
	const { handlers, events } = service();
	const view = await handlers.cniAdd({ request });
	t.deepEqual(events, ['addresses given', 'interface made', 'policy stands']);
	t.deepEqual(view.interface, { hostName: 'cali1', mac: '02:00:00:00:00:01', mtuBytes: 1480 });
});

test('ADD releases the addresses when the interface cannot be created', async (t) => {
	const { handlers, events } = service({ attach: new PodInterfaceError('no', 'hint') });
	await t.throwsAsync(async () => handlers.cniAdd({ request }), { instanceOf: ControlError, message: 'no' });
	t.deepEqual(events, ['addresses given', 'addresses released']);
});

test('ADD removes the interface and releases the address when the policy cannot be written', async (t) => {
	const { handlers, events } = service({ secure: new Error('the kernel refuses') });
	await t.throwsAsync(async () => handlers.cniAdd({ request }), { message: /the kernel refuses/ });
	t.deepEqual(events, ['addresses given', 'interface made', 'interface removed', 'addresses released']);
});

test('the annotations of the pod follow ADD, a failed ADD, and DEL', async (t) => {
	const writes: string[] = [];
	const { handlers } = service({}, { writes });
	await handlers.cniAdd({ request });
	await handlers.cniDelete({ request });
	t.deepEqual(writes.splice(0), ['attached 192.168.1.1', 'detached']);
	const failing = service({ attach: new PodInterfaceError('no', 'hint') }, { writes });
	await t.throwsAsync(async () => failing.handlers.cniAdd({ request }));
	t.deepEqual(writes, ['attached 192.168.1.1', 'detached']);
});

test('a request without an interface only assigns addresses', async (t) => {
	const { handlers, events } = service();
	const { interface: _, ...plain } = request;
	await handlers.cniAdd({ request: plain });
	await handlers.cniDelete({ request: attachment });
	t.deepEqual(events, ['addresses given', 'addresses released']);
});

test('DEL while the API server is unreachable removes the interface and stores the pending release on disk', async (t) => {
	const away = new ControlError(503, 'no-api-server', 'away');
	const { handlers, events, folder } = service({ release: away });
	t.deepEqual(await handlers.cniDelete({ request }), { addresses: [] });
	t.deepEqual(events, ['interface removed']);
	t.deepEqual(readdirSync(folder), ['pods.c1.eth0.release.json']);
});

/** A clock whose callback runs when the test calls it. */
function steppedClock() {
	let due: (() => void) | undefined;
	const clock: Clock = {
		...systemClock,
		after(_delayMs, callback) {
			due = callback;
			return { cancel: () => undefined };
		},
	};
	const next = async () => {
		while (due === undefined) await pause(1);
		const callback = due;
		due = undefined;
		return callback;
	};
	return { clock, next };
}

/** A queue with these containers on disk, whose releases fail while `failing` has the container. */
function queueOf(t: ExecutionContext, containers: readonly string[], failing: ReadonlySet<string>) {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-queue-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const attempts: string[] = [];
	const { clock, next } = steppedClock();
	const queue = new ReleaseQueue({
		folder,
		release: async ({ containerId }) => {
			attempts.push(containerId);
			if (failing.has(containerId)) throw new ControlError(503, 'no-api-server', 'away');
		},
		clock,
		log: quiet,
	});
	for (const containerId of containers) queue.add({ ...attachment, containerId, pod: undefined });
	t.teardown(() => queue.stop());
	return { queue, next, attempts, left: () => readdirSync(folder).map((name) => name.split('.')[1]) };
}

test('a release that fails does not hold up the others, and is attempted again', async (t) => {
	const failing = new Set(['a']);
	const { queue, next, attempts, left } = queueOf(t, ['a', 'b', 'c'], failing);
	queue.start();
	let round = await next();
	t.deepEqual([attempts, left()], [['a', 'b', 'c'], ['a']]);
	round();
	round = await next();
	t.deepEqual(attempts.slice(3), ['a']);
	failing.clear();
	round();
	await next();
	t.deepEqual(left(), []);
});

test('a round ends after some failures, and the next one begins with the other releases', async (t) => {
	const containers = Array.from({ length: 10 }, (_, index) => `c${index}`);
	const failing = new Set(containers.slice(0, 9));
	const { queue, next, attempts, left } = queueOf(t, containers, failing);
	queue.start();
	const round = await next();
	t.deepEqual(attempts, containers.slice(0, 8));
	round();
	await next();
	t.deepEqual(attempts.slice(8, 10), ['c8', 'c9']);
	t.false(left().includes('c9'));
});

test('a pending release is completed when the API server is reachable again; an invalid file is skipped', async (t) => {
	const { events, folder, queue } = service();
	queue.add({ ...attachment, pod: undefined });
	writeFileSync(join(folder, 'a.release.json'), 'not JSON');
	queue.start();
	t.teardown(() => queue.stop());
	for (let attempt = 0; attempt < 100 && readdirSync(folder).length > 0; attempt++) await pause(20);
	t.deepEqual(readdirSync(folder), []);
	t.deepEqual(events, ['addresses released']);
});
