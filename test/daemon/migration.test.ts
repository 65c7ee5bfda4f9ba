import test from 'ava';
import { createRib, elevatedMetricOf, localPrefOf, type Policy } from '../../src/bgp/index.ts';
import { hostPrefix, prefixKey, type RouteChange, silentLogger } from '../../src/core/index.ts';
import { MigrationRoutes } from '../../src/daemon/migration.ts';
import { FakeClock } from '../fakes/clock.ts';
import { acceptAll, RibBench } from '../support/rib-bench.ts';

const pool = prefixKey('192.168.0.0/16');
const machine = hostPrefix('192.168.1.5');

test('LOCAL_PREF and metric are each other’s inverse, and ordinary values stand for no metric', (t) => {
	t.is(localPrefOf(512), 2_147_483_135);
	t.is(elevatedMetricOf(2_147_483_135, 1024), 512);
	for (const localPref of [undefined, 100, 2_147_482_623, 2_147_483_647, 4_294_967_295])
		t.is(elevatedMetricOf(localPref, 1024), undefined, `${localPref}`);
});

test('a workload that moves here is announced with the higher LOCAL_PREF, and its end leaves the borrowed address', async (t) => {
	const rib = createRib(
		{
			localAsNumber: 64512,
			routerId: 1,
			clusterId: undefined,
			clientToClientReflection: true,
			localAddresses: [],
		},
		{ clock: new FakeClock(), log: silentLogger },
	);
	rib.expectPeers([], 1);
	const seen: RouteChange[] = [];
	rib.onChanges((changes) => seen.push(...changes));
	const settled = async () => {
		while (rib.statistics().dirty > 0) await new Promise((resolve) => setImmediate(resolve));
	};
	const routes = () => seen.splice(0).map((change) => (change.type === 'install' ? change.route.localPref : 'removed'));
	const migration = new MigrationRoutes(rib, () => [pool], silentLogger);
	rib.originate(machine);
	await settled();
	const [ordinary] = routes();
	migration.set(new Map([[machine, 512]]));
	await settled();
	t.deepEqual(routes(), [2_147_483_135]);
	// The address is still borrowed when the migration is over.
	migration.set(new Map());
	await settled();
	t.deepEqual(routes(), [ordinary]);
	rib.withdrawOrigin(machine);
	await settled();
	t.deepEqual(routes(), ['removed']);
});

test('a route outside of all pools is not announced', (t) => {
	const originated: string[] = [];
	const rib = { originate: (prefix: string) => originated.push(prefix), withdrawOrigin: () => {} };
	const migration = new MigrationRoutes(rib, () => [pool], silentLogger);
	migration.set(
		new Map([
			[hostPrefix('10.9.9.9'), 512],
			[machine, 512],
		]),
	);
	t.deepEqual(originated, [machine]);
});

test('a metric that import sets for a route of another AS is carried by LOCAL_PREF inside this one', (t) => {
	const restores: Policy = {
		name: 'migration',
		terms: [
			{
				match: { communities: ['65000:100'] },
				action: 'accept',
				operations: [{ type: 'set-priority', value: 512 }],
			},
		],
		otherwise: 'accept',
	};
	const bench = new RibBench();
	const [tor, node] = [
		bench.peer('tor', {
			negotiated: { kind: 'external' },
			options: { importPolicies: [restores], exportPolicies: [acceptAll] },
		}),
		bench.peer('node'),
	];
	tor.announce(['192.168.1.5/32'], { communities: [0xfde8_0064] });
	tor.announce(['192.168.1.0/26']);
	bench.run();
	const held = [...node.held].map(([prefix, { localPref }]) => [prefix, localPref]).sort();
	t.deepEqual(held, [
		['192.168.1.0/26', 100],
		['192.168.1.5/32', 2_147_483_135],
	]);
});
