import type { Step } from '../transcript.ts';
import { namespace } from './objects.ts';

const asTable = 'application/json;as=Table;g=meta.k8s.io;v=v1';
const text = ['reason', 'code'];
const review = (
	title: string,
	kind: string,
	spec: Step['body'],
	token: 'admin' | 'stranger' = 'admin',
	only: readonly string[] = ['kind', 'spec', 'status'],
): Step => ({
	title,
	method: 'POST',
	path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
	body: { kind, apiVersion: 'authorization.k8s.io/v1', spec: spec ?? {} },
	token,
	only,
});
/**
 * In the middle of a day of age: the server prints `10d` on any date and for any duration of the
 * suite.
 */
const tenDaysAgo = new Date(Date.now() - 10.5 * 86_400_000).toISOString().replace(/\.\d+/, '');
const attributes = { resourceAttributes: { verb: 'get', resource: 'nodes' } };
const inNamespace = (kind: string) => `/api/v1/namespaces/around/${kind}`;
const container = (resources: Step['body']) => ({ name: 'c', image: 'i:1', resources: resources ?? {} });
const pod = (name: string, ...all: readonly Step['body'][]): Step => ({
	title: `a pod ${name}`,
	method: 'POST',
	path: inNamespace('pods'),
	body: {
		apiVersion: 'v1',
		kind: 'Pod',
		metadata: { name },
		spec: { containers: all.map((resources, index) => ({ ...container(resources), name: `c${index}` })) },
	},
	only: ['status', 'spec.containers.0.resources'],
});
const secret = (name: string, type: string, data = {}): Step => ({
	title: `a secret of type ${type}`,
	method: 'POST',
	path: inNamespace('secrets'),
	body: { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type, data },
	only: ['kind', 'code', 'details', 'message'],
});

/**
 * Endpoints beside the objects: health and authorization; and defaults of incomplete objects of
 * built-in kinds.
 */
export const surroundings: readonly Step[] = [
	{ title: 'OpenAPI v2 as JSON', path: '/openapi/v2', only: ['swagger'] },
	{
		title: 'OpenAPI v2 in binary',
		path: '/openapi/v2',
		accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
		only: [],
	},
	{
		title: 'OpenAPI v2 in binary, by its newer name',
		path: '/openapi/v2',
		accept: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
		only: [],
	},
	{ title: 'OpenAPI v2 as what it is not', path: '/openapi/v2', accept: 'text/html' },
	{ title: 'one check of health', path: '/healthz/ping' },
	{ title: 'where objects are kept is well', path: '/readyz/etcd' },
	{ title: 'a check that is none', path: '/readyz/bogus', only: text },
	{ title: 'a check left out', path: '/readyz?exclude=etcd' },
	{ title: 'a check left out that is none', path: '/livez?exclude=bogus' },
	{ title: 'metrics are not for strangers', path: '/metrics', token: 'stranger' },
	review('may I', 'SelfSubjectAccessReview', attributes),
	review('may a stranger', 'SelfSubjectAccessReview', attributes, 'stranger'),
	review('may I what', 'SelfSubjectAccessReview', {}, 'admin', ['code', 'reason', 'details']),
	review('may members of the group', 'SubjectAccessReview', { user: 'x', groups: ['system:masters'], ...attributes }),
	review('may a user', 'SubjectAccessReview', { user: 'visitor', ...attributes }),
	review('may no user', 'SubjectAccessReview', attributes, 'admin', ['code', 'reason', 'details']),
	review('a stranger asks about others', 'SubjectAccessReview', { user: 'admin', ...attributes }, 'stranger', [
		'code',
		'reason',
	]),
	review('what may I', 'SelfSubjectRulesReview', { namespace: 'default' }, 'admin', ['kind', 'status.incomplete']),
	namespace('around'),
	pod('asks-nothing', {}),
	pod('asks-some', { requests: { cpu: '100m' } }),
	pod('is-limited', { limits: { cpu: '1', memory: '1Gi' } }),
	pod('is-limited-in-part', { limits: { cpu: '1' } }),
	pod('asks-other-than-limits', { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }),
	pod('asks-some-in-one', { limits: { cpu: '1', memory: '1Gi' } }, {}),
	secret('tls', 'kubernetes.io/tls', { a: 'Yg==' }),
	secret('ssh', 'kubernetes.io/ssh-auth'),
	{
		title: 'an endpoint slice of few fields',
		method: 'POST',
		path: '/apis/discovery.k8s.io/v1/namespaces/around/endpointslices',
		body: {
			apiVersion: 'discovery.k8s.io/v1',
			kind: 'EndpointSlice',
			metadata: { name: 'slice' },
			addressType: 'IPv4',
			endpoints: [{ addresses: ['10.0.0.1'] }],
			ports: [{ port: 80 }],
		},
		only: ['endpoints', 'ports'],
	},
	...[{ podSelector: {} }, { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] }].map(
		(spec, index): Step => ({
			title: `a policy of few fields ${index}`,
			method: 'POST',
			path: '/apis/networking.k8s.io/v1/namespaces/around/networkpolicies',
			body: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: `policy-${index}` }, spec },
			only: ['spec'],
		}),
	),
	{
		title: 'an event',
		method: 'POST',
		path: inNamespace('events'),
		body: {
			apiVersion: 'v1',
			kind: 'Event',
			metadata: { name: 'event' },
			involvedObject: { kind: 'Pod', name: 'p', namespace: 'around', fieldPath: 'spec.containers{a}' },
			reason: 'Started',
			message: 'it started',
			type: 'Normal',
			count: 3,
			firstTimestamp: tenDaysAgo,
			lastTimestamp: tenDaysAgo,
			source: { component: 'kubelet', host: 'n' },
		},
		only: ['kind'],
	},
	{
		title: 'the columns of events',
		path: inNamespace('events'),
		accept: asTable,
		only: [
			'rows.0.cells',
			...[4, 5, 6, 7, 8, 9].map((index) => `columnDefinitions.${index}.name`),
			'columnDefinitions.8.priority',
		],
	},
];
