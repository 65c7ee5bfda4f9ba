import type { Step } from '../transcript.ts';
import { configMap, define, namespace, widget } from './objects.ts';

const maps = '/api/v1/namespaces/watches/configmaps';
const group = 'watches.example.com';

export const watches: readonly Step[] = [
	namespace('watches'),
	{ title: 'where it begins', path: maps, only: ['kind'], capture: { start: 'metadata.resourceVersion' } },
	{
		title: 'one is made',
		method: 'POST',
		path: maps,
		body: configMap('w', { a: '1' }, { labels: { on: 'yes' } }),
		only: ['kind'],
	},
	{
		title: 'and changed',
		method: 'PATCH',
		path: `${maps}/w`,
		contentType: 'application/merge-patch+json',
		body: { data: { a: '2' } },
		only: ['kind'],
		capture: { middle: 'metadata.resourceVersion' },
	},
	{
		title: 'and no longer selected',
		method: 'PATCH',
		path: `${maps}/w`,
		contentType: 'application/merge-patch+json',
		body: { metadata: { labels: { on: 'no' } } },
		only: ['kind'],
	},
	{
		title: 'and selected again',
		method: 'PATCH',
		path: `${maps}/w`,
		contentType: 'application/merge-patch+json',
		body: { metadata: { labels: { on: 'yes' } } },
		only: ['kind'],
	},
	{ title: 'and deleted', method: 'DELETE', path: `${maps}/w`, only: ['kind', 'status'] },
	{ title: 'all events', path: `${maps}?watch=true&resourceVersion={{start}}`, lines: 5 },
	{
		title: 'events from the middle',
		path: `${maps}?watch=1&resourceVersion={{middle}}`,
		lines: 3,
		only: ['0.type', '1.type', '2.type', '2.object.metadata.resourceVersion'],
	},
	{
		title: 'events of what is selected',
		path: `${maps}?watch=true&resourceVersion={{start}}&labelSelector=on%3Dyes`,
		lines: 5,
		only: ['0.type', '1.type', '2.type', '2.object.metadata.labels', '3.type', '4.type'],
	},
	{
		title: 'events of one by name',
		path: `${maps}?watch=true&resourceVersion={{start}}&fieldSelector=metadata.name%3Dw`,
		lines: 1,
		only: ['0.type', '0.object.metadata.name'],
	},
	{ title: 'another is made', method: 'POST', path: maps, body: configMap('v', { a: '1' }), only: ['kind'] },
	{
		title: 'a watch from nowhere begins with what is there',
		path: `${maps}?watch=true`,
		lines: 1,
		only: ['0.type', '0.object.metadata.name'],
	},
	{
		title: 'so does a watch from 0',
		path: `${maps}?watch=true&resourceVersion=0`,
		lines: 1,
		only: ['0.type', '0.object.metadata.name'],
	},
	...define(group),
	{
		title: 'where custom resources begin',
		path: `/apis/${group}/v1/widgets`,
		only: ['kind'],
		capture: { custom: 'metadata.resourceVersion' },
	},
	{
		title: 'a custom resource',
		method: 'POST',
		path: `/apis/${group}/v1/widgets`,
		body: widget(group, 'w', { size: 1, sequence: 1780000000123456789n }),
		only: ['kind'],
	},
	{
		title: 'its event',
		path: `/apis/${group}/v1/widgets?watch=true&resourceVersion={{custom}}`,
		lines: 1,
		only: ['0.type', '0.object.spec', '0.object.kind'],
	},
];
