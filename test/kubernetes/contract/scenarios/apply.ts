import type { JsonObject } from '../../../../src/json/index.ts';
import type { Step } from '../transcript.ts';
import { configMap, define, namespace, widget } from './objects.ts';

const maps = '/api/v1/namespaces/applies/configmaps';
const group = 'applies.example.com';
const widgets = `/apis/${group}/v1/widgets`;
const put = (title: string, manager: string, data: JsonObject, more = '', metadata: JsonObject = {}): Step => ({
	title,
	method: 'PATCH',
	path: `${maps}/a?fieldManager=${manager}${more}`,
	contentType: 'application/apply-patch+yaml',
	body: configMap('a', data, metadata),
});
const shape = (
	title: string,
	manager: string,
	spec: JsonObject,
	more = '',
	only: readonly string[] = ['spec', 'metadata.managedFields', 'message', 'details'],
): Step => ({
	title,
	method: 'PATCH',
	path: `${widgets}/w?fieldManager=${manager}${more}`,
	contentType: 'application/apply-patch+yaml',
	body: widget(group, 'w', spec),
	only,
});

export const apply: readonly Step[] = [
	namespace('applies'),
	put('what is not there is made', 'one', { a: '1', b: '2' }),
	put('what did not change is left alone', 'one', { a: '1', b: '2' }),
	put('what is no longer applied goes', 'one', { a: '1' }),
	put('another manager adds its own', 'two', { c: '3' }),
	put('another value is a conflict', 'two', { a: '9', c: '3' }),
	put('a conflict is forced', 'two', { a: '9', c: '3' }, '&force=true'),
	put('both may say the same', 'one', { a: '9' }),
	put('a shared field stays when one lets go', 'two', { c: '3' }),
	{
		title: 'an update takes what it changes',
		method: 'PATCH',
		path: `${maps}/a`,
		contentType: 'application/merge-patch+json',
		body: { data: { c: '4' }, metadata: { labels: { l: 'm' } } },
	},
	put('what an update changed is a conflict', 'two', { c: '5' }),
	put('labels are applied too', 'three', {}, '', { labels: { l: 'n', k: 'o' } }),
	{
		title: 'without a manager nothing is applied',
		method: 'PATCH',
		path: `${maps}/a`,
		contentType: 'application/apply-patch+yaml',
		body: configMap('a'),
	},
	{
		title: 'managers are not applied',
		method: 'PATCH',
		path: `${maps}/a?fieldManager=one`,
		contentType: 'application/apply-patch+yaml',
		body: configMap('a', {}, { managedFields: [{ manager: 'x' }] }),
		only: ['reason', 'code', 'message'],
	},
	{
		title: 'YAML is understood',
		method: 'PATCH',
		path: `${maps}/yaml?fieldManager=one`,
		contentType: 'application/apply-patch+yaml',
		body: 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  key: "value"\n',
	},
	{
		title: 'force is for apply alone',
		method: 'PATCH',
		path: `${maps}/a?force=true`,
		contentType: 'application/merge-patch+json',
		body: {},
		only: ['reason', 'code'],
	},
	{
		title: 'managers are cleared',
		method: 'PATCH',
		path: `${maps}/a`,
		contentType: 'application/merge-patch+json',
		body: { metadata: { managedFields: [{}] } },
		only: ['metadata.managedFields'],
	},
	...define(group),
	shape('a custom resource is applied', 'one', {
		size: 1,
		tags: ['a', 'b'],
		parts: [{ name: 'x', note: 'n' }],
		labels: { a: 'b' },
		slots: [1, null],
	}),
	shape('lists are merged by key and by value', 'two', {
		size: 1,
		tags: ['c'],
		parts: [{ name: 'y' }],
		labels: { c: 'd' },
	}),
	shape('a member of an item is a conflict', 'two', { size: 1, tags: ['c'], parts: [{ name: 'x', note: 'other' }] }),
	shape('items that are no longer applied go', 'one', { size: 1, tags: ['a'], parts: [], labels: {} }),
	shape('an atomic list is one field', 'three', { size: 1, slots: [2] }),
	shape('what is applied is checked', 'one', { size: 0 }, '', ['reason', 'code', 'message']),
	{
		title: 'status is applied by itself',
		method: 'PATCH',
		path: `${widgets}/w/status?fieldManager=status`,
		contentType: 'application/apply-patch+yaml',
		body: { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'w' }, status: { phase: 'Good' } },
		only: ['status', 'metadata.managedFields'],
	},
	{
		title: 'unknown members are an error',
		method: 'PATCH',
		path: `${widgets}/z?fieldManager=one`,
		contentType: 'application/apply-patch+yaml',
		body: widget(group, 'z', { size: 1, surprise: 2 }),
		only: ['reason', 'code', 'message'],
	},
	{
		title: 'a service is applied',
		method: 'PATCH',
		path: '/api/v1/namespaces/applies/services/s?fieldManager=one',
		contentType: 'application/apply-patch+yaml',
		body: {
			apiVersion: 'v1',
			kind: 'Service',
			metadata: { name: 's' },
			spec: { selector: { a: 'b' }, ports: [{ port: 80, name: 'w' }] },
		},
		only: ['spec.ports', 'metadata.managedFields'],
	},
	{
		title: 'ports are distinguished by number and protocol',
		method: 'PATCH',
		path: '/api/v1/namespaces/applies/services/s?fieldManager=two',
		contentType: 'application/apply-patch+yaml',
		body: {
			apiVersion: 'v1',
			kind: 'Service',
			metadata: { name: 's' },
			spec: { ports: [{ port: 90, name: 'x', protocol: 'TCP' }] },
		},
		only: ['spec.ports', 'metadata.managedFields'],
	},
];
