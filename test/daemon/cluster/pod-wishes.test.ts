import test from 'ava';
import { ControlError } from '../../../src/control/index.ts';
import { byFamily, podWishes } from '../../../src/daemon/cluster/pod-wishes.ts';

const key = (name: string) => `cni.projectcalico.org/${name}`;
const none = { pools: {}, addresses: {} };

const wishes: readonly { readonly title: string; readonly pod: Record<string, string>; readonly namespace: Record<string, string>; readonly wishes: object }[] =
	[
		{ title: 'nothing', pod: {}, namespace: { other: '["x"]' }, wishes: none },
		{ title: 'pools of the pod', pod: { [key('ipv4pools')]: '["blue"]' }, namespace: {}, wishes: { ...none, pools: { ipv4: ['blue'] } } },
		{ title: 'pools of the namespace', pod: {}, namespace: { [key('ipv6pools')]: '["red"]' }, wishes: { ...none, pools: { ipv6: ['red'] } } },
		{
			title: 'those of the pod before those of its namespace, by family',
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
		{ title: 'addresses of a namespace are nobody s', pod: {}, namespace: { [key('ipAddrs')]: '["10.0.0.7"]' }, wishes: none },
	];
for (const { title, pod, namespace, wishes: expected } of wishes)
	test(`annotations ask for ${title}`, (t) => t.deepEqual<unknown, unknown>(podWishes(pod, namespace), expected));

const refused: readonly {
	readonly title: string;
	readonly pod?: Record<string, string>;
	readonly namespace?: Record<string, string>;
	readonly message: RegExp;
}[] = [
	{ title: 'what is no list', pod: { [key('ipv4pools')]: 'blue' }, message: /cni.projectcalico.org\/ipv4pools of the pod is not a JSON list of text: blue/ },
	{ title: 'what is no list, of the namespace', namespace: { [key('ipv6pools')]: '{}' }, message: /ipv6pools of the namespace is not/ },
	{ title: 'a list of numbers', pod: { [key('ipAddrs')]: '[1]' }, message: /ipAddrs of the pod is not/ },
	{ title: 'two addresses of one family', pod: { [key('ipAddrs')]: '["10.0.0.7","10.0.0.8"]' }, message: /10.0.0.7 and 10.0.0.8 are both of ipv4/ },
	{ title: 'what is no address', pod: { [key('ipAddrs')]: '["seven"]' }, message: /seven/ },
	{
		title: 'addresses without a record',
		pod: { [key('ipAddrsNoIpam')]: '["10.0.0.7"]' },
		message: /ipAddrsNoIpam asks for addresses that nobody keeps a record of/,
	},
];
for (const { title, pod = {}, namespace = {}, message } of refused)
	test(`annotations can not ask for ${title}`, (t) => {
		t.like(
			t.throws(() => podWishes(pod, namespace), { instanceOf: ControlError, message }),
			{ status: 400 },
		);
	});

test('one address named twice is one', (t) => t.deepEqual(byFamily(['10.0.0.7', '10.0.0.7']), { ipv4: '10.0.0.7' }));
