import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { AddressGrantsView, CniAddRequest, ReleasedView } from '../../src/control/index.ts';
import { type PrefixKey, prefixKey, silentLogger } from '../../src/core/index.ts';
import { HostLocalLedger } from '../../src/node/host-local-ledger.ts';
import { hostLocalService } from '../../src/node/host-local-service.ts';
import { recordingLogger } from '../fakes/log.ts';

const makeFolder = () => mkdtempSync(join(tmpdir(), 'bgpmesh-host-local-'));
const ranges = [prefixKey('10.244.1.0/29'), prefixKey('fd00:1::/64')];
const owner = { network: 'net', containerId: 'one', ifname: 'eth0', pod: 'default/web' };

/** A process of the node; a second process on the same folder stands for a restart. */
async function start(folder: string, cidrs: readonly PrefixKey[] = ranges) {
	const ledger = await HostLocalLedger.open(folder, silentLogger);
	const service = hostLocalService({ node: 'a', ledger, ranges: () => cidrs, log: silentLogger });
	const request = (containerId: string, more: Partial<CniAddRequest> = {}) => ({
		network: 'net',
		containerId,
		ifname: 'eth0',
		pod: { namespace: 'default', name: containerId, uid: undefined },
		families: ['ipv4' as const],
		ipv4Pools: [],
		ipv6Pools: [],
		...more,
	});
	return {
		ledger,
		add: async (containerId: string, more: Partial<CniAddRequest> = {}) =>
			((await service.cniAdd({ request: request(containerId, more) })) as AddressGrantsView).addresses.map(
				({ address, block, gateway }) => `${address} of ${block}${gateway === undefined ? '' : ` by ${gateway}`}`,
			),
		remove: async (containerId: string) =>
			((await service.cniDelete({ request: request(containerId) })) as ReleasedView).addresses,
		collect: async (...valid: string[]) =>
			(
				(await service.cniCollect({
					request: { network: 'net', validAttachments: valid.map((containerId) => ({ containerId, ifname: 'eth0' })) },
				})) as ReleasedView
			).addresses,
		check: (containerId: string, ...addresses: string[]) =>
			service.cniCheck({ request: { ...request(containerId), addresses } }),
		status: () => service.cniStatus({}),
	};
}

test('a container gets one address of each family, gets the same on a repeated ADD, and releases all', async (t) => {
	const { add, remove, check } = await start(makeFolder());
	const both = { families: ['ipv4', 'ipv6'] as const };
	t.deepEqual(await add('one', both), ['10.244.1.2 of 10.244.1.0/29', 'fd00:1::2 of fd00:1::/64']);
	t.deepEqual(await add('one', both), ['10.244.1.2 of 10.244.1.0/29', 'fd00:1::2 of fd00:1::/64']);
	await check('one', '10.244.1.2', 'fd00:1::2');
	t.deepEqual([...(await remove('one'))].sort(), ['10.244.1.2', 'fd00:1::2']);
	t.deepEqual(await remove('one'), []);
	await t.throwsAsync(check('one', '10.244.1.2') as Promise<unknown>, { message: /holds nothing/ });
	t.deepEqual(
		await add('two', both),
		['10.244.1.3 of 10.244.1.0/29', 'fd00:1::3 of fd00:1::/64'],
		'not the one that was just given back',
	);
});

test('a requested gateway is the second address of the range', async (t) => {
	const { add } = await start(makeFolder());
	t.deepEqual(await add('one', { families: ['ipv4', 'ipv6'], gateways: ['ipv4'] }), [
		'10.244.1.2 of 10.244.1.0/29 by 10.244.1.1',
		'fd00:1::2 of fd00:1::/64',
	]);
});

test('concurrent requests with restarts in between: no address is given twice', async (t) => {
	const folder = makeFolder();
	const cidr = [prefixKey('10.244.2.0/26')];
	const given: string[] = [];
	for (let restart = 0; restart < 3; restart++) {
		const { add } = await start(folder, cidr);
		given.push(...(await Promise.all(Array.from({ length: 20 }, (_, index) => add(`${restart}-${index}`)))).flat());
	}
	t.is(new Set(given).size, 60);
	const { add } = await start(folder, cidr);
	t.is((await add('last')).length, 1);
	await t.throwsAsync(add('too-much'), { message: /every address of 10\.244\.2\.0\/26 is taken/ });
	t.deepEqual(await add('0-0'), given.slice(0, 1), 'an owner gets its address all the same');
});

test('an address is on disk before ADD returns it, and removed from disk before it is given again', async (t) => {
	const folder = makeFolder();
	const { add, remove } = await start(folder);
	await add('one');
	t.deepEqual(readdirSync(folder), ['10.244.1.2']);
	t.deepEqual(JSON.parse(readFileSync(join(folder, '10.244.1.2'), 'utf8')), {
		network: 'net',
		containerId: 'one',
		ifname: 'eth0',
		pod: 'default/one',
	});
	await remove('one');
	t.deepEqual(readdirSync(folder), []);
});

test('a file that a crash left incomplete has no owner, and an address with an unreadable file is not given', async (t) => {
	const folder = makeFolder();
	writeFileSync(join(folder, '77-0.new'), '{"network"');
	writeFileSync(join(folder, '10.244.1.2'), '{"netw');
	writeFileSync(join(folder, 'README'), '');
	const log = recordingLogger();
	const ledger = await HostLocalLedger.open(folder, log);
	t.deepEqual(readdirSync(folder).sort(), ['10.244.1.2', 'README']);
	t.deepEqual(log.lines.map(({ level }) => level).sort(), ['error', 'warn']);
	t.true(ledger.isTaken('10.244.1.2'));
	const { add } = await start(folder);
	t.deepEqual(await add('one'), ['10.244.1.3 of 10.244.1.0/29']);
});

test('a file that another process created concurrently is not overwritten', async (t) => {
	const folder = makeFolder();
	const { ledger } = await start(folder);
	const other = await HostLocalLedger.open(folder, silentLogger);
	await other.take('10.244.1.2', owner);
	await t.throwsAsync(ledger.take('10.244.1.2', { ...owner, containerId: 'two' }), { code: 'EEXIST' });
	t.true(ledger.isTaken('10.244.1.2'));
	t.is(JSON.parse(readFileSync(join(folder, '10.244.1.2'), 'utf8')).containerId, 'one');
});

test('a partial assignment is rolled back', async (t) => {
	const folder = makeFolder();
	const { add } = await start(folder, ranges.slice(0, 1));
	await t.throwsAsync(add('one', { families: ['ipv4', 'ipv6'] }), { message: /no ipv6 range: spec\.podCIDRs/ });
	t.deepEqual(readdirSync(folder), []);
});

test('a requested address is given if it is free and in the range', async (t) => {
	const { add } = await start(makeFolder());
	t.deepEqual(await add('one', { wantedAddresses: ['10.244.1.5'] }), ['10.244.1.5 of 10.244.1.0/29']);
	await t.throwsAsync(add('two', { wantedAddresses: ['10.244.1.5'] }), { message: /10\.244\.1\.5 is taken/ });
	await t.throwsAsync(add('two', { wantedAddresses: ['10.244.1.1'] }), { message: /is not given by/ });
	await t.throwsAsync(add('two', { wantedAddresses: ['10.9.0.1'] }), { message: /is not given by/ });
	await t.throwsAsync(add('two', { wantedAddresses: ['ten'] }), { message: /ten/ });
	t.deepEqual(await add('one', { wantedAddresses: ['10.244.1.5'] }), ['10.244.1.5 of 10.244.1.0/29']);
	await t.throwsAsync(add('one', { wantedAddresses: ['10.244.1.6'] }), {
		message: 'ipv4: 10.244.1.5 is its address already, not 10.244.1.6',
	});
	t.deepEqual(await add('six', { wantedAddresses: ['fd00:1::9'] }), ['fd00:1::9 of fd00:1::/64'], 'of either family');
	await t.throwsAsync(add('both', { wantedAddresses: ['10.244.1.6', 'fd00:1::9'] }), {
		message: 'ipv6: fd00:1::9 is taken',
	});
	t.deepEqual(await add('both', { wantedAddresses: ['10.244.1.6'] }), ['10.244.1.6 of 10.244.1.0/29'], 'all or none');
	await t.throwsAsync(add('two', { ipv4Pools: ['pods'] }), { message: /no pools to choose/ });
});

test('GC releases the addresses of all attachments that are not listed as valid', async (t) => {
	const { add, collect } = await start(makeFolder());
	for (const container of ['one', 'two', 'three']) await add(container);
	t.deepEqual(await collect('two'), ['10.244.1.2', '10.244.1.4']);
	t.deepEqual(await add('two'), ['10.244.1.3 of 10.244.1.0/29']);
});

test('a node without ranges reports the missing ranges and that a retry may help', async (t) => {
	const { add, status } = await start(makeFolder(), []);
	await t.throwsAsync(add('one'), { message: /spec\.podCIDRs/ });
	await t.throwsAsync(status() as Promise<unknown>, { message: /spec\.podCIDRs/ });
});

test('an assigned address keeps its owner and can be released when ranges arrive late or are replaced', async (t) => {
	const cidrs: PrefixKey[] = [];
	const { add, remove, check, status } = await start(makeFolder(), cidrs);
	const both = { families: ['ipv4', 'ipv6'] as const, gateways: ['ipv4' as const] };
	await t.throwsAsync(add('one', both), { message: /no ipv4 range/ });
	cidrs.push(prefixKey('10.244.1.0/29'));
	t.deepEqual(await status(), { ready: true });
	await t.throwsAsync(add('one', both), { message: /no ipv6 range/ }, 'half of it is not enough');
	cidrs.push(prefixKey('fd00:1::/64'));
	t.deepEqual(await add('one', both), ['10.244.1.3 of 10.244.1.0/29 by 10.244.1.1', 'fd00:1::2 of fd00:1::/64']);
	cidrs.splice(0, 2, prefixKey('10.244.9.0/29'), prefixKey('fd00:9::/64'));
	t.deepEqual(
		await add('one', both),
		['10.244.1.3 of 10.244.1.3/32', 'fd00:1::2 of fd00:1::2/128'],
		'its range, and the gateway there, are another node’s by now',
	);
	await check('one', '10.244.1.3', 'fd00:1::2');
	t.deepEqual(await add('two', both), ['10.244.9.2 of 10.244.9.0/29 by 10.244.9.1', 'fd00:9::2 of fd00:9::/64']);
	t.deepEqual([...(await remove('one'))].sort(), ['10.244.1.3', 'fd00:1::2']);
	cidrs.splice(0, 2, prefixKey('10.244.1.0/29'), prefixKey('fd00:1::/64'));
	t.deepEqual(await add('three', both), ['10.244.1.4 of 10.244.1.0/29 by 10.244.1.1', 'fd00:1::3 of fd00:1::/64']);
});
