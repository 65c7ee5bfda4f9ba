import type { JsonObject } from '../../../../src/json/index.ts';
import type { Step } from '../transcript.ts';

export const configMap = (name: string, data: JsonObject = { a: '1' }, metadata: JsonObject = {}): JsonObject => ({
	apiVersion: 'v1',
	kind: 'ConfigMap',
	metadata: { name, ...metadata },
	data,
});

export const namespace = (name: string): Step => ({
	title: `namespace ${name} is made`,
	method: 'POST',
	path: '/api/v1/namespaces',
	body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
	only: ['metadata.name', 'status.phase', 'spec.finalizers.0'],
});

/** A definition whose schema contains every type of member. */
export function widgets(group: string, spec: JsonObject = {}): JsonObject {
	return {
		apiVersion: 'apiextensions.k8s.io/v1',
		kind: 'CustomResourceDefinition',
		metadata: { name: `widgets.${group}` },
		spec: {
			group,
			scope: 'Cluster',
			names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'] },
			versions: [
				{
					name: 'v1',
					served: true,
					storage: true,
					subresources: { status: {} },
					additionalPrinterColumns: [
						{ name: 'Size', type: 'integer', jsonPath: '.spec.size' },
						{ name: 'Mode', type: 'string', jsonPath: '.spec.mode', priority: 1 },
						{ name: 'On', type: 'boolean', jsonPath: '.spec.on' },
					],
					schema: {
						openAPIV3Schema: {
							type: 'object',
							properties: {
								spec: {
									type: 'object',
									required: ['size'],
									properties: {
										size: { type: 'integer', minimum: 1, maximum: 100 },
										mode: { type: 'string', enum: ['Fast', 'Slow'], default: 'Fast' },
										on: { type: 'boolean' },
										name: { type: 'string', pattern: '^[a-z]+$', maxLength: 5, minLength: 2 },
										sequence: { type: 'integer', format: 'int64' },
										port: { 'x-kubernetes-int-or-string': true },
										when: { type: 'string', format: 'date-time' },
										tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set', maxItems: 3 },
										slots: { type: 'array', items: { type: 'integer', nullable: true } },
										parts: {
											type: 'array',
											'x-kubernetes-list-type': 'map',
											'x-kubernetes-list-map-keys': ['name'],
											items: {
												type: 'object',
												required: ['name'],
												properties: {
													name: { type: 'string' },
													weight: { type: 'integer', default: 7 },
													note: { type: 'string' },
												},
											},
										},
										labels: { type: 'object', additionalProperties: { type: 'string' } },
										free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
										limits: {
											type: 'object',
											default: { low: 1 },
											properties: { low: { type: 'integer' }, high: { type: 'integer', default: 9 } },
										},
									},
								},
								status: { type: 'object', properties: { phase: { type: 'string' } } },
							},
						},
					},
				},
			],
			...spec,
		},
	};
}

export const widget = (group: string, name: string, spec: JsonObject, metadata: JsonObject = {}): JsonObject => ({
	apiVersion: `${group}/v1`,
	kind: 'Widget',
	metadata: { name, ...metadata },
	spec,
});

/** Makes the definition and waits until its resource is served. */
export const define = (group: string): Step[] => [
	{
		title: 'the definition is made',
		method: 'POST',
		path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
		body: widgets(group),
		only: ['metadata.name', 'metadata.generation', 'spec.names', 'spec.conversion'],
	},
	{ title: 'the resource is served', path: `/apis/${group}/v1/widgets`, until: 200, only: ['kind', 'items'] },
];
