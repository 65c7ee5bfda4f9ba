import test from 'ava';
import { type NodeFacts, readAddresses, readPods, readReadiness, remainsOf } from '../../../lab/kubernetes/remains.ts';
import { hostInterfaceName } from '../../../src/pods/index.ts';

const web = { namespace: 'default', name: 'web', node: 'node-a', address: '192.168.0.5' };
const device = hostInterfaceName(web, '', 'eth0');
const clean: NodeFacts = {
	name: 'node-a',
	interfaces: [device],
	routes: [{ address: web.address, device }],
	ruleset: `chain x { iifname "${device}" accept }`,
	queuedReleases: 0,
};
const held = { address: web.address, pod: 'default/web' };

test('a cluster whose addresses, interfaces, routes and rules are those of its pods is clean', (t) => {
	t.deepEqual(remainsOf([web], [held, { address: '192.168.0.1', pod: undefined }], [clean]), []);
});

test('addresses of pods that are gone, and addresses that a pod has no longer, have leaked', (t) => {
	const other = { address: '192.168.0.6', pod: 'default/gone' };
	const former = { address: '192.168.0.7', pod: 'default/web' };
	t.deepEqual(remainsOf([web], [held, other, former], [clean]), [
		'address 192.168.0.6 leaked: it is allocated to default/gone',
		'address 192.168.0.7 leaked: it is allocated to default/web',
	]);
});

test('a pod needs an address that is allocated to it', (t) => {
	t.deepEqual(remainsOf([web], [{ ...held, pod: 'default/other' }], [clean]), [
		'address 192.168.0.5 leaked: it is allocated to default/other',
		'default/web has 192.168.0.5, not allocated to it',
	]);
});

test('interfaces, routes, rules and releases of pods that are gone are named with their node', (t) => {
	t.deepEqual(remainsOf([], [], [{ ...clean, queuedReleases: 2 }]), [
		`node-a: interface ${device} is left`,
		`node-a: route 192.168.0.5 through ${device} is left`,
		`node-a: rules of ${device} are left`,
		'node-a: 2 releases wait',
	]);
});

test('a living pod needs its interface and its route', (t) => {
	t.deepEqual(remainsOf([web], [held], [{ ...clean, interfaces: [], routes: [], ruleset: '' }]), [
		`node-a: interface ${device} of default/web is missing`,
		'node-a: route to 192.168.0.5 of default/web is missing',
	]);
});

test('pods of the host network, finished pods and pods without a node have no address of their own', (t) => {
	const pod = (name: string, spec: object, status: object = {}) => ({
		metadata: { namespace: 'default', name },
		spec: { nodeName: 'node-a', ...spec },
		status: { phase: 'Running', podIP: '192.168.0.5', ...status },
	});
	const items = [
		pod('web', {}),
		pod('host', { hostNetwork: true }),
		pod('done', {}, { phase: 'Succeeded' }),
		pod('pending', { nodeName: undefined }),
	];
	t.deepEqual(readPods(JSON.stringify({ items })), [web]);
});

test('the allocations of a block are addresses by their ordinal, with the pod of their attributes', (t) => {
	const spec = {
		cidr: '192.168.0.192/26',
		allocations: [0, null, 1],
		attributes: [{ secondary: { node: 'node-a' } }, { secondary: { namespace: 'default', pod: 'web' } }],
	};
	t.deepEqual(readAddresses(JSON.stringify({ items: [{ metadata: { name: 'x' }, spec }] })), [
		{ address: '192.168.0.192', pod: undefined },
		{ address: '192.168.0.194', pod: 'default/web' },
	]);
});

test('a pod is ready by its condition, and not while it is deleted', (t) => {
	const pod = (name: string, status: string, metadata: object = {}) => ({
		metadata: { namespace: 'default', name, ...metadata },
		spec: {},
		status: { conditions: [{ type: 'Ready', status }] },
	});
	const items = [pod('a', 'True'), pod('b', 'False'), pod('c', 'True', { deletionTimestamp: '2026-12-01T00:00:00Z' })];
	t.deepEqual(readReadiness(JSON.stringify({ items })), [
		{ id: 'default/a', ready: true },
		{ id: 'default/b', ready: false },
		{ id: 'default/c', ready: false },
	]);
});
