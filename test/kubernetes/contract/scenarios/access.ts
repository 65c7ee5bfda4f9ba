import type { Step } from '../transcript.ts';
import { configMap } from './objects.ts';

export const access: readonly Step[] = [
	{ title: 'nobody gets nothing', path: '/api/v1/nodes', token: null },
	{ title: 'nobody may look at the version', path: '/version', token: null, only: ['major', 'minor'] },
	{ title: 'a wrong token is refused', path: '/api/v1/nodes', token: 'wrong' },
	{ title: 'a wrong token is refused where nobody is let in', path: '/healthz', token: 'wrong' },
	{ title: 'nobody sees that the server lives', path: '/livez', token: null },
	{ title: 'a stranger lists nothing', path: '/api/v1/nodes', token: 'stranger' },
	{ title: 'a stranger gets nothing', path: '/api/v1/namespaces/default/secrets/a', token: 'stranger' },
	{ title: 'a stranger writes nothing', method: 'POST', path: '/api/v1/namespaces/default/configmaps', body: configMap('a'), token: 'stranger' },
	{ title: 'a stranger deletes nothing', method: 'DELETE', path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a', token: 'stranger' },
	{ title: 'a stranger sees which groups there are', path: '/apis', token: 'stranger', only: ['kind'] },
	{ title: 'a path that is nothing', path: '/apis/nothing.example.com/v1/things' },
	{ title: 'a resource that is nothing', path: '/api/v1/things' },
	{ title: 'a subresource that is nothing', path: '/api/v1/namespaces/default/configmaps/a/status' },
	{ title: 'an object that is not there', path: '/api/v1/namespaces/default/configmaps/absent' },
	{ title: 'an object of a group that is not there', path: '/apis/coordination.k8s.io/v1/namespaces/default/leases/absent' },
	{ title: 'a method that is not allowed on a collection', method: 'PUT', path: '/api/v1/namespaces/default/configmaps', body: configMap('a') },
	{ title: 'a method that is not allowed on an object', method: 'POST', path: '/api/v1/namespaces/default/configmaps/a', body: configMap('a') },
	{ title: 'a body that is not JSON', method: 'POST', path: '/api/v1/namespaces/default/configmaps', body: '{"apiVersion":', only: ['reason', 'code', 'status'] },
	{ title: 'a body of a kind that is another one', method: 'POST', path: '/api/v1/namespaces/default/configmaps', body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } }, only: ['reason', 'code'] },
	{ title: 'a body in a format that is none', method: 'POST', path: '/api/v1/namespaces/default/configmaps', body: 'a', contentType: 'text/plain', only: ['reason', 'code'] },
	{ title: 'an answer in a format that is none', path: '/api/v1/namespaces/default/configmaps', accept: 'text/html', only: ['reason', 'code'] },
	{ title: 'the namespace of the body is another one', method: 'POST', path: '/api/v1/namespaces/default/configmaps', body: configMap('a', {}, { namespace: 'other' }) },
	{ title: 'a namespace that is not there', method: 'POST', path: '/api/v1/namespaces/absent/configmaps', body: configMap('a') },
	{ title: 'a POST across all namespaces', method: 'POST', path: '/api/v1/configmaps', body: configMap('a') },
];
