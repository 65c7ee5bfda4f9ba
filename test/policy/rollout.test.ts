import test from 'ava';
import {
	heartbeatMs,
	mostReported,
	type NodePolicyReport,
	PolicyProgress,
	parseReport,
	reportStatus,
} from '../../src/policy/index.ts';

const first = '2026-01-01T00:00:00.000Z';
const later = '2026-01-01T00:00:10.000Z';
const policies = 'network-policies';
const web = 'NetworkPolicy prod/web';

/** The progress of a node on which this was written to the kernel. */
function nodeWith(...seen: readonly (readonly [policy: string, generation: number, version: string])[]) {
	const progress = new PolicyProgress();
	for (const [policy, generation, version] of seen) progress.seen(policies, policy, generation, version);
	progress.taken()(first);
	return progress;
}
const report = (node: string, progress: PolicyProgress, more: Partial<NodePolicyReport> = {}): NodePolicyReport => ({
	node,
	mode: 'enforced',
	waitingFor: [],
	...progress.report(),
	...more,
});

test('a node lags until its kernel has the version at which the generation of a policy appeared', (t) => {
	const here = nodeWith([web, 1, '100']);
	const there = nodeWith([web, 1, '100']);
	const both = () => here.rollout(web, [report('a', here), report('b', there)]);
	t.deepEqual(both(), { enforcedOn: 2, nodes: 2, since: first, lagging: [] });
	here.seen(policies, web, 2, '150');
	t.is(both()?.enforcedOn, 0, 'seen is not written');
	here.taken()(later);
	t.deepEqual(both(), { enforcedOn: 1, nodes: 2, since: later, lagging: ['b'] });
	there.seen(policies, web, 2, '150');
	there.taken()(later);
	t.deepEqual(both(), { enforcedOn: 2, nodes: 2, since: later, lagging: [] });
});

test('what arrives while a change is being written is not part of it', (t) => {
	const progress = nodeWith([web, 1, '100']);
	const written = progress.taken();
	progress.seen(policies, web, 2, '200');
	t.false(written(later));
	t.deepEqual(progress.report().versions, { [policies]: '100' });
	t.true(progress.taken()(later));
	t.deepEqual(progress.report(), {
		versions: { [policies]: '200' },
		recent: [{ policy: web, generation: 2, since: later }],
	});
});

test('a change of metadata alone makes no node lag', (t) => {
	const here = nodeWith([web, 1, '100']);
	const there = report('b', nodeWith([web, 1, '100']));
	here.seen(policies, web, 1, '300');
	here.taken()(later);
	t.deepEqual(here.rollout(web, [report('a', here), there]), { enforcedOn: 2, nodes: 2, since: first, lagging: [] });
});

test('a node beside another engine enforces nothing, and the first write is reported without any policy', (t) => {
	const progress = nodeWith([web, 1, '100']);
	t.deepEqual(progress.rollout(web, [report('a', progress, { mode: 'refused' })])?.lagging, ['a']);
	const empty = new PolicyProgress();
	t.true(empty.taken()(first));
	t.false(empty.taken()(first));
	t.is(empty.rollout(web, []), undefined);
});

test('versions are compared as numbers, and one that is no number is ignored', (t) => {
	const here = nodeWith([web, 1, '1000']);
	t.deepEqual(here.rollout(web, [report('b', nodeWith([web, 1, '999']))])?.lagging, ['b']);
	here.seen(policies, 'NetworkPolicy prod/odd', 1, 'abc');
	t.is(here.rollout('NetworkPolicy prod/odd', []), undefined);
});

test('a restarted daemon keeps the time of the same generation', (t) => {
	const restarted = new PolicyProgress();
	restarted.restore([
		{ policy: web, generation: 1, since: first },
		{ policy: 'NetworkPolicy prod/db', generation: 1, since: first },
	]);
	restarted.seen(policies, web, 1, '100');
	restarted.seen(policies, 'NetworkPolicy prod/db', 2, '101');
	restarted.taken()(later);
	t.deepEqual(
		restarted.report().recent.map(({ policy, since }) => [policy, since]),
		[
			['NetworkPolicy prod/db', later],
			[web, first],
		],
	);
});

test('a report of thousands of policies is bounded, and the time of one that it does not list is not known', (t) => {
	const progress = nodeWith(
		...Array.from({ length: 5000 }, (_, index) => [`NetworkPolicy prod/p${index}`, 1, `${index + 1}`] as const),
	);
	const own = report('a', progress, { failure: 'x'.repeat(10_000) });
	t.is(own.recent.length, mostReported);
	t.true(JSON.stringify(reportStatus(own, later)).length < 8192);
	t.deepEqual(progress.rollout('NetworkPolicy prod/p0', [own]), { enforcedOn: 1, nodes: 1, lagging: [] });
	t.is(progress.rollout('NetworkPolicy prod/p4999', [own])?.since, first);
});

test('a report is read back from its object, and what cannot be read is left out', (t) => {
	const own = report('a', nodeWith([web, 1, '100']), { failure: 'Device or resource busy', waitingFor: ['pods'] });
	t.deepEqual(parseReport({ metadata: { name: 'a' }, status: reportStatus(own, later) }, Date.parse(later)), own);
	const nothing: NodePolicyReport = { node: '', mode: 'refused', waitingFor: [], versions: {}, recent: [] };
	for (const status of [undefined, null, 7, [], { versions: [], recent: {}, waitingFor: 'x', failure: 3, mode: {} }])
		t.deepEqual(parseReport({ status } as never, 0), nothing);
	t.deepEqual(parseReport({ status: { recent: [null, { policy: 1 }], versions: { a: 1 } } } as never, 0), nothing);
});

test('a report that is not renewed is stale', (t) => {
	const object = { metadata: { name: 'a' }, status: reportStatus(report('a', nodeWith([web, 1, '100'])), first) };
	const after = (beats: number) => parseReport(object, Date.parse(first) + beats * heartbeatMs).isStale;
	t.deepEqual([0, 1, 3].map(after), [undefined, undefined, undefined]);
	t.true(after(4));
});
