import test from 'ava';
import type { JsonObject } from '../../src/json/index.ts';
import {
	defaultNodeSettings,
	PolicyCalculator,
	PolicyFeed,
	PolicyTracer,
	plan,
	policyResourceOf,
	type TraceEnd,
	UnknownEndError,
} from '../../src/policy/index.ts';

const pod = (namespace: string, name: string, labels: Record<string, string>, node: string, podIP: string) => ({
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { namespace, name, labels },
	spec: { nodeName: node },
	status: { phase: 'Running', podIP },
});
const fromWeb = {
	apiVersion: 'networking.k8s.io/v1',
	kind: 'NetworkPolicy',
	metadata: { namespace: 'prod', name: 'db' },
	spec: {
		podSelector: { matchLabels: { app: 'db' } },
		ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 5432 }] }],
	},
};
const noEgress = {
	apiVersion: 'networking.k8s.io/v1',
	kind: 'NetworkPolicy',
	metadata: { namespace: 'prod', name: 'web' },
	spec: { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Egress'] },
};

function world() {
	const calculator = new PolicyCalculator({ node: 'node-a', settings: defaultNodeSettings });
	const feed = new PolicyFeed(calculator);
	for (const object of [
		pod('prod', 'web', { app: 'web' }, 'node-a', '10.0.1.1'),
		// Both ends are on other nodes: this node's kernel has no rules for them.
		pod('prod', 'db', { app: 'db' }, 'node-b', '10.0.2.1'),
		pod('dev', 'job', { app: 'job' }, 'node-c', '10.0.3.1'),
		{
			apiVersion: 'v1',
			kind: 'Node',
			metadata: { name: 'node-b' },
			status: { addresses: [{ type: 'InternalIP', address: '10.9.0.2' }] },
		},
		fromWeb,
	])
		feed.put(object);
	calculator.takeChange();
	return { calculator, feed };
}

const rows: readonly { title: string; from: TraceEnd; to: TraceEnd; port: number; denied: string }[] = [
	{
		title: 'a pod that the rule names',
		from: { type: 'pod', name: 'prod/web' },
		to: { type: 'pod', name: 'prod/db' },
		port: 5432,
		denied: '',
	},
	{
		title: 'the same pod, another port',
		from: { type: 'pod', name: 'prod/web' },
		to: { type: 'pod', name: 'prod/db' },
		port: 80,
		denied: 'receiver',
	},
	{
		title: 'by addresses',
		from: { type: 'address', address: '10.0.1.1' },
		to: { type: 'address', address: '10.0.2.1' },
		port: 5432,
		denied: '',
	},
	{
		title: 'two pods of other nodes',
		from: { type: 'pod', name: 'dev/job' },
		to: { type: 'pod', name: 'prod/db' },
		port: 5432,
		denied: 'receiver',
	},
	{
		title: 'a hypothetical pod that the rule would name',
		from: { type: 'hypothetical', namespace: 'prod', labels: { app: 'web' } },
		to: { type: 'pod', name: 'prod/db' },
		port: 5432,
		denied: '',
	},
	{
		title: 'a hypothetical pod of another namespace',
		from: { type: 'hypothetical', namespace: 'dev', labels: { app: 'web' } },
		to: { type: 'pod', name: 'prod/db' },
		port: 5432,
		denied: 'receiver',
	},
	{
		title: 'to a hypothetical pod',
		from: { type: 'pod', name: 'dev/job' },
		to: { type: 'hypothetical', namespace: 'prod', labels: { app: 'db' } },
		port: 5432,
		denied: 'receiver',
	},
	{
		title: 'the own node of a pod',
		from: { type: 'node', name: 'node-b' },
		to: { type: 'pod', name: 'prod/db' },
		port: 80,
		denied: '',
	},
	{
		title: 'from outside',
		from: { type: 'address', address: '203.0.113.1' },
		to: { type: 'pod', name: 'prod/db' },
		port: 5432,
		denied: 'receiver',
	},
];
for (const { title, from, to, port, denied } of rows) {
	test(`trace: ${title}`, (t) => {
		const { calculator, feed } = world();
		const tracer = new PolicyTracer(calculator, feed.policies);
		const result = tracer.journey(
			tracer.resolve(from),
			tracer.resolve(to),
			{ protocol: 6, sourcePort: 40000, destinationPort: port },
			'eth0',
		);
		t.is([result.deniedBySender ? 'sender' : '', result.deniedByReceiver ? 'receiver' : ''].join(''), denied);
	});
}

const gnp = (name: string, spec: JsonObject) => ({
	...{ apiVersion: 'crd.projectcalico.org/v1', kind: 'GlobalNetworkPolicy' },
	metadata: { name },
	spec,
});
const hostEndpoint = (name: string, spec: JsonObject) => ({
	...{ apiVersion: 'crd.projectcalico.org/v1', kind: 'HostEndpoint' },
	metadata: { name, labels: { host: name } },
	spec,
});

for (const { from, to, port, denied, endpoint, address } of [
	{ from: '203.0.113.1', to: 'storage', port: 22, denied: '', endpoint: 'storage', address: '10.8.0.1' },
	{ from: '203.0.113.1', to: 'storage', port: 80, denied: 'receiver', endpoint: 'storage', address: '10.8.0.1' },
	{ from: '203.0.113.1', to: 'by-address', port: 80, denied: 'receiver', endpoint: 'by-address', address: '10.7.0.1' },
	{ from: '203.0.113.1', to: 'front', port: 8080, denied: '', endpoint: 'front', address: '10.9.0.1' },
	{ from: 'storage', to: '203.0.113.1', port: 80, denied: '', endpoint: 'storage', address: '203.0.113.1' },
	{ from: 'front', to: '203.0.113.1', port: 80, denied: 'sender', endpoint: 'front', address: '203.0.113.1' },
	{ from: 'storage', to: 'far', port: 80, denied: '', endpoint: 'storage', address: '10.9.0.2' },
]) {
	test(`trace: ${from} to ${to}, port ${port}, by the name of a host endpoint`, (t) => {
		const hostInterfaces = new Map([
			['10.9.0.1', 'eth0'],
			['10.8.0.1', 'eth1'],
			['fd08::1', 'eth1'],
			['10.7.0.1', 'eth2'],
		]);
		const calculator = new PolicyCalculator({ node: 'node-a', settings: defaultNodeSettings, hostInterfaces });
		const feed = new PolicyFeed(calculator);
		const node = (name: string, ip: string) => ({
			...{ apiVersion: 'v1', kind: 'Node', metadata: { name } },
			status: { addresses: [{ type: 'InternalIP', address: ip }] },
		});
		const both = { types: ['Ingress', 'Egress'] };
		for (const object of [
			node('node-a', '10.9.0.1'),
			node('node-b', '10.9.0.2'),
			hostEndpoint('front', { node: 'node-a', interfaceName: 'eth0' }),
			hostEndpoint('storage', { node: 'node-a', interfaceName: 'eth1' }),
			hostEndpoint('by-address', { node: 'node-a', expectedIPs: ['10.7.0.1'] }),
			hostEndpoint('far', { node: 'node-b', interfaceName: 'eth0' }),
			gnp('front', {
				...{ ...both, selector: "host == 'front'" },
				ingress: [{ action: 'Allow' }],
				egress: [{ action: 'Deny' }],
			}),
			gnp('others', {
				...{ ...both, selector: "host in { 'storage', 'by-address' }" },
				ingress: [{ action: 'Allow', protocol: 'TCP', destination: { ports: [1022] } }],
				egress: [{ action: 'Allow' }],
			}),
		])
			feed.put(object);
		calculator.takeChange();
		const tracer = new PolicyTracer(calculator, feed.policies);
		const end = (text: string): TraceEnd =>
			/^\d/.test(text) ? { type: 'address', address: text } : { type: 'host', name: text };
		const [source, target] = [tracer.resolve(end(from)), tracer.resolve(end(to))];
		t.is(target.address, address);
		const result = tracer.journey(source, target, { protocol: 6, sourcePort: 40000, destinationPort: port }, 'eth0');
		t.is([result.deniedBySender ? 'sender' : '', result.deniedByReceiver ? 'receiver' : ''].join(''), denied);
		t.is([...result.sender, ...result.receiver].at(0)?.endpoint, endpoint);
	});
}

test('a host endpoint that does not exist, or has no address of the family, is an error', (t) => {
	const { calculator, feed } = world();
	feed.put(hostEndpoint('far', { node: 'node-b', interfaceName: 'eth0' }));
	const tracer = new PolicyTracer(calculator, feed.policies);
	t.throws(() => tracer.resolve({ type: 'host', name: 'gone' }), { instanceOf: UnknownEndError });
	t.throws(() => tracer.resolve({ type: 'host', name: 'far' }, 'ipv6'), { instanceOf: UnknownEndError });
	t.is(tracer.resolve({ type: 'host', name: 'far' }).address, '10.9.0.2');
});

test('a pod that does not exist is an error, not a verdict', (t) => {
	const { calculator, feed } = world();
	t.throws(() => new PolicyTracer(calculator, feed.policies).resolve({ type: 'pod', name: 'prod/gone' }), {
		instanceOf: UnknownEndError,
	});
});

test('a plan lists only the newly denied traffic of a policy', (t) => {
	const { calculator, feed } = world();
	const conversion = policyResourceOf(noEgress)?.convert(noEgress);
	if (conversion?.type !== 'policy') return t.fail();
	const after = new Map(feed.policies).set(conversion.policy.key, conversion.policy);
	const { changes, changed, kinds } = plan(calculator, feed.policies, after, {
		uplink: 'eth0',
		mostKinds: 10,
		mostChanges: 100,
	});
	t.is(kinds, 3);
	t.is(changed, changes.length);
	t.true(
		changes.every(({ from, before, after: then }) => from === 'prod/web' && before === 'allowed' && then === 'denied'),
	);
	const toDb = changes.filter(({ to }) => to === 'prod/db').map(({ protocol, port }) => `${protocol} ${port}`);
	t.deepEqual(toDb, ['TCP 5432']);
	t.is(changes.filter(({ to }) => to === 'dev/job').length, 3);
	return undefined;
});

test('a plan without a difference changes nothing', (t) => {
	const { calculator, feed } = world();
	const { changed } = plan(calculator, feed.policies, feed.policies, {
		uplink: 'eth0',
		mostKinds: 10,
		mostChanges: 100,
	});
	t.is(changed, 0);
});

test('a port by name is that of the protocol of its rule, and a range ends with its last port', (t) => {
	const { calculator, feed } = world();
	const ports = [
		{ name: 'api', containerPort: 8080, protocol: 'TCP' },
		{ name: 'api', containerPort: 8081, protocol: 'UDP' },
	];
	feed.put({
		...pod('prod', 'db', { app: 'db' }, 'node-b', '10.0.2.1'),
		spec: { nodeName: 'node-b', containers: [{ ports }] },
	});
	const rule = { from: fromWeb.spec.ingress[0]?.from ?? [], ports: [{ port: 'api' }, { port: 7000, endPort: 7002 }] };
	feed.put({ ...fromWeb, spec: { ...fromWeb.spec, ingress: [rule] } });
	calculator.takeChange();
	const tracer = new PolicyTracer(calculator, feed.policies);
	const web: TraceEnd = { type: 'pod', name: 'prod/web' };
	const db: TraceEnd = { type: 'pod', name: 'prod/db' };
	const allowed = (protocol: number) =>
		[6999, 7000, 7001, 7002, 7003, 8080, 8081].filter((destinationPort) => {
			const connection = { protocol, sourcePort: 40000, destinationPort };
			const [from, to] = [tracer.resolve(web), tracer.resolve(db)];
			return !tracer.journey(from, to, connection, 'eth0').deniedByReceiver;
		});
	t.deepEqual(allowed(6), [7000, 7001, 7002, 8080]);
	t.deepEqual(allowed(17), []);
});
