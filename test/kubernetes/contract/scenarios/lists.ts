import type { Step } from '../transcript.ts';
import { configMap, namespace } from './objects.ts';

const maps = '/api/v1/namespaces/lists/configmaps';
const make = (name: string, labels: Readonly<Record<string, string>>): Step => ({
	title: `${name} is made`,
	method: 'POST',
	path: maps,
	body: configMap(name, {}, { labels }),
	only: ['kind'],
	capture: { [`${name}Version`]: 'metadata.resourceVersion' },
});
const names = [
	'items.0.metadata.name',
	'items.1.metadata.name',
	'items.2.metadata.name',
	'items.3.metadata.name',
	'items.4.metadata.name',
	'metadata.remainingItemCount',
	'metadata.continue',
];
const select = (selector: string): Step => ({
	title: `labels: ${selector}`,
	path: `${maps}?labelSelector=${encodeURIComponent(selector)}`,
	only: names,
});
const field = (selector: string): Step => ({
	title: `fields: ${selector}`,
	path: `${maps}?fieldSelector=${encodeURIComponent(selector)}`,
	only: [...names, 'message', 'reason'],
});

export const lists: readonly Step[] = [
	namespace('lists'),
	make('a', { app: 'x', tier: '1' }),
	make('b', { app: 'y', tier: '2' }),
	make('c', { app: 'x' }),
	make('d', {}),
	select('app=x'),
	select('app==x,tier=1'),
	select('app!=x'),
	select('app in (x,y)'),
	select('app notin (x)'),
	select('tier'),
	select('!tier'),
	select('tier>1'),
	select('app in (x), !tier'),
	field('metadata.name=b'),
	field('metadata.name!=b'),
	field('metadata.namespace=lists,metadata.name=c'),
	field('data.a=1'),
	{
		title: 'a label selector that is none',
		path: `${maps}?labelSelector=${encodeURIComponent('app in x')}`,
		only: ['reason', 'code'],
	},
	{ title: 'a field selector that is none', path: `${maps}?fieldSelector=nothing`, only: ['reason', 'code'] },
	{ title: 'the first page', path: `${maps}?limit=2`, only: names, capture: { token: 'metadata.continue' } },
	{
		title: 'something comes in between',
		method: 'POST',
		path: maps,
		body: configMap('bb', {}),
		only: ['kind'],
		capture: { bbVersion: 'metadata.resourceVersion' },
	},
	{ title: 'the second page is of the same state', path: `${maps}?limit=2&continue={{token}}`, only: names },
	{
		title: 'a page with a selector does not count what is left',
		path: `${maps}?limit=1&labelSelector=app`,
		only: names,
	},
	{ title: 'a token that is none', path: `${maps}?limit=2&continue=nonsense`, only: ['reason', 'code'] },
	{
		title: 'a state of the past, exactly',
		path: `${maps}?resourceVersion={{cVersion}}&resourceVersionMatch=Exact`,
		only: [...names, 'metadata.resourceVersion'],
	},
	{
		title: 'a state not older than',
		path: `${maps}?resourceVersion={{cVersion}}&resourceVersionMatch=NotOlderThan`,
		only: names,
	},
	{
		title: 'a state not older than the last write',
		path: `${maps}?resourceVersion={{bbVersion}}&resourceVersionMatch=NotOlderThan`,
		only: names,
	},
	{
		title: 'of any age, at once and whole, with any limit',
		path: `${maps}?resourceVersion=0&limit=2`,
		only: names,
	},
	{ title: 'a match without a version', path: `${maps}?resourceVersionMatch=Exact`, only: ['reason', 'code'] },
	{
		title: 'a match that is none',
		path: `${maps}?resourceVersion=1&resourceVersionMatch=Nearly`,
		only: ['reason', 'code'],
	},
	{
		title: 'exactly the version 0',
		path: `${maps}?resourceVersion=0&resourceVersionMatch=Exact`,
		only: ['reason', 'code'],
	},
	{ title: 'a version that is none', path: `${maps}?resourceVersion=abc`, only: ['reason', 'code'] },
	{
		title: 'a version that is not reached yet',
		path: `${maps}?resourceVersion=999999999999`,
		only: ['reason', 'code', 'message', 'details.causes.0.reason', 'details.retryAfterSeconds'],
	},
	{
		title: 'a name by field selector on all namespaces',
		path: '/api/v1/configmaps?fieldSelector=metadata.name%3Dbb',
		only: names,
	},
	{
		title: 'a collection is deleted by label',
		method: 'DELETE',
		path: `${maps}?labelSelector=app%3Dx`,
		only: ['kind', ...names],
	},
	{ title: 'the others stay', path: maps, only: names },
];
