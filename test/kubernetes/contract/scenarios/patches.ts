import type { JsonValue } from '../../../../src/json/index.ts';
import type { Step } from '../transcript.ts';
import { configMap, namespace } from './objects.ts';

const maps = '/api/v1/namespaces/patches/configmaps';
const pods = '/api/v1/namespaces/patches/pods';
const json = (
	title: string,
	body: JsonValue,
	only: readonly string[] = ['data', 'metadata.labels', 'reason', 'code', 'message'],
): Step => ({
	title,
	method: 'PATCH',
	path: `${maps}/p`,
	contentType: 'application/json-patch+json',
	body,
	only,
});
const merge = (title: string, body: JsonValue): Step => ({
	title,
	method: 'PATCH',
	path: `${maps}/p`,
	contentType: 'application/merge-patch+json',
	body,
	only: ['data', 'metadata.labels', 'reason', 'code'],
});
const strategic = (title: string, body: JsonValue, only: readonly string[]): Step => ({
	title,
	method: 'PATCH',
	path: `${pods}/p`,
	contentType: 'application/strategic-merge-patch+json',
	body,
	only,
});
const service = (title: string, body: JsonValue): Step => ({
	title,
	method: 'PATCH',
	path: '/api/v1/namespaces/patches/services/s',
	contentType: 'application/strategic-merge-patch+json',
	body,
	only: ['spec.ports', 'spec.selector', 'reason', 'code', 'message'],
});

const said = ['reason', 'code', 'message'];
const slices = '/apis/discovery.k8s.io/v1/namespaces/patches/endpointslices';
const nodeStatus = (title: string, status: JsonValue): Step => ({
	title,
	method: 'PATCH',
	path: '/api/v1/nodes/patched/status',
	contentType: 'application/strategic-merge-patch+json',
	body: { status },
	only: ['status.addresses', 'status.capacity', 'status.allocatable'],
});
const full = (title: string, spec: JsonValue): Step => ({
	...strategic(title, { spec }, [...said, 'details.causes']),
	path: `${pods}/full`,
});

export const patches: readonly Step[] = [
	namespace('patches'),
	{
		title: 'a config map',
		method: 'POST',
		path: maps,
		body: configMap('p', { a: '1', b: '2' }, { labels: { x: 'y' } }),
		only: ['kind'],
		capture: { version: 'metadata.resourceVersion' },
	},
	json('add and replace', [
		{ op: 'add', path: '/data/c', value: '3' },
		{ op: 'replace', path: '/data/a', value: '9' },
	]),
	json('remove, copy and move', [
		{ op: 'remove', path: '/data/b' },
		{ op: 'copy', from: '/data/a', path: '/data/d' },
		{ op: 'move', from: '/data/c', path: '/data/e' },
	]),
	json('a label with a slash', [{ op: 'add', path: '/metadata/labels/example.com~1a', value: 'z' }]),
	json('a test that holds', [
		{ op: 'test', path: '/data/a', value: '9' },
		{ op: 'add', path: '/data/t', value: '1' },
	]),
	json('a test that fails', [
		{ op: 'test', path: '/data/a', value: '8' },
		{ op: 'add', path: '/data/u', value: '1' },
	]),
	json('a removal of what is not there', [{ op: 'remove', path: '/data/zzz' }], ['reason', 'code']),
	json('not a list of operations', { op: 'add' }, ['reason', 'code']),
	merge('members replace and null removes', { data: { a: null, n: 'new' } }),
	merge('a version of the past', { metadata: { resourceVersion: '{{version}}' }, data: { x: '1' } }),
	merge('another name', { metadata: { name: 'other' } }),
	merge('a value of the wrong type', { data: 'text' }),
	{
		title: 'a patch of what is not there',
		method: 'PATCH',
		path: `${maps}/absent`,
		contentType: 'application/merge-patch+json',
		body: {},
		only: ['reason', 'code'],
	},
	{
		title: 'a patch in a format that is none',
		method: 'PATCH',
		path: `${maps}/p`,
		contentType: 'application/json',
		body: {},
		only: ['reason', 'code', 'message'],
	},
	{
		title: 'a patch that changes nothing',
		method: 'PATCH',
		path: `${maps}/p`,
		contentType: 'application/merge-patch+json',
		body: { data: { n: 'new' } },
		only: ['metadata.resourceVersion', 'metadata.managedFields'],
	},
	{ title: 'and the object is what it was', path: `${maps}/p`, only: ['metadata.resourceVersion'] },
	{
		title: 'a pod',
		method: 'POST',
		path: pods,
		body: {
			apiVersion: 'v1',
			kind: 'Pod',
			metadata: { name: 'p', finalizers: ['example.com/a'] },
			spec: {
				containers: [
					{ name: 'a', image: 'i:1' },
					{ name: 'b', image: 'i:1' },
				],
			},
		},
		only: ['kind'],
	},
	strategic('containers are merged by name', { spec: { containers: [{ name: 'b', image: 'i:2' }] } }, [
		'spec.containers.0.image',
		'spec.containers.1.image',
		'spec.containers.2',
	]),
	strategic('finalizers are added to', { metadata: { finalizers: ['example.com/b'] } }, ['metadata.finalizers']),
	strategic('finalizers are taken from', { metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/a'] } }, [
		'metadata.finalizers',
	]),
	strategic('tolerations are replaced', { spec: { tolerations: [{ key: 'k', operator: 'Exists' }] } }, [
		'reason',
		'code',
	]),
	{
		title: 'a service',
		method: 'POST',
		path: '/api/v1/namespaces/patches/services',
		body: {
			apiVersion: 'v1',
			kind: 'Service',
			metadata: { name: 's' },
			spec: {
				selector: { a: 'b' },
				ports: [
					{ name: 'w', port: 80 },
					{ name: 'x', port: 90 },
				],
			},
		},
		only: ['kind'],
	},
	service('ports are merged by number', { spec: { ports: [{ port: 90, name: 'y' }] } }),
	service('a port is deleted', { spec: { ports: [{ port: 80, $patch: 'delete' }] } }),
	service('ports are put in order', {
		spec: { '$setElementOrder/ports': [{ port: 70 }, { port: 90 }], ports: [{ port: 70, name: 'z' }] },
	}),
	service('a selector is replaced', { spec: { selector: { $patch: 'replace', c: 'd' } } }),
	service('ports are replaced', { spec: { ports: [{ $patch: 'replace' }, { port: 60, name: 'only' }] } }),
	service('an item without its key', { spec: { ports: [{ name: 'nothing' }] } }),
	service('what is put in stands elsewhere than in the order that is wished for', {
		spec: { '$setElementOrder/ports': [{ port: 60 }], ports: [{ port: 61, name: 'more' }] },
	}),
	service('a directive that is none, in an item', { spec: { ports: [{ port: 60, $patch: 'nonsense' }] } }),
	service('keys that are retained, and others that are set', {
		spec: { $retainKeys: ['selector'], ports: [{ port: 60 }] },
	}),
	service('a kind that is another one', { kind: 'Pod', apiVersion: 'v2', spec: { selector: { c: 'd' } } }),
	service('a service that has no name any more', { metadata: { name: null } }),
	service('nothing at all', null),
	service('a list', [1]),
	service('no JSON', 'x'),
	...['null', '[1]'].map((text): Step => ({ ...merge(`a merge patch that is ${text}`, text), only: said })),
	merge('metadata that is nothing', { metadata: null }),
	json('an operation that is none', [{ op: 'nonsense', path: '/data/a' }], said),
	json('an operation without a name', [{ path: '/data/a', value: '1' }], said),
	json('no list of operations', {}, said),
	json(
		'a value takes a place that is empty',
		[{ op: 'replace', path: '/metadata/labels/none', value: 'y' }],
		['metadata.labels'],
	),
	{
		title: 'a node',
		method: 'POST',
		path: '/api/v1/nodes',
		body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'patched' } },
		only: ['kind'],
	},
	nodeStatus('two addresses of one type', {
		addresses: [
			{ type: 'InternalIP', address: '10.0.0.1' },
			{ type: 'InternalIP', address: 'fd00::1' },
		],
	}),
	nodeStatus('one more, by the key that they share', { addresses: [{ type: 'InternalIP', address: '10.0.0.9' }] }),
	nodeStatus('what there is on it', { capacity: { cpu: '2', memory: '1Gi' } }),
	{
		title: 'a pod with volumes and a toleration',
		method: 'POST',
		path: pods,
		body: {
			apiVersion: 'v1',
			kind: 'Pod',
			metadata: { name: 'full' },
			spec: {
				containers: [{ name: 'c', image: 'i:1' }],
				volumes: [
					{ name: 'm', configMap: { name: 'm' } },
					{ name: 's', secret: { secretName: 's', defaultMode: 256 } },
					{ name: 'h', hostPath: { path: '/h' } },
				],
				tolerations: [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists' }],
			},
		},
		only: ['spec.volumes', 'spec.tolerations'],
	},
	full('a toleration that was there goes', { tolerations: [{ key: 'z', operator: 'Exists' }] }),
	full('a container more', { containers: [{ name: 'd', image: 'i:1' }] }),
	{
		title: 'a network policy with its types and a port',
		method: 'POST',
		path: '/apis/networking.k8s.io/v1/namespaces/patches/networkpolicies',
		body: {
			apiVersion: 'networking.k8s.io/v1',
			kind: 'NetworkPolicy',
			metadata: { name: 'n' },
			spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 'web' }] }] },
		},
		only: ['spec'],
	},
	{
		title: 'a slice',
		method: 'POST',
		path: slices,
		body: {
			apiVersion: 'discovery.k8s.io/v1',
			kind: 'EndpointSlice',
			metadata: { name: 'e' },
			addressType: 'IPv4',
			endpoints: [{ addresses: ['10.0.0.1'] }],
		},
		only: ['kind'],
	},
	{
		title: 'a slice of another family',
		method: 'PATCH',
		path: `${slices}/e`,
		contentType: 'application/merge-patch+json',
		body: { addressType: 'IPv6', endpoints: [{ addresses: ['fd00::1'] }] },
		only: said,
	},
];
