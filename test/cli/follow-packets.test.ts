import test from 'ava';
import { followPackets } from '../../src/cli/follow-packets.ts';
import type { VerbDependencies } from '../../src/cli/verb.ts';
import { policyDrop } from './policy-views.ts';
import { nowMs } from './views.ts';

/** Follows a daemon that reports three drops and then ends the stream, or fails. */
async function follow(watch: boolean, abort: boolean) {
	const controller = new AbortController();
	async function* events() {
		yield policyDrop;
		yield policyDrop;
		yield policyDrop;
		if (!abort) return;
		controller.abort();
		throw new Error('aborted');
	}
	const lines: string[] = [];
	const outcome = await followPackets(
		'policyDrops',
		{ watch, json: true, socket: undefined } as unknown as Parameters<typeof followPackets>[1],
		{
			daemon: { listen: events } as unknown as VerbDependencies['daemon'],
			screen: { colours: false, nowMs },
			write: (text) => {
				lines.push(text);
			},
			signal: controller.signal,
		},
	);
	return { outcome, lines };
}

test('with --watch every packet is shown; the end of the stream is not as asked', async (t) => {
	t.deepEqual(await follow(true, false), {
		outcome: 'not-as-asked',
		lines: Array.from({ length: 3 }, () => `${JSON.stringify(policyDrop)}\n`),
	});
});

test('Ctrl-C ends the list without an error', async (t) => {
	const { outcome, lines } = await follow(true, true);
	t.is(outcome, 'done');
	t.is(lines.length, 3);
});

test('--no-watch ends after one packet', async (t) => {
	const { outcome, lines } = await follow(false, false);
	t.is(outcome, 'done');
	t.is(lines.length, 1);
});
