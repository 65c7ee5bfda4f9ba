import type { JsonObject } from '../../../../src/json/index.ts';
import type { Step } from '../transcript.ts';
import { configMap, define, namespace, widget } from './objects.ts';

const maps = '/api/v1/namespaces/deletions/configmaps';
const group = 'deletions.example.com';
const widgets = `/apis/${group}/v1/widgets`;
const make = (name: string, metadata = {}): Step => ({
	title: `${name} is made`,
	method: 'POST',
	path: maps,
	body: configMap(name, {}, metadata),
	only: ['kind'],
	capture: { uid: 'metadata.uid', version: 'metadata.resourceVersion' },
});
const options = (preconditions: Readonly<Record<string, string>>) => ({
	apiVersion: 'v1',
	kind: 'DeleteOptions',
	preconditions,
});

const evictable = '/api/v1/namespaces/evictions/pods';
const podNamed = (name: string) => ({
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { name },
	spec: { containers: [{ name: 'c', image: 'i:1' }] },
});
const eviction = (title: string, name: string, more: JsonObject = {}, query = ''): Step => ({
	title,
	method: 'POST',
	path: `${evictable}/${name}/eviction${query}`,
	body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name }, ...more },
});

export const deletion: readonly Step[] = [
	namespace('deletions'),
	make('a'),
	{ title: 'another uid keeps it', method: 'DELETE', path: `${maps}/a`, body: options({ uid: 'other' }) },
	{
		title: 'another version keeps it',
		method: 'DELETE',
		path: `${maps}/a`,
		body: options({ resourceVersion: '1' }),
		only: ['reason', 'code', 'details'],
	},
	{ title: 'a dry run keeps it', method: 'DELETE', path: `${maps}/a?dryRun=All`, only: ['kind', 'status'] },
	{
		title: 'its own uid and version',
		method: 'DELETE',
		path: `${maps}/a`,
		body: options({ uid: '{{uid}}', resourceVersion: '{{version}}' }),
	},
	{ title: 'it is gone', method: 'DELETE', path: `${maps}/a` },
	make('f', { finalizers: ['example.com/hold'] }),
	{ title: 'a finalizer holds it', method: 'DELETE', path: `${maps}/f` },
	{
		title: 'it is marked',
		path: `${maps}/f`,
		only: [
			'metadata.deletionTimestamp',
			'metadata.deletionGracePeriodSeconds',
			'metadata.finalizers',
			'metadata.resourceVersion',
		],
	},
	{
		title: 'a second deletion changes nothing',
		method: 'DELETE',
		path: `${maps}/f`,
		only: ['metadata.deletionTimestamp', 'metadata.resourceVersion'],
	},
	{
		title: 'it still can be changed',
		method: 'PATCH',
		path: `${maps}/f`,
		contentType: 'application/merge-patch+json',
		body: { data: { x: 'y' } },
		only: ['data', 'metadata.deletionTimestamp'],
	},
	{
		title: 'the last finalizer takes it along',
		method: 'PATCH',
		path: `${maps}/f`,
		contentType: 'application/merge-patch+json',
		body: { metadata: { finalizers: null } },
		only: ['kind', 'metadata.finalizers'],
	},
	{ title: 'and it is gone', path: `${maps}/f`, only: ['code'] },
	make('orphaning'),
	{
		title: 'an orphaning deletion waits for the one who orphans',
		method: 'DELETE',
		path: `${maps}/orphaning?propagationPolicy=Orphan`,
		only: ['metadata.finalizers', 'metadata.deletionTimestamp'],
	},
	{
		title: 'a pod that runs nowhere',
		method: 'POST',
		path: '/api/v1/namespaces/deletions/pods',
		body: {
			apiVersion: 'v1',
			kind: 'Pod',
			metadata: { name: 'nowhere' },
			spec: { containers: [{ name: 'c', image: 'i' }] },
		},
		only: ['kind'],
	},
	{
		title: 'goes at once',
		method: 'DELETE',
		path: '/api/v1/namespaces/deletions/pods/nowhere',
		only: ['kind', 'metadata.name'],
	},
	{ title: 'and is gone', path: '/api/v1/namespaces/deletions/pods/nowhere', only: ['code'] },
	{
		title: 'a pod on a node',
		method: 'POST',
		path: '/api/v1/namespaces/deletions/pods',
		body: {
			apiVersion: 'v1',
			kind: 'Pod',
			metadata: { name: 'there' },
			spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
		},
		only: ['kind'],
	},
	{
		title: 'waits for its kubelet',
		method: 'DELETE',
		path: '/api/v1/namespaces/deletions/pods/there',
		only: ['kind', 'metadata.deletionTimestamp', 'metadata.deletionGracePeriodSeconds', 'metadata.generation'],
	},
	{
		title: 'unless it is forced',
		method: 'DELETE',
		path: '/api/v1/namespaces/deletions/pods/there?gracePeriodSeconds=0',
		only: ['kind'],
	},
	{ title: 'and it is gone too', path: '/api/v1/namespaces/deletions/pods/there', only: ['code'] },
	...define(group),
	{
		title: 'a custom resource with a finalizer',
		method: 'POST',
		path: widgets,
		body: widget(group, 'w', { size: 1 }, { finalizers: ['example.com/hold'] }),
		only: ['metadata.generation'],
	},
	{
		title: 'its deletion counts a generation',
		method: 'DELETE',
		path: `${widgets}/w`,
		only: ['kind', 'metadata.generation', 'metadata.deletionGracePeriodSeconds'],
	},
	{
		title: 'finalizers cannot be added to what is going',
		method: 'PATCH',
		path: `${widgets}/w`,
		contentType: 'application/merge-patch+json',
		body: { metadata: { finalizers: ['example.com/hold', 'example.com/new'] } },
		only: ['reason', 'code', 'details.causes.0.field'],
	},
	{
		title: 'its last finalizer goes',
		method: 'PATCH',
		path: `${widgets}/w`,
		contentType: 'application/json-patch+json',
		body: [{ op: 'remove', path: '/metadata/finalizers' }],
		only: ['kind'],
	},
	{
		title: 'another custom resource',
		method: 'POST',
		path: widgets,
		body: widget(group, 'v', { size: 1 }),
		only: ['kind'],
	},
	{
		title: 'the definition is deleted',
		method: 'DELETE',
		path: `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.${group}`,
		only: ['kind'],
	},
	// A just deleted definition responds like one that never existed, or briefly like one without
	// that object.
	{ title: 'with all that it defined', path: `${widgets}/v`, until: 404, only: ['metadata.name'] },
	{
		title: 'the default namespace stays',
		method: 'DELETE',
		path: '/api/v1/namespaces/default',
		only: ['reason', 'code', 'message'],
	},
	{
		title: 'a namespace begins to go',
		method: 'DELETE',
		path: '/api/v1/namespaces/deletions',
		only: ['kind', 'status.phase', 'metadata.name'],
	},
	eviction('an eviction where there is no namespace', 'evicted'),
	namespace('evictions'),
	...['evicted', 'tried'].map(
		(name): Step => ({ title: `a pod ${name}`, method: 'POST', path: evictable, body: podNamed(name), only: ['kind'] }),
	),
	{ ...eviction('evicted', 'evicted'), title: 'an eviction is only made', method: 'GET' },
	eviction('an eviction of another name', 'evicted', { metadata: { name: 'other' } }),
	eviction('an eviction of no pod', 'absent'),
	{
		...eviction('an eviction that is none', 'evicted', { kind: 'Binding', apiVersion: 'v1' }),
		only: ['reason', 'code'],
	},
	eviction('an eviction with what it does not have', 'evicted', { surprise: 1 }, '?fieldValidation=Strict'),
	eviction('an eviction of another one', 'evicted', { deleteOptions: { preconditions: { uid: 'another' } } }),
	eviction('an eviction without earnest', 'tried', {}, '?dryRun=All'),
	eviction('an eviction whose options are without earnest', 'tried', { deleteOptions: { dryRun: ['All'] } }),
	{ title: 'who was only asked is still there', path: `${evictable}/tried`, only: ['metadata.name'] },
	eviction('an eviction', 'evicted'),
	{ title: 'who was evicted is gone', path: `${evictable}/evicted`, only: ['reason', 'code'] },
	eviction('an eviction at once', 'tried', { deleteOptions: { gracePeriodSeconds: 0 } }),
	{ title: 'who was evicted at once is gone', path: `${evictable}/tried`, only: ['reason', 'code'] },
];
