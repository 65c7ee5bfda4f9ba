import test from 'ava';
import { silentLogger } from '../../../src/core/index.ts';
import { nodeAnnotations, resourceKey, toNodeFacts, toResource } from '../../../src/kubernetes/index.ts';
import { host } from '../../../src/node/addresses/host.ts';
import { AddressDetector } from '../../../src/node/addresses/keeper.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

const first = { ipv4: '10.0.1.2/24', ipv6: 'fd00:1::2/64' } as const;
const second = { ipv4: '10.0.2.2/24', ipv6: 'fd00:2::2/64' } as const;

/** Method of each family, the interface whose addresses it finds, and the reason that `status` shows. */
const methods: readonly (readonly [ipv4: string, ipv6: string, expected: typeof first | typeof second, why: RegExp])[] =
	[
		['interface=up0', 'interface=up0', first, /of up0: an interface that matches up0$/],
		['interface=eth.*,up1', 'interface=up1', second, /of up1: an interface that matches/],
		['skip-interface=up1', 'skip-interface=up1', first, /of up0: the first found, without up1$/],
		['skip-interface=up0', 'skip-interface=up0', second, /of up1: the first found, without up0$/],
		['cidr=10.0.1.0/24', 'cidr=fd00:1::/64', first, /of up0: an address in /],
		['cidr=192.0.2.0/24,10.0.2.0/24', 'cidr=fd00:2::/64', second, /of up1: an address in /],
		// By the routes of the kernel: the default route, and a more specific one.
		['can-reach=192.0.2.1', 'can-reach=2001:db8::1', first, /of up0: the source address towards /],
		['can-reach=10.9.0.1', 'can-reach=fd09::1', second, /of up1: the source address towards /],
		['kubernetes-internal-ip', 'kubernetes-internal-ip', second, /of up1: Kubernetes' InternalIP$/],
	];

function enterHost(): void {
	enterNewNamespace();
	addInterface('up0', [first.ipv4, first.ipv6]);
	addInterface('up1', [second.ipv4, second.ipv6]);
	for (const words of [
		'route add default via 10.0.1.1',
		'route add 10.9.0.0/16 via 10.0.2.1',
		'-6 route add default via fd00:1::1',
		'-6 route add fd09::/16 via fd00:2::1',
	])
		ip(words);
}

const self = toResource({
	metadata: { name: 'a' },
	status: { addresses: ['10.0.2.2', 'fd00:2::2'].map((address) => ({ type: 'InternalIP', address })) },
});

const detectorOf = (ipv4: string, ipv6: string, others: readonly ReturnType<typeof toResource>[] = []) =>
	new AddressDetector({
		node: 'a',
		nodes: { items: new Map(others.map((other) => [resourceKey(other), other])) },
		methods: { ipv4, ipv6 },
		host,
		log: silentLogger,
	});

for (const [ipv4, ipv6, expected, why] of methods)
	kernelTest(`${ipv4} and ${ipv6} find the addresses of a host with two uplinks${note}`, async (t) => {
		enterHost();
		const detector = detectorOf(ipv4, ipv6);
		t.deepEqual(await detector.annotations(toNodeFacts(self)), {
			[nodeAnnotations.ipv4Address]: expected.ipv4,
			[nodeAnnotations.ipv6Address]: expected.ipv6,
		});
		t.deepEqual(
			detector.findings.map(({ family, method, problem }) => ({ family, method, problem })),
			[
				{ family: 'ipv4', method: ipv4, problem: undefined },
				{ family: 'ipv6', method: ipv6, problem: undefined },
			],
		);
		for (const { reason } of detector.findings) t.regex(reason, why);
	});

kernelTest(`an address of another node is not taken, in both families, and the node is named${note}`, async (t) => {
	enterHost();
	const other = toResource({
		metadata: {
			name: 'b',
			annotations: { [nodeAnnotations.ipv4Address]: first.ipv4, [nodeAnnotations.ipv6Address]: first.ipv6 },
		},
	});
	const detector = detectorOf('interface=up0', 'interface=up0', [other]);
	t.deepEqual(await detector.annotations(toNodeFacts(self)), {});
	t.deepEqual(detector.problems, [
		'10.0.1.2 of up0 is the IPv4 address of node b too',
		'fd00:1::2 of up0 is the IPv6 address of node b too',
	]);
	// With another one of its own, the node takes that.
	t.deepEqual(await detectorOf('first-found', 'first-found', [other]).annotations(toNodeFacts(self)), {
		[nodeAnnotations.ipv4Address]: second.ipv4,
		[nodeAnnotations.ipv6Address]: second.ipv6,
	});
});
