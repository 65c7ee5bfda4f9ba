import test from 'ava';
import { partsOf, readReports } from '../../../lab/kubernetes/specs.ts';

const spec = (name: string, State: string, message?: string) => ({
	LeafNodeType: 'It',
	LeafNodeText: name,
	ContainerHierarchyTexts: ['[sig-network] Netpol'],
	State,
	...(message === undefined ? {} : { Failure: { Message: message } }),
});
const report = (...specs: readonly object[]) =>
	JSON.stringify([{ SpecReports: [...specs, { LeafNodeType: 'BeforeSuite', LeafNodeText: '', State: 'passed' }] }]);

test('the specs of a dry run are divided, serial ones come first and alone', (t) => {
	const dry = report(
		...['a', 'b', 'c [Serial]', 'd'].map((name) => spec(name, 'passed')),
		spec('not chosen', 'skipped'),
	);
	const name = (text: string) => `[sig-network] Netpol ${text}`;
	t.deepEqual(partsOf(dry, 2), [[name('c [Serial]')], [name('a'), name('d')], [name('b')]]);
	t.deepEqual(partsOf(report(spec('a', 'passed')), 3), [[name('a')]]);
});

test('the results of several processes are added, with the reason of each failure and each skip', (t) => {
	const results = readReports([
		report(spec('a', 'passed'), spec('b', 'failed', 'timed out\nmore'), spec('of another process', 'skipped')),
		report(spec('c', 'skipped', 'needs a cloud'), spec('d', 'interrupted')),
	]);
	t.like(results, { passed: 1, failed: 2, skipped: 1 });
	t.deepEqual(results.failures, [
		{ name: '[sig-network] Netpol b', reason: 'timed out' },
		{ name: '[sig-network] Netpol d', reason: '' },
	]);
	t.deepEqual(results.skips, [{ name: '[sig-network] Netpol c', reason: 'needs a cloud' }]);
});
