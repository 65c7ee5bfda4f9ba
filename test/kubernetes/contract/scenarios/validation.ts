import type { JsonObject } from '../../../../src/json/index.ts';
import type { Step } from '../transcript.ts';
import { define, widget, widgets } from './objects.ts';

const group = 'validation.example.com';
const path = `/apis/${group}/v1/widgets`;
const refuse = (title: string, spec: JsonObject): Step => ({
	title,
	method: 'POST',
	path,
	body: widget(group, 'bad', spec),
});
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

export const validation: readonly Step[] = [
	...define(group),
	refuse('a required member is missing', {}),
	{
		title: 'the whole spec is missing',
		method: 'POST',
		path,
		body: { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'bare' } },
		only: ['kind', 'spec'],
	},
	refuse('a number is too small', { size: 0 }),
	refuse('a number is too great', { size: 101 }),
	refuse('a value is not one of the choices', { size: 1, mode: 'Medium' }),
	refuse('a text does not match', { size: 1, name: 'ABC' }),
	refuse('a text is too long', { size: 1, name: 'abcdef' }),
	refuse('a text is too short', { size: 1, name: 'a' }),
	refuse('a text where a number belongs', { size: 'one' }),
	refuse('a fraction where an integer belongs', { size: 1.5 }),
	refuse('a number where a text belongs', { size: 1, name: 7 }),
	refuse('a time that is none', { size: 1, when: 'yesterday' }),
	refuse('a list is too long', { size: 1, tags: ['a', 'b', 'c', 'd'] }),
	refuse('a set has an element twice', { size: 1, tags: ['a', 'a'] }),
	refuse('a list has a key twice', { size: 1, parts: [{ name: 'a' }, { name: 'a' }] }),
	refuse('an object where a list belongs', { size: 1, tags: {} }),
	refuse('a null where a text belongs', { size: 1, name: null }),
	refuse('a boolean for an integer or text', { size: 1, port: true }),
	{ ...refuse('several things at once', { size: 0, mode: 'Medium', name: 'A' }), only: ['reason', 'code'] },
	{
		title: 'a null where there is a default',
		method: 'POST',
		path,
		body: widget(group, 'nulls', { size: 1, mode: null }),
		only: ['spec'],
	},
	{ title: 'a name that is none', method: 'POST', path, body: widget(group, 'Not_A_Name', { size: 1 }) },
	{ title: 'status is checked too', method: 'POST', path, body: widget(group, 'status', { size: 1 }), only: ['kind'] },
	{
		title: 'a status of the wrong type',
		method: 'PATCH',
		path: `${path}/status/status`,
		contentType: 'application/merge-patch+json',
		body: { status: { phase: 7 } },
		only: ['reason', 'code', 'details.causes.0.field', 'details.causes.0.reason'],
	},
	{
		title: 'a definition under a name that is not its own',
		method: 'POST',
		path: definitions,
		body: { ...widgets('wrong.example.com'), metadata: { name: 'other.example.com' } },
		only: ['reason', 'code', 'details.causes.0.field'],
	},
	{
		title: 'a definition without schema',
		method: 'POST',
		path: definitions,
		body: widgets('bare.example.com', { versions: [{ name: 'v1', served: true, storage: true }] }),
		only: ['reason', 'code', 'details.causes.0'],
	},
	{
		title: 'a definition without a version to store',
		method: 'POST',
		path: definitions,
		body: widgets('stored.example.com', {
			versions: [{ name: 'v1', served: true, storage: false, schema: { openAPIV3Schema: { type: 'object' } } }],
		}),
		only: ['reason', 'code'],
	},
];
