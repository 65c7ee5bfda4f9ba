import type { JsonObject } from '../../../src/json/index.ts';

/**
 * The resources that we write, in the native `projectcalico.org/v3` layout of Calico: only the
 * required members and types of its definitions (read in projectcalico/calico `api/config/crd`).
 */
const text = { type: 'string' };
const cidr = { type: 'string', format: 'cidr' };
const integer = { type: 'integer' };
const int64 = { type: 'integer', format: 'int64' };

interface Definition {
	readonly kind: string;
	readonly plural: string;
	readonly required: readonly string[];
	readonly properties: JsonObject;
	readonly status?: JsonObject;
}

const kinds: readonly Definition[] = [
	{
		kind: 'IPAMBlock',
		plural: 'ipamblocks',
		required: ['allocations', 'attributes', 'cidr', 'strictAffinity', 'unallocated'],
		properties: {
			affinity: { type: 'string', pattern: '^(host|virtual):[a-zA-Z0-9\\.\\-_]+$' },
			affinityClaimTime: { type: 'string', format: 'date-time' },
			allocations: { type: 'array', items: { type: 'integer', nullable: true } },
			attributes: {
				type: 'array',
				items: {
					type: 'object',
					properties: { handle_id: text, secondary: { type: 'object', additionalProperties: text } },
				},
			},
			cidr,
			deleted: { type: 'boolean' },
			sequenceNumber: { ...int64, default: 0 },
			sequenceNumberForAllocation: { type: 'object', additionalProperties: int64 },
			strictAffinity: { type: 'boolean' },
			unallocated: { type: 'array', items: integer },
		},
	},
	{
		kind: 'BlockAffinity',
		plural: 'blockaffinities',
		required: ['cidr', 'deleted', 'node', 'state'],
		properties: {
			cidr,
			deleted: { type: 'boolean', default: false },
			node: text,
			state: { type: 'string', enum: ['', 'confirmed', 'pending', 'pendingDeletion'] },
			type: text,
		},
	},
	{
		kind: 'IPAMHandle',
		plural: 'ipamhandles',
		required: ['block', 'handleID'],
		properties: {
			block: { type: 'object', additionalProperties: integer },
			deleted: { type: 'boolean' },
			handleID: text,
		},
	},
	{
		kind: 'CalicoNodeStatus',
		plural: 'caliconodestatuses',
		required: [],
		properties: {
			node: text,
			classes: { type: 'array', items: { type: 'string', enum: ['Agent', 'BGP', 'Routes'] } },
			updatePeriodSeconds: { type: 'integer', format: 'int32' },
		},
		status: {
			type: 'object',
			properties: {
				lastUpdated: { type: 'string', format: 'date-time', nullable: true },
				agent: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
				bgp: {
					type: 'object',
					required: ['numberEstablishedV4', 'numberEstablishedV6', 'numberNotEstablishedV4', 'numberNotEstablishedV6'],
					'x-kubernetes-preserve-unknown-fields': true,
				},
				routes: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
			},
		},
	},
];

/** As CustomResourceDefinitions. */
export const nativeDefinitions: readonly JsonObject[] = kinds.map(
	({ kind, plural, required, properties, status }): JsonObject => ({
		apiVersion: 'apiextensions.k8s.io/v1',
		kind: 'CustomResourceDefinition',
		metadata: {
			name: `${plural}.projectcalico.org`,
			annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' },
		},
		spec: {
			group: 'projectcalico.org',
			names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
			scope: 'Cluster',
			versions: [
				{
					name: 'v3',
					served: true,
					storage: true,
					...(status === undefined ? {} : { subresources: { status: {} } }),
					schema: {
						openAPIV3Schema: {
							type: 'object',
							required: ['metadata', 'spec'],
							properties: {
								apiVersion: text,
								kind: text,
								metadata: { type: 'object' },
								spec: { type: 'object', required, properties },
								...(status === undefined ? {} : { status }),
							},
						},
					},
				},
			],
		},
	}),
);
