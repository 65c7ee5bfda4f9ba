import test from 'ava';
import type { JsonObject } from '../../../src/json/index.ts';
import { kindsOf, matchKind } from '../../../src/kubernetes/index.ts';

const core: JsonObject = {
	kind: 'APIResourceList',
	groupVersion: 'v1',
	resources: [
		{ name: 'nodes', singularName: 'node', namespaced: false, kind: 'Node', shortNames: ['no'] },
		{ name: 'nodes/status', singularName: '', namespaced: false, kind: 'Node' },
		{ name: 'pods', singularName: '', namespaced: true, kind: 'Pod' },
	],
};
const calico: JsonObject = {
	kind: 'APIResourceList',
	groupVersion: 'crd.projectcalico.org/v1',
	resources: [{ name: 'ippools', singularName: 'ippool', namespaced: false, kind: 'IPPool' }],
};
const kinds = [...kindsOf(core), ...kindsOf(calico)];

test('subresources are not kinds, and a missing singular is the kind in lower case', (t) => {
	t.deepEqual(
		kinds.map(({ plural, singular, apiVersion, namespaced }) => [plural, singular, apiVersion, namespaced]),
		[
			['nodes', 'node', 'v1', false],
			['pods', 'pod', 'v1', true],
			['ippools', 'ippool', 'crd.projectcalico.org/v1', false],
		],
	);
});

test('a kind is found by each of its names, with and without its group', (t) => {
	for (const word of ['nodes', 'node', 'Node', 'no', 'NODES']) t.is(matchKind(kinds, word)?.kind, 'Node', word);
	for (const word of ['ippools', 'IPPool', 'ippool.crd.projectcalico.org', 'ippools.crd.projectcalico.org'])
		t.is(matchKind(kinds, word)?.kind, 'IPPool', word);
	for (const word of ['nodes.v1', 'ippools.projectcalico.org', 'ip', '']) t.is(matchKind(kinds, word), undefined, word);
});
