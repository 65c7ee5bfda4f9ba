import test from 'ava';
import { isAllEnforced } from '../../src/cli/verbs/policy.ts';
import type { PolicyOverviewView } from '../../src/control/index.ts';
import { policyRest, policyRows } from './policy-views.ts';

const [lagging, whole, staged] = policyRows;
if (lagging === undefined || whole === undefined || staged === undefined) throw new RangeError('three rows');
const { refusal: _, failure: __, ...rest } = policyRest;
const sound: PolicyOverviewView = {
	...{ ...rest, mode: 'enforced', inSync: true, waitingFor: [], problems: [], silentNodes: [] },
	policies: [whole, staged],
};

for (const [title, view, expected] of [
	['every node enforces every policy', sound, true],
	['the other nodes are not known', { ...sound, policies: [staged] }, true],
	['a node lags behind one policy', { ...sound, policies: [whole, lagging] }, false],
	['a node reports nothing', { ...sound, silentNodes: ['node-d'] }, false],
	['this node enforces nothing', { ...sound, mode: 'off' }, false],
	['another engine is on this node', { ...sound, mode: 'refused' }, false],
	['not everything is listed', { ...sound, inSync: false }, false],
	['the kernel refused a write', { ...sound, failure: 'EBUSY' }, false],
	['a resource is not enforced as written', { ...sound, problems: policyRest.problems }, false],
] as const satisfies readonly (readonly [string, PolicyOverviewView, boolean])[])
	test(`policy status --check ${expected ? 'succeeds' : 'fails'}: ${title}`, (t) => {
		t.is(isAllEnforced(view), expected);
	});
