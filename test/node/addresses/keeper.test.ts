import test from 'ava';
import { resourceKey, toNodeFacts, toResource } from '../../../src/kubernetes/index.ts';
import type { LinkAddress } from '../../../src/node/addresses/detect.ts';
import { type HostAddresses, host } from '../../../src/node/addresses/host.ts';
import { AddressDetector } from '../../../src/node/addresses/keeper.ts';
import { recordingLogger } from '../../fakes/log.ts';

const nodeOf = (name: string, address?: string) =>
	toResource({
		metadata: { name, annotations: address === undefined ? {} : { 'projectcalico.org/IPv4Address': address } },
	});

function setUp(others: readonly ReturnType<typeof nodeOf>[] = []) {
	let links: readonly LinkAddress[] = [{ device: 'eth0', index: 2, family: 'ipv4', address: '10.0.1.2', length: 24 }];
	const fake: HostAddresses = {
		links: async () => links,
		isLocal: async (address) => links.some((link) => link.address === address),
		sourceTowards: async () => undefined,
	};
	const log = recordingLogger();
	const detector = new AddressDetector({
		node: 'a',
		nodes: { items: new Map(others.map((other) => [resourceKey(other), other])) },
		methods: { ipv4: 'auto', ipv6: 'auto' },
		host: fake,
		log,
	});
	return { detector, log, become: (now: typeof links) => (links = now) };
}

test('a changed address is applied, and logged once', async (t) => {
	const { detector, log, become } = setUp();
	t.deepEqual(await detector.annotations(toNodeFacts(nodeOf('a'))), { 'projectcalico.org/IPv4Address': '10.0.1.2/24' });
	become([{ device: 'eth0', index: 2, family: 'ipv4', address: '10.0.1.33', length: 24 }]);
	const stale = toNodeFacts(nodeOf('a', '10.0.1.2/24'));
	for (let time = 0; time < 3; time++)
		t.deepEqual(await detector.annotations(stale), { 'projectcalico.org/IPv4Address': '10.0.1.33/24' });
	t.is(log.lines.filter(({ level }) => level === 'warn').length, 1);
	t.is(detector.problems.length, 1);
	t.deepEqual(await detector.annotations(toNodeFacts(nodeOf('a', '10.0.1.33/24'))), {});
	t.deepEqual(detector.problems, []);
});

test('two nodes with swapped addresses correct them after both clear their address', async (t) => {
	const { detector } = setUp([nodeOf('b', '10.0.1.2/24')]);
	t.deepEqual(await detector.annotations(toNodeFacts(nodeOf('a', '10.0.1.3/24'))), {
		'projectcalico.org/IPv4Address': null,
	});
	const after = setUp([nodeOf('b')]).detector;
	t.deepEqual(await after.annotations(toNodeFacts(nodeOf('a'))), { 'projectcalico.org/IPv4Address': '10.0.1.2/24' });
});

test('the host reports its addresses and the source address for a destination', async (t) => {
	t.true((await host.links()).some(({ device, address }) => device === 'lo' && address === '127.0.0.1'));
	t.deepEqual(await Promise.all(['127.0.0.1', '127.9.8.7', '192.0.2.77'].map((address) => host.isLocal(address))), [
		true,
		true,
		false,
	]);
	t.is(await host.sourceTowards('127.0.0.9', 'ipv4'), '127.0.0.1');
	t.is(await host.sourceTowards('a.name.that.is.invalid', 'ipv4'), undefined);
});
