import test, { type ExecutionContext } from 'ava';
import { CniNode, type CniResult, noPods } from '../../support/cni-node.ts';

const podTest = noPods === undefined ? test.serial : test.serial.skip;
const note = noPods === undefined ? '' : ` (skipped: ${noPods})`;

const parts = ({ ips }: CniResult) =>
	ips.map(({ address, gateway = '' }) => ({
		address: address.split('/')[0] ?? '',
		length: address.split('/')[1],
		gateway,
	}));

/** The owner of an address, in the daemon's notation. */
const stateOf = async ({ daemon }: CniNode, address: string) =>
	(
		await daemon.until(
			'an answer',
			(client) => client.ask('ipamAddress', { address }),
			() => true,
		)
	).state;

async function checkPods(t: ExecutionContext, plugin: 'ptp' | 'bridge', node: CniNode): Promise<void> {
	const [one, two] = [node.newPod('one'), node.newPod('two')];
	const results = [await node.add(one), await node.add(two)] as const;
	for (const [index, family] of ['ipv4', 'ipv6'].entries()) {
		const [first, second] = results.map((result) => parts(result)[index]);
		if (first === undefined || second === undefined) throw new RangeError(`no ${family} address`);
		t.deepEqual([first.length, second.length], family === 'ipv4' ? ['26', '26'] : ['122', '122']);
		t.is(first.gateway, second.gateway);
		t.is(new Set([first.address, second.address, first.gateway]).size, 3);
		t.true(await node.pings(one, second.address), `${family}: pod to pod`);
		t.true(await node.pings(two, first.address), `${family}: and back`);
		t.true(await node.pings(one, first.gateway), `${family}: pod to gateway`);
		t.true(await node.pings('node', first.address), `${family}: node to pod`);
	}
	t.regex(
		node.ip(one, '-4 route show default'),
		new RegExp(`default via ${parts(results[0])[0]?.gateway.replaceAll('.', '\\.')} dev eth0`),
	);
	t.regex(node.ip(one, '-6 route show default'), new RegExp(`default via ${parts(results[0])[1]?.gateway} dev eth0`));
	await node.check(one, results[0]);
	t.deepEqual(await node.daemon.ask('ipam', 'check'), {
		checked: { pools: 2, blocks: 2, claims: 2, handles: 4, pods: 0 },
		problems: [],
	});
	await node.delete(one);
	await node.delete(one);
	t.notRegex(node.ip(one, 'link show'), /eth0/);
	for (const { address, gateway } of parts(results[0]))
		t.deepEqual([await stateOf(node, address), await stateOf(node, gateway)], ['free', 'used']);
	t.true(await node.pings(two, parts(results[1])[0]?.gateway ?? ''), `${plugin}: the other pod keeps its gateway`);
	await node.delete(two);
}

podTest(`ptp: pods reach each other and their gateway, and their addresses are released${note}`, async (t) => {
	await checkPods(
		t,
		'ptp',
		await new CniNode('p').start(
			t,
			{ ipv4: '10.77.0.0/16', ipv6: 'fd77::/112' },
			'--plugin',
			'ptp',
			'--families',
			'ipv4,ipv6',
		),
	);
});

podTest(`bridge: pods reach each other and their gateway, and their addresses are released${note}`, async (t) => {
	const node = await new CniNode('b').start(
		t,
		{ ipv4: '10.78.0.0/16', ipv6: 'fd78::/112' },
		'--plugin',
		'bridge',
		'--families',
		'ipv4,ipv6',
	);
	await checkPods(t, 'bridge', node);
});

podTest(`ptp: a hundred concurrent pods get a hundred addresses, and none is a gateway${note}`, async (t) => {
	const node = await new CniNode('h').start(t, { ipv4: '10.79.0.0/16', ipv6: 'fd79::/112' }, '--plugin', 'ptp');
	const pods = Array.from({ length: 100 }, (_, index) => node.newPod(`${index}`));
	const given = (await Promise.all(pods.map((pod) => node.add(pod)))).flatMap(parts);
	const addresses = new Set(given.map(({ address }) => address));
	const gateways = new Set(given.map(({ gateway }) => gateway));
	t.is(addresses.size, 100);
	t.is(gateways.size, 2);
	for (const gateway of gateways) t.false(addresses.has(gateway));
	for (const { address } of given) t.false([0, 63].includes(Number(address.split('.')[3]) % 64), address);
	const [first, last] = [given[0], given[99]];
	t.true(await node.pings(pods[0] ?? 'node', last?.address ?? ''), `from ${first?.address} to ${last?.address}`);
	await Promise.all(pods.map((pod) => node.delete(pod)));
	t.deepEqual(await node.daemon.ask('ipam', 'check'), {
		checked: { pools: 2, blocks: 2, claims: 2, handles: 2, pods: 0 },
		problems: [],
	});
	for (const address of addresses) t.is(await stateOf(node, address), 'free');
});

podTest(
	`ptp with a node's own ranges: none at the start, then both families; after a restart no address is assigned twice${note}`,
	async (t) => {
		const ranges = { ipv4: '10.80.0.0/16', ipv6: 'fd80::/112', mode: 'host-local' } as const;
		const node = await new CniNode('l').start(t, ranges, '--plugin', 'ptp', '--families', 'ipv4,ipv6');
		const [one, two, three] = [node.newPod('one'), node.newPod('two'), node.newPod('three')];
		const refused = await t.throwsAsync(node.add(one));
		t.regex(refused?.message ?? '', /"code": ?11,[\s\S]*node node-a has no ipv4 range: spec\.podCIDRs/);
		await node.delete(one);
		await node.giveRanges('10.80.3.0/24', 'fd80::300/120');
		await node.ready();
		const first = await node.add(one);
		t.deepEqual(
			first.ips.map(({ address, gateway }) => `${address} ${gateway}`),
			['10.80.3.2/24 10.80.3.1', 'fd80::302/120 fd80::301'],
		);
		node.daemon.signal('SIGKILL');
		await node.daemon.ended();
		await node.daemon.start(t);
		await node.ready();
		t.deepEqual(await node.add(two).then(parts), [
			{ address: '10.80.3.3', length: '24', gateway: '10.80.3.1' },
			{ address: 'fd80::303', length: '120', gateway: 'fd80::301' },
		]);
		await node.check(one, first);
		for (const address of ['10.80.3.3', 'fd80::303']) t.true(await node.pings(one, address), `pod to ${address}`);
		for (const pod of [one, two]) await node.delete(pod);
		t.deepEqual((await node.add(three).then(parts))[0]?.address, '10.80.3.4', 'not the one that was just given back');
		await node.delete(three);
	},
);
