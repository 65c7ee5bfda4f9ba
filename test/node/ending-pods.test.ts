import test from 'ava';
import type { JsonObject } from '../../src/json/index.ts';
import { endingAddresses, untilPodsEnded } from '../../src/node/ending-pods.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';

interface Shape {
	readonly ip?: string;
	readonly ends?: boolean;
	readonly hostNetwork?: boolean;
}

const pod = (name: string, { ip = '', ends = true, hostNetwork = false }: Shape): JsonObject => ({
	metadata: { name, namespace: 'a', ...(ends ? { deletionTimestamp: '2026-01-01T00:00:30Z' } : {}) },
	spec: { hostNetwork },
	status: ip === '' ? {} : { podIP: ip },
});

test('addresses about to be released are those of pods in deletion', (t) => {
	const pods = [
		pod('ends', { ip: '10.0.0.1' }),
		pod('lives', { ip: '10.0.0.2', ends: false }),
		pod('of-the-node', { ip: '192.0.2.1', hostNetwork: true }),
		pod('without-address', {}),
	];
	t.deepEqual([...endingAddresses(pods)], [['10.0.0.1', 'a/ends']]);
});

/** A wait with these pods and allocated addresses; both may change meanwhile. */
function waiting(pods: readonly JsonObject[], held: Set<string>) {
	const clock = new FakeClock();
	const log = recordingLogger();
	let ended = false;
	const wait = untilPodsEnded({ pods: async () => pods, held: () => held, clock, log }, 1000).then(() => {
		ended = true;
	});
	const advance = async (ms: number) => {
		for (let past = 0; past < ms; past += 20) {
			clock.advance(20);
			await new Promise((resolve) => setImmediate(resolve));
		}
	};
	return { log, wait, advance, ended: () => ended };
}

test('a stop waits until the addresses of pods in deletion are released', async (t) => {
	const held = new Set(['10.0.0.1', '10.0.0.2']);
	const pods = [pod('x', { ip: '10.0.0.1' })];
	const { wait, advance, ended, log } = waiting(pods, held);
	await advance(200);
	// The deletion of another pod begins during the wait.
	pods.push(pod('y', { ip: '10.0.0.2' }));
	held.delete('10.0.0.1');
	await advance(200);
	t.false(ended());
	held.delete('10.0.0.2');
	await advance(40);
	await wait;
	t.deepEqual(
		log.lines.map(({ level, fields }) => [level, fields]),
		[['info', { pods: ['a/x'] }]],
	);
});

test('a stop waits for nothing when no pod is deleted, or when its address is released already', async (t) => {
	for (const pods of [[pod('x', { ip: '10.0.0.1', ends: false })], [pod('y', { ip: '10.0.0.9' })]]) {
		const { wait, log } = waiting(pods, new Set(['10.0.0.1']));
		await wait;
		t.deepEqual(log.lines, []);
	}
});

test('a stop does not wait longer than its limit, and names the pods', async (t) => {
	const { wait, advance, ended, log } = waiting([pod('x', { ip: '10.0.0.1' })], new Set(['10.0.0.1']));
	await advance(980);
	t.false(ended());
	await advance(40);
	await wait;
	t.deepEqual(
		log.lines.map(({ level, fields }) => [level, fields['pods']]),
		[
			['info', ['a/x']],
			['warn', ['a/x']],
		],
	);
});

test('a stop waits for nothing without an answer of the API server', async (t) => {
	const log = recordingLogger();
	const pods = () => Promise.reject(new Error('away'));
	await untilPodsEnded({ pods, held: () => new Set(['10.0.0.1']), clock: new FakeClock(), log }, 1000);
	t.deepEqual(log.lines, []);
});
