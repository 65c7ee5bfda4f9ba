import test from 'ava';
import { ControlError } from '../../src/control/index.ts';
import { byFamily, podWishes } from '../../src/node/pod-wishes.ts';

const key = (name: string) => `cni.projectcalico.org/${name}`;
const none = { pools: {}, addresses: {} };

const wishes: readonly {
	readonly title: string;
	readonly pod: Record<string, string>;
	readonly namespace: Record<string, string>;
	readonly wishes: object;
}[] = [
	{ title: 'nothing', pod: {}, namespace: { other: '["x"]' }, wishes: none },
	{
		title: 'pools of the pod',
		pod: { [key('ipv4pools')]: '["blue"]' },
		namespace: {},
		wishes: { ...none, pools: { ipv4: ['blue'] } },
	},
	{
		title: 'pools of the namespace',
		pod: {},
		namespace: { [key('ipv6pools')]: '["red"]' },
		wishes: { ...none, pools: { ipv6: ['red'] } },
	},
	{
		title: 'pools of the pod before pools of its namespace, by family',
		pod: { [key('ipv4pools')]: '["blue"]' },
		namespace: { [key('ipv4pools')]: '["red"]', [key('ipv6pools')]: '["six"]' },
		wishes: { ...none, pools: { ipv4: ['blue'], ipv6: ['six'] } },
	},
	{
		title: 'addresses, one of each family, canonical',
		pod: { [key('ipAddrs')]: '["10.0.0.7","FD00::0:7"]' },
		namespace: {},
		wishes: { ...none, addresses: { ipv4: '10.0.0.7', ipv6: 'fd00::7' } },
	},
	{
		title: 'families of the pod before those of its namespace',
		pod: { [key('ipFamilies')]: '["IPv6"]' },
		namespace: { [key('ipFamilies')]: '["IPv4","IPv6"]' },
		wishes: { ...none, families: ['ipv6'] },
	},
	{
		title: 'families of the namespace',
		pod: {},
		namespace: { [key('ipFamilies')]: '["IPv4","IPv6"]' },
		wishes: { ...none, families: ['ipv4', 'ipv6'] },
	},
	{
		title: 'a hardware address',
		pod: { [key('hwAddr')]: '02:00:00:00:00:0A' },
		namespace: {},
		wishes: { ...none, mac: '02:00:00:00:00:0A' },
	},
	{
		title: 'addresses of a namespace are ignored',
		pod: {},
		namespace: { [key('ipAddrs')]: '["10.0.0.7"]' },
		wishes: none,
	},
];
for (const { title, pod, namespace, wishes: expected } of wishes)
	test(`annotations request ${title}`, (t) => t.deepEqual<unknown, unknown>(podWishes(pod, namespace), expected));

const refused: readonly {
	readonly title: string;
	readonly pod?: Record<string, string>;
	readonly namespace?: Record<string, string>;
	readonly message: RegExp;
}[] = [
	{
		title: 'a value that is not a list',
		pod: { [key('ipv4pools')]: 'blue' },
		message: /cni.projectcalico.org\/ipv4pools of the pod is not a JSON list of text: blue/,
	},
	{
		title: 'a namespace value that is not a list',
		namespace: { [key('ipv6pools')]: '{}' },
		message: /ipv6pools of the namespace is not/,
	},
	{ title: 'a list of numbers', pod: { [key('ipAddrs')]: '[1]' }, message: /ipAddrs of the pod is not/ },
	{
		title: 'two addresses of one family',
		pod: { [key('ipAddrs')]: '["10.0.0.7","10.0.0.8"]' },
		message: /10.0.0.7 and 10.0.0.8 are both of ipv4/,
	},
	{ title: 'an unknown family', pod: { [key('ipFamilies')]: '["ipv4"]' }, message: /ipFamilies has 'ipv4'/ },
	{ title: 'an invalid hardware address', pod: { [key('hwAddr')]: 'x' }, message: /hwAddr is 'x'/ },
	{ title: 'an invalid address', pod: { [key('ipAddrs')]: '["seven"]' }, message: /seven/ },
	{
		title: 'addresses without an IPAM record',
		pod: { [key('ipAddrsNoIpam')]: '["10.0.0.7"]' },
		message: /ipAddrsNoIpam asks for addresses without a record of them/,
	},
];
for (const { title, pod = {}, namespace = {}, message } of refused)
	test(`annotations cannot request ${title}`, (t) => {
		t.like(
			t.throws(() => podWishes(pod, namespace), { instanceOf: ControlError, message }),
			{ status: 400 },
		);
	});

test('an address listed twice counts once', (t) =>
	t.deepEqual(byFamily(['10.0.0.7', '10.0.0.7']), { ipv4: '10.0.0.7' }));
