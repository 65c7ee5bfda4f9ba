import type { Step } from '../transcript.ts';
import { configMap, namespace } from './objects.ts';

const maps = '/api/v1/namespaces/options/configmaps';
const one = `${maps}/kept`;
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const things = '/apis/options.example.com/v1/namespaces/options/things';

const remove = (title: string, options: Step['body'], only?: readonly string[]): Step => ({
	title,
	method: 'DELETE',
	path: one,
	...(options === undefined ? {} : { body: options }),
	...(only === undefined ? {} : { only }),
});

const definition = {
	apiVersion: 'apiextensions.k8s.io/v1',
	kind: 'CustomResourceDefinition',
	metadata: { name: 'things.options.example.com' },
	spec: {
		group: 'options.example.com',
		scope: 'Namespaced',
		names: { kind: 'Thing', plural: 'things' },
		versions: [
			{
				name: 'v1',
				served: true,
				storage: true,
				schema: {
					openAPIV3Schema: {
						type: 'object',
						properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
					},
				},
			},
		],
	},
};
const thing = (spec: string): string =>
	`{"apiVersion":"options.example.com/v1","kind":"Thing","metadata":{"name":"t"},"spec":${spec}}`;

/**
 * Options of a request beside its object: deletion options, dry runs, unknown and duplicate fields,
 * invalid bodies.
 */
export const options: readonly Step[] = [
	namespace('options'),
	{ title: 'an object', method: 'POST', path: maps, body: configMap('kept'), only: ['kind'] },
	remove('a deletion that its body calls a dry run', { kind: 'DeleteOptions', apiVersion: 'v1', dryRun: ['All'] }),
	{ title: 'leaves the object', path: one, only: ['kind'] },
	{ title: 'a dry run of a deletion of all', method: 'DELETE', path: maps, body: { dryRun: ['All'] }, only: ['kind'] },
	{ title: 'leaves the object, too', path: one, only: ['kind'] },
	{ title: 'a dry run that the query asks for', method: 'DELETE', path: `${one}?dryRun=All`, only: ['status'] },
	remove('a dry run of an unknown kind', { dryRun: ['Some'] }),
	remove('an unknown policy', { propagationPolicy: 'Sideways' }),
	remove('two policies', { propagationPolicy: 'Orphan', orphanDependents: true }),
	remove('options of another kind', { kind: 'Pod', apiVersion: 'v1' }, ['code', 'status', 'reason']),
	remove('options that are not JSON', 'x'),
	remove('another identity', { gracePeriodSeconds: -5, preconditions: { uid: 'nope' } }),
	{ title: 'a grace period that is no number', method: 'DELETE', path: `${one}?gracePeriodSeconds=soon` },
	{ title: 'all namespaces at once', method: 'DELETE', path: '/api/v1/namespaces' },
	{
		title: 'a creation as a dry run of an unknown kind',
		method: 'POST',
		path: `${maps}?dryRun=Some`,
		body: configMap('a'),
	},
	{
		title: 'an unknown way to look at fields',
		method: 'POST',
		path: `${maps}?fieldValidation=Sometimes`,
		body: configMap('a'),
	},
	{
		title: 'a manager of too long a name',
		method: 'PUT',
		path: `${one}?fieldManager=${'m'.repeat(129)}`,
		body: configMap('kept'),
	},
	{
		title: 'a manager that cannot be printed',
		method: 'PATCH',
		path: `${one}?fieldManager=a%00b`,
		body: {},
		contentType: 'application/merge-patch+json',
	},
	{
		title: 'a member given twice',
		method: 'POST',
		path: maps,
		body: '{"metadata":{"name":"twice"},"data":{"a":"1","a":"2"}}',
	},
	{
		title: 'a member given twice, strictly',
		method: 'POST',
		path: `${maps}?fieldValidation=Strict`,
		body: '{"metadata":{"name":"strict"},"data":{"a":"1","a":"2"},"more":1}',
	},
	{
		title: 'a member given twice, without a check',
		method: 'POST',
		path: `${maps}?fieldValidation=Ignore`,
		body: '{"metadata":{"name":"any"},"data":{"a":"1","a":"2"},"b":0}',
	},
	{ title: 'no JSON', method: 'POST', path: maps, body: 'nonsense' },
	{ title: 'no JSON, further on', method: 'POST', path: maps, body: '{"metadata":{"name":"a"},"data":{"a" 1}}' },
	{ title: 'JSON that ends early', method: 'POST', path: maps, body: '{"metadata":{"name":' },
	{ title: 'JSON and more', method: 'POST', path: maps, body: '{"metadata":{}} x' },
	{ title: 'a comma too many', method: 'POST', path: maps, body: '{"data":{"a":"b",}}' },
	{ title: 'a number with too many zeros', method: 'POST', path: maps, body: '{"data":{"a":01}}' },
	{ title: 'a text of two lines', method: 'POST', path: maps, body: '{"data":{"a":"\n"}}' },
	{ title: 'nothing', method: 'POST', path: maps, body: '' },
	{
		title: 'a merge patch that is no JSON',
		method: 'PATCH',
		path: one,
		body: 'x',
		contentType: 'application/merge-patch+json',
	},
	{
		title: 'a merge patch that is an array',
		method: 'PATCH',
		path: one,
		body: [],
		contentType: 'application/merge-patch+json',
	},
	{
		title: 'a method that is none',
		method: 'PATCH',
		path: maps,
		body: {},
		contentType: 'application/merge-patch+json',
	},
	{ title: 'a body of a format that is none', method: 'POST', path: maps, body: '{}', contentType: 'text/plain' },
	{ title: 'a definition', method: 'POST', path: crds, body: definition, only: ['kind'] },
	{ title: 'its resource appears', path: things, until: 200, only: ['kind'] },
	{ title: 'a custom object without a kind', method: 'POST', path: things, body: '{}' },
	{
		title: 'a custom object nested too deeply',
		method: 'POST',
		path: things,
		body: thing(`{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`),
	},
	{
		title: 'a custom object that is too large',
		method: 'POST',
		path: things,
		body: thing(`{"a":"${'x'.repeat(1_600_000)}"}`),
	},
	{ title: 'nothing came of them', path: things, only: ['items'] },
	{
		title: 'a custom object of members given twice, in arrays too',
		method: 'POST',
		path: `${things}?fieldValidation=Strict`,
		body: thing('{"a":[{"b":1,"b":2}],"c":1,"c":2}'),
	},
	{ title: 'the definition goes', method: 'DELETE', path: `${crds}/things.options.example.com`, only: ['kind'] },
];
