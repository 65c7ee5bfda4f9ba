import test, { type ExecutionContext } from 'ava';
import { measure } from '../../bench/measure.ts';
import { claimNetwork } from '../../bench/network.ts';
import { chooseScenarios, scenarios } from '../../bench/scenarios/index.ts';
import { nullReflector, subjects } from '../../bench/subjects/index.ts';
import type { Scenario, Subject, SubjectName } from '../../bench/types.ts';

const small = { scale: 0.002, boundSeconds: 60 };
const shortBound = { scale: 0.002, boundSeconds: 2 };
const withoutCompiler = nullReflector().missing();

function scenario(name: string): Scenario {
	const [found] = chooseScenarios([name]);
	if (found === undefined) throw new RangeError(name);
	return found;
}

function subject(name: SubjectName): Subject {
	const found = subjects.find((candidate) => candidate.name === name);
	if (found === undefined) throw new RangeError(name);
	return found;
}

/** A test that needs a program; without it, it is skipped, with the reason in its title. */
function testWith(missing: string | undefined, title: string, body: (t: ExecutionContext) => Promise<void>): void {
	if (missing === undefined) test.serial(title, body);
	else test.skip(`${title} (${missing})`, body);
}

test.serial('benchmarks at the same time have networks of their own, and give them back', async (t) => {
	const claimed = await Promise.all([claimNetwork(), claimNetwork(), claimNetwork()]);
	t.is(new Set(claimed.map(({ octet }) => octet)).size, 3);
	for (const { release } of claimed) await release();
	await (await claimNetwork()).release();
});

// Scenarios that wait or have thousands of sessions are too slow for a smoke test even when scaled.
const quick = scenarios.filter(
	({ name, beyondFloor }) => !name.startsWith('idle') && !name.startsWith('sessions') && beyondFloor !== true,
);
for (const { name } of quick) {
	testWith(withoutCompiler, `the null reflector passes ${name}`, async (t) => {
		const run = await measure(scenario(name), nullReflector(), small);
		t.true(run.verified, run.problem);
		t.true(run.seconds > 0);
		t.true(run.rssMiB > 0);
		t.is(run.longestBlockMs, null);
	});
}

const lies: readonly { kind: Parameters<typeof nullReflector>[0]; in: string; noticed: RegExp }[] = [
	{ kind: { kind: 'drop', every: 40 }, in: 'full-table', noticed: /prefixes missing/ },
	{ kind: { kind: 'attribute', every: 40 }, in: 'full-table', noticed: /attributes that nobody expects/ },
	{ kind: { kind: 'attribute', every: 40 }, in: 'ipv6', noticed: /attributes that nobody expects/ },
	{ kind: { kind: 'attribute', every: 3 }, in: 'mesh-100x1000', noticed: /attributes that nobody expects/ },
	{ kind: { kind: 'originator', every: 10 }, in: 'fan-out', noticed: /attributes that nobody expects/ },
	{ kind: { kind: 'prefix', every: 40 }, in: 'full-table', noticed: /a prefix that nobody announced|missing/ },
	{ kind: { kind: 'withdrawn', every: 1 }, in: 'withdraw', noticed: /prefixes wrong/ },
];
for (const { kind, in: name, noticed } of lies) {
	testWith(withoutCompiler, `a reflector that lies (${kind?.kind}) in ${name} is not verified`, async (t) => {
		const run = await measure(scenario(name), nullReflector(kind), shortBound);
		t.false(run.verified);
		t.regex(run.problem ?? '', noticed);
	});
}

testWith(withoutCompiler, 'a reflector without a policy fails the scenario with a policy', async (t) => {
	const { launch } = nullReflector();
	const careless = { ...scenario('policy') };
	const denied = ['16.0.0.0/20'];
	const run = await measure(
		{ ...careless, layout: (scale) => ({ ...careless.layout(scale), denied }) },
		{ name: 'floor', missing: () => undefined, launch },
		shortBound,
	);
	t.false(run.verified);
	t.regex(run.problem ?? '', /a prefix that should not be there/);
});

for (const name of ['bird', 'bgpmesh'] as const) {
	for (const wanted of [
		'full-table',
		'mesh-500x10',
		'churn-1',
		'withdraw',
		'reconnect',
		'memory-three-feeds',
		'policy-fan-out',
		'ipv6',
	]) {
		testWith(withoutCompiler ?? subject(name).missing(), `${name} passes ${wanted}`, async (t) => {
			const run = await measure(scenario(wanted), subject(name), small);
			t.true(run.verified, run.problem);
		});
	}
}

testWith(subject('bgpmesh').missing(), 'our daemon reports its longest event-loop block', async (t) => {
	const run = await measure(scenario('mesh-500x10'), subject('bgpmesh'), small);
	t.true((run.longestBlockMs ?? 0) > 0);
});

test('a scenario is chosen by its name or its group', (t) => {
	t.deepEqual(
		chooseScenarios(['ipv6', 'churn-1']).map(({ name }) => name),
		['churn-1', 'ipv6', 'ipv6-fan-out'],
	);
	t.throws(() => chooseScenarios(['ful-table']), { instanceOf: RangeError, message: /no such scenario: ful-table/ });
});
