import { mkdtempSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ControlClient, ControlServer, type Handlers, type MonitorEvent } from '../../src/control/index.ts';
import { Boundary, silentLogger, systemClock } from '../../src/core/index.ts';
import { MonitorHub } from '../../src/daemon/monitor.ts';

const session = (peer: string): MonitorEvent => ({ type: 'session', at: '', event: 'state', peer, state: 'idle' });
const route = (number: number): MonitorEvent => ({ type: 'route', at: '', change: 'remove', prefix: `${number}` });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The next `count` events of a monitor. */
async function take(hub: MonitorHub, routes: boolean, count: number, act: () => void): Promise<MonitorEvent[]> {
	const leave = new AbortController();
	const batches = hub.follow(routes, leave.signal);
	act();
	const events: MonitorEvent[] = [];
	for await (const batch of batches) {
		events.push(...batch.map(({ value }) => value));
		if (events.length >= count) break;
	}
	leave.abort();
	return events;
}

test('routes are followed only while a monitor reads them', (t) => {
	const hub = new MonitorHub();
	const seen: string[] = [];
	hub.setRouteSource(() => {
		seen.push('follow');
		return () => seen.push('end');
	});
	const [sessions, one, two] = [new AbortController(), new AbortController(), new AbortController()];
	hub.follow(false, sessions.signal);
	t.deepEqual(seen, []);
	hub.follow(true, one.signal);
	hub.follow(true, two.signal);
	one.abort();
	t.deepEqual(seen, ['follow']);
	two.abort();
	t.deepEqual(seen, ['follow', 'end']);
	t.true(hub.watched('session'));
	t.false(hub.watched('route'));
	t.is(hub.statistics.readers, 1);
});

test('a monitor gets the events since its start, in order, and routes only if requested', async (t) => {
	const hub = new MonitorHub();
	hub.publish(session('before'));
	const publish = () => {
		for (const event of [session('a'), route(1), session('b'), route(2)]) hub.publish(event);
	};
	t.deepEqual(await take(hub, false, 2, publish), [session('a'), session('b')]);
	t.deepEqual(await take(hub, true, 4, publish), [session('a'), route(1), session('b'), route(2)]);
});

test('a monitor that does not read loses the oldest events and gets their number', async (t) => {
	const hub = new MonitorHub();
	const events = await take(hub, true, 65_537, () => {
		for (let number = 0; number < 100_000; number++) hub.publish(route(number));
		t.is(hub.statistics.dropped, 100_000 - 65_536, 'counted before it reads');
	});
	t.like(events[0], { type: 'lost', count: 100_000 - 65_536 });
	t.deepEqual(events[1], route(100_000 - 65_536));
	t.deepEqual(events.at(-1), route(99_999));
	t.is(hub.statistics.dropped, 100_000 - 65_536);
});

test('route events do not push session events out for a monitor that reads only those', async (t) => {
	const hub = new MonitorHub();
	const other = new AbortController();
	hub.follow(true, other.signal);
	const events = await take(hub, false, 1, () => {
		hub.publish(session('a'));
		for (let number = 0; number < 100_000; number++) hub.publish(route(number));
	});
	t.deepEqual(events, [session('a')]);
	other.abort();
});

test('stalled monitors buffer no more events than their sockets hold, and a reading one gets its events', async (t) => {
	const hub = new MonitorHub();
	const socket = join(mkdtempSync(join(tmpdir(), 'bgpmesh-monitor-')), 's');
	const server = new ControlServer({
		renderHealth: async () => ({ ok: true, text: '' }),
		socket,
		group: undefined,
		metrics: undefined,
		// The only handler that this test needs.
		handlers: { monitor: ({ routes }, signal) => hub.follow(routes === true, signal) } as Pick<
			Handlers,
			'monitor'
		> as Handlers,
		renderMetrics: async () => ({ contentType: '', text: [] }),
		boundary: new Boundary({ log: silentLogger, clock: systemClock }),
	});
	await server.start();
	t.teardown(() => server.stop());
	const stalled = Array.from({ length: 50 }, () => {
		const outgoing = request({ socketPath: socket, path: '/v1/monitor?routes=true', agent: false });
		outgoing.on('error', () => undefined);
		outgoing.end();
		return outgoing;
	});
	t.teardown(() => {
		for (const outgoing of stalled) outgoing.destroy();
	});
	while (hub.statistics.readers < stalled.length) await pause(10);
	const leave = new AbortController();
	const reading = new ControlClient(socket).listen('monitor', {}, leave.signal);
	const first = reading.next();
	while (hub.statistics.readers <= stalled.length) await pause(10);
	for (let round = 0; round < 100; round++) {
		for (let number = 0; number < 3000; number++) hub.publish(route(number));
		await pause(1);
	}
	hub.publish(session('a'));
	t.deepEqual((await first).value, session('a'));
	leave.abort();
	const { dropped } = hub.statistics;
	t.true(dropped > 50 * 100_000, `${dropped} dropped`);
});
