import test from 'ava';
import { formatOwner, hostInterfaceName, parseOwner } from '../../src/pods/index.ts';

const names: readonly [string, Parameters<typeof hostInterfaceName>, string][] = [
	[
		'a pod: the hash of its name, as Calico derives it',
		[{ namespace: 'default', name: 'web-0' }, 'c1', 'eth0'],
		'cali0d7763386da',
	],
	['a container without a pod: its ID', [undefined, '0123456789abcdef', 'eth0'], 'cali0123456789a'],
	['an ID with characters that are invalid in a name', [undefined, 'a.b-c_d', 'eth0'], 'caliabcd'],
];
for (const [title, given, expected] of names)
	test(`the name on the node: ${title}`, (t) => t.is(hostInterfaceName(...given), expected));

test('the name on the node: a second interface of a pod has another one', (t) => {
	const pod = { namespace: 'default', name: 'web-0' };
	t.not(hostInterfaceName(pod, 'c1', 'net1'), hostInterfaceName(pod, 'c1', 'eth0'));
});

test('an alias is read back as it was written', (t) => {
	const owner = { network: 'pods', containerId: 'c1', ifname: 'eth0', addresses: ['192.168.1.1', 'fd00::1'] };
	t.deepEqual(parseOwner(formatOwner(owner)), owner);
	t.deepEqual(parseOwner(formatOwner({ ...owner, addresses: [] })), { ...owner, addresses: [] });
});

for (const alias of [undefined, '', 'a text of an administrator', 'bgpmesh pods', 'calico pods c1 eth0 1.1.1.1'])
	test(`a foreign alias: ${String(alias)}`, (t) => t.is(parseOwner(alias), undefined));
