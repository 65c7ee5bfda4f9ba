import type { Step } from '../transcript.ts';
import { namespace } from './objects.ts';

const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const path = '/apis/scale.example.com/v1/namespaces/scale/fleets';
const one = `${path}/f`;
const merge = 'application/merge-patch+json';
const asTable = 'application/json;as=Table;g=meta.k8s.io;v=v1';
const name = {
	type: 'object',
	properties: { name: { type: 'string' }, type: { type: 'string' }, status: { type: 'string' } },
};

const definition = {
	apiVersion: 'apiextensions.k8s.io/v1',
	kind: 'CustomResourceDefinition',
	metadata: { name: 'fleets.scale.example.com' },
	spec: {
		group: 'scale.example.com',
		scope: 'Namespaced',
		names: { kind: 'Fleet', plural: 'fleets', singular: 'fleet', shortNames: ['fl'] },
		versions: [
			{
				name: 'v1',
				served: true,
				storage: true,
				subresources: {
					status: {},
					scale: {
						specReplicasPath: '.spec.replicas',
						statusReplicasPath: '.status.replicas',
						labelSelectorPath: '.status.selector',
					},
				},
				additionalPrinterColumns: [
					{ name: 'First', type: 'string', jsonPath: '.spec.ships[*].name' },
					{ name: 'Second', type: 'string', jsonPath: '.spec.ships[1].name' },
					{ name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
					{ name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
					{ name: 'Ships', type: 'string', jsonPath: '.spec.ships', priority: 1 },
				],
				schema: {
					openAPIV3Schema: {
						type: 'object',
						properties: {
							spec: {
								type: 'object',
								properties: { replicas: { type: 'integer' }, ships: { type: 'array', items: name } },
							},
							status: {
								type: 'object',
								properties: {
									replicas: { type: 'integer' },
									selector: { type: 'string' },
									conditions: { type: 'array', items: name },
								},
							},
						},
					},
				},
			},
		],
	},
};
const fleet = (labels = {}) => ({
	apiVersion: 'scale.example.com/v1',
	kind: 'Fleet',
	metadata: { name: 'f', labels },
	spec: { ships: [{ name: 'a' }, { name: 'b' }] },
});
const scale = (replicas: number | string, metadata = {}) => ({
	apiVersion: 'autoscaling/v1',
	kind: 'Scale',
	metadata: { name: 'f', namespace: 'scale', ...metadata },
	spec: { replicas },
});

/** The `scale` subresource of custom resources, and columns with paths into arrays. */
export const scaling: readonly Step[] = [
	namespace('scale'),
	{ title: 'a definition with scale', method: 'POST', path: crd, body: definition, only: ['kind'] },
	{ title: 'its resource appears', path, until: 200, only: ['kind'] },
	{
		title: 'what its version serves',
		path: '/apis/scale.example.com/v1',
		only: ['resources.1', 'resources.2', 'resources.0.verbs'],
	},
	{
		title: 'a fleet',
		method: 'POST',
		path,
		body: fleet(),
		only: ['kind'],
		capture: { first: 'metadata.resourceVersion' },
	},
	{ title: 'a scale of nothing yet', path: `${one}/scale` },
	{
		title: 'its columns',
		path,
		accept: asTable,
		only: ['rows.0.cells', 'columnDefinitions.1', 'columnDefinitions.3', 'columnDefinitions.5'],
	},
	{
		title: 'status is written',
		method: 'PATCH',
		path: `${one}/status`,
		contentType: merge,
		body: {
			status: {
				replicas: 2,
				selector: 'a=b',
				conditions: [
					{ type: 'Old', status: 'No' },
					{ type: 'Ready', status: 'Yes' },
				],
			},
		},
		only: ['kind'],
	},
	{ title: 'its columns now', path, accept: asTable, only: ['rows.0.cells'] },
	{ title: 'more are wanted', method: 'PUT', path: `${one}/scale`, body: scale(3) },
	{
		title: 'others are wanted by a patch',
		method: 'PATCH',
		path: `${one}/scale`,
		contentType: merge,
		body: { spec: { replicas: 5 } },
	},
	{
		title: 'by a JSON patch',
		method: 'PATCH',
		path: `${one}/scale`,
		contentType: 'application/json-patch+json',
		body: [{ op: 'replace', path: '/spec/replicas', value: 6 }],
		only: ['spec', 'status'],
	},
	{ title: 'the fleet has them', path: one },
	{
		title: 'the scale is a table too',
		path: `${one}/scale`,
		accept: asTable,
		only: ['rows.0.cells', 'columnDefinitions.1.name', 'columnDefinitions.2.name'],
	},
	{
		title: 'of an older version',
		method: 'PUT',
		path: `${one}/scale`,
		body: scale(4, { resourceVersion: '{{first}}' }),
	},
	{ title: 'less than nothing', method: 'PUT', path: `${one}/scale`, body: scale(-1) },
	{ title: 'too many', method: 'PATCH', path: one, contentType: merge, body: { spec: { replicas: 2147483648 } } },
	{ title: 'as a dry run', method: 'PUT', path: `${one}/scale?dryRun=All`, body: scale(9), only: ['spec'] },
	{ title: 'was none', path: `${one}/scale`, only: ['spec'] },
	{ title: 'none at all', method: 'PUT', path: `${one}/scale`, body: scale(0), only: ['spec', 'status'] },
	{ title: 'of an absent object', path: `${path}/absent/scale` },
	{ title: 'is not to be deleted', method: 'DELETE', path: `${one}/scale` },
	{ title: 'the definition goes', method: 'DELETE', path: `${crd}/fleets.scale.example.com`, only: ['kind'] },
];
