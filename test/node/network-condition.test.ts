import test from 'ava';
import { mustSayUp, networkCondition } from '../../src/node/network-condition.ts';

const node = (...conditions: readonly Record<string, string>[]) => ({ status: { conditions } });
const ready = { type: 'Ready', status: 'False' };
const unavailable = (status: string, reason: string) => ({ type: 'NetworkUnavailable', status, reason });

const rows = [
	['a Node without conditions', {}, false, true],
	['a Node with other conditions', node(ready), true, true],
	['a working network, written by Calico', node(ready, unavailable('False', 'CalicoIsUp')), false, false],
	['at the start, over the condition of a cloud provider', node(unavailable('True', 'NoRouteCreated')), false, true],
	['later, the condition of a cloud provider', node(unavailable('True', 'NoRouteCreated')), true, false],
	['later, the condition of a stopped Calico agent', node(unavailable('True', 'CalicoIsDown')), true, true],
	[
		'later, the condition of an earlier bgpmesh process that stopped',
		node(unavailable('True', 'BgpmeshIsDown')),
		true,
		true,
	],
] as const;
for (const [title, raw, saidUp, must] of rows) {
	test(`the condition is written: ${title}: ${must ? 'yes' : 'no'}`, (t) => {
		t.is(mustSayUp(raw, saidUp), must);
	});
}

test('the condition has the fields that Kubernetes requires', (t) => {
	const now = new Date('2026-01-02T03:04:05.678Z');
	const at = { lastHeartbeatTime: '2026-01-02T03:04:05Z', lastTransitionTime: '2026-01-02T03:04:05Z' };
	t.like(networkCondition('up', now), { type: 'NetworkUnavailable', status: 'False', reason: 'BgpmeshIsUp', ...at });
	t.like(networkCondition('down', now), { type: 'NetworkUnavailable', status: 'True', reason: 'BgpmeshIsDown', ...at });
});
