import test from 'ava';
import type { DataPlane, PlaneView } from '../../src/core/index.ts';
import { PlaneRegistry } from '../../src/daemon/planes.ts';
import { recordingLogger } from '../fakes/log.ts';

/** A plane that records its inputs. */
function plane(name: string, calls: string[], broken = false): DataPlane<number> {
	const view: PlaneView = {
		name,
		enabled: true,
		inSync: true,
		waitingFor: [],
		desired: 2,
		installed: 1,
		differences: [{ subject: 'x', state: 'failed' }],
		failures: [{ subject: 'x', reason: 'Network is unreachable (ENETUNREACH)' }],
	};
	return {
		name,
		apply(state) {
			if (broken) throw new Error('bad state');
			calls.push(`${name} ${state}`);
		},
		inSync: (source) => void calls.push(`${name} in sync with ${source}`),
		view: () => view,
		whenIdle: async () => {},
		stop: async () => void calls.push(`${name} stopped`),
	};
}

test('every plane gets its part of the state in the order of registration, and stops in the reverse order', async (t) => {
	const calls: string[] = [];
	const planes = new PlaneRegistry<{ readonly first: number; readonly second: number }>(recordingLogger());
	planes.register(plane('a', calls), ({ first }) => first);
	planes.register(plane('b', calls), ({ second }) => second);
	planes.apply({ first: 1, second: 2 });
	planes.inSync('bgp');
	await planes.stop();
	t.deepEqual(calls, ['a 1', 'b 2', 'a in sync with bgp', 'b in sync with bgp', 'b stopped', 'a stopped']);
	t.deepEqual(
		(await planes.views()).map(({ name }) => name),
		['a', 'b'],
	);
});

test('a plane without its part of the state keeps its last state', (t) => {
	const calls: string[] = [];
	const planes = new PlaneRegistry<{ readonly part: number | undefined }>(recordingLogger());
	planes.register(plane('a', calls), ({ part }) => part);
	planes.apply({ part: 1 });
	planes.apply({ part: undefined });
	t.deepEqual(calls, ['a 1']);
});

test('a plane that is registered late gets the last state and the sources that are in sync', (t) => {
	const calls: string[] = [];
	const planes = new PlaneRegistry<number>(recordingLogger());
	planes.apply(7);
	planes.inSync('bgp');
	planes.register(plane('late', calls), (state) => state);
	t.deepEqual(calls, ['late 7', 'late in sync with bgp']);
	t.throws(() => planes.register(plane('late', calls), (state) => state), { message: /registered already/ });
});

test('a plane that throws does not block the others', (t) => {
	const calls: string[] = [];
	const log = recordingLogger();
	const planes = new PlaneRegistry<number>(log);
	planes.register(plane('broken', calls, true), (state) => state);
	planes.register(plane('good', calls), (state) => state);
	planes.apply(1);
	t.deepEqual(calls, ['good 1']);
	t.regex(JSON.stringify(log.lines), /data plane did not take the state/);
});
