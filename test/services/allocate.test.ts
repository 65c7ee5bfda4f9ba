import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { type AssignMode, addressDecision, ingressWith, loadBalancerHandle } from '../../src/services/index.ts';
import { type Fields, service } from './fixtures.ts';

test("the handle of a Service equals Calico's", (t) => {
	// Computed by Calico's kube-controllers for this name, namespace and uid.
	t.is(
		loadBalancerHandle('web', 'default', '11111111-2222-3333-4444-555555555555'),
		'lb-jjk6ij4dw79dv9NNom8HOGR2E5ZlAZAysPlA49pcH8E',
	);
});

const annotated = (annotations: Record<string, string>, spec: Fields = {}) =>
	service('web', { type: 'LoadBalancer', ...spec }, { metadata: { annotations } });

const rows: readonly {
	readonly title: string;
	readonly given: ReturnType<typeof service>;
	readonly mode?: AssignMode;
	readonly expected: Readonly<Record<string, unknown>>;
}[] = [
	{
		title: 'any pool',
		given: annotated({}, { ipFamilies: ['IPv4', 'IPv6'] }),
		expected: { families: ['ipv4', 'ipv6'], addresses: {}, pools: {} },
	},
	{ title: 'another type', given: service('web', { type: 'NodePort' }), expected: { type: 'release' } },
	{ title: 'a foreign class', given: annotated({}, { loadBalancerClass: 'metallb' }), expected: { type: 'release' } },
	{
		title: 'our class, with only requests enabled',
		given: annotated({}, { loadBalancerClass: 'calico' }),
		mode: 'requested-services-only',
		expected: { families: ['ipv4'] },
	},
	{
		title: 'no request, with only requests enabled',
		given: annotated({}),
		mode: 'requested-services-only',
		expected: { type: 'release' },
	},
	{
		title: 'requested addresses before spec.loadBalancerIP',
		given: annotated(
			{ 'projectcalico.org/loadBalancerIPs': '["198.51.100.7","fd00:98::0007"]' },
			{ loadBalancerIP: '198.51.100.9' },
		),
		expected: { families: ['ipv4', 'ipv6'], addresses: { ipv4: '198.51.100.7', ipv6: 'fd00:98::7' }, pools: {} },
	},
	{
		title: 'spec.loadBalancerIP',
		given: annotated({}, { loadBalancerIP: '198.51.100.9' }),
		expected: { addresses: { ipv4: '198.51.100.9' } },
	},
	{
		title: 'pools',
		given: annotated({ 'projectcalico.org/ipv4pools': '["lb"]' }),
		expected: { pools: { ipv4: ['lb'] } },
	},
	{
		title: 'two addresses of a family',
		given: annotated({ 'projectcalico.org/loadBalancerIPs': '["198.51.100.7","198.51.100.8"]' }),
		expected: { type: 'leave' },
	},
	{
		title: 'an annotation that is not JSON',
		given: annotated({ 'projectcalico.org/ipv4pools': 'lb' }),
		expected: { type: 'leave' },
	},
];
for (const { title, given, mode = 'all-services', expected } of rows)
	test(`load balancer addresses: ${title}`, (t) => {
		const decision = addressDecision(given, mode);
		t.like(decision.type === 'assign' ? decision.request : decision, expected);
	});

test('the status keeps foreign entries and is not written if it is correct', (t) => {
	const pools = [prefixKey('198.51.100.0/24')];
	const at = (...ips: string[]) =>
		service('web', {}, { status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } } });
	t.deepEqual(ingressWith(at('203.0.113.5', '198.51.100.9'), ['198.51.100.7'], pools), [
		{ ip: '203.0.113.5' },
		{ ip: '198.51.100.7' },
	]);
	t.is(ingressWith(at('203.0.113.5', '198.51.100.7'), ['198.51.100.7'], pools), undefined);
	t.deepEqual(ingressWith(at('198.51.100.7'), [], pools), []);
	t.is(ingressWith(at(), [], pools), undefined);
});
