import test from 'ava';
import { mustSayUp, networkCondition } from '../../../src/daemon/cluster/network-condition.ts';

const node = (...conditions: readonly Record<string, string>[]) => ({ status: { conditions } });
const ready = { type: 'Ready', status: 'False' };
const unavailable = (status: string, reason: string) => ({ type: 'NetworkUnavailable', status, reason });

const rows = [
	['a Node without conditions', {}, false, true],
	['a Node with other conditions', node(ready), true, true],
	['a network that is up, said by Calico', node(ready, unavailable('False', 'CalicoIsUp')), false, false],
	['at the start, whatever a cloud said', node(unavailable('True', 'NoRouteCreated')), false, true],
	['later, what a cloud says', node(unavailable('True', 'NoRouteCreated')), true, false],
	["later, Calico's agent that has ended", node(unavailable('True', 'CalicoIsDown')), true, true],
	['later, an earlier process of our own that has ended', node(unavailable('True', 'BgpmeshIsDown')), true, true],
] as const;
for (const [title, raw, saidUp, must] of rows) {
	test(`the network is said to be up: ${title}: ${must ? 'yes' : 'no'}`, (t) => {
		t.is(mustSayUp(raw, saidUp), must);
	});
}

test('the condition has what Kubernetes asks of one', (t) => {
	const now = new Date('2026-01-02T03:04:05.678Z');
	const at = { lastHeartbeatTime: '2026-01-02T03:04:05Z', lastTransitionTime: '2026-01-02T03:04:05Z' };
	t.like(networkCondition('up', now), { type: 'NetworkUnavailable', status: 'False', reason: 'BgpmeshIsUp', ...at });
	t.like(networkCondition('down', now), { type: 'NetworkUnavailable', status: 'True', reason: 'BgpmeshIsDown', ...at });
});
