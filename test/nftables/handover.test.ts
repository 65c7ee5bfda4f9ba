import { execFileSync } from 'node:child_process';
import test from 'ava';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { HandoverTable, handoverTables } from '../../src/nftables/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { enterNewNamespace, noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: handed over connections in the kernel: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const listing = (family: 'ip' | 'ip6', set: string): string =>
	execFileSync(
		'nft',
		['list', family === 'ip' ? 'set' : 'map', family, handoverTables[family === 'ip' ? 'ipv4' : 'ipv6'], set],
		{
			encoding: 'utf8',
			env: systemEnvironment(),
		},
	);

namespaceTest(
	'windows are written with a time-out, renewed, and made again when others flush the tables',
	async (t) => {
		enterNewNamespace();
		const web = { family: 'ipv4', address: '198.51.100.10', port: 80 } as const;
		const web6 = { family: 'ipv6', address: '2001:db8:f::10', port: 80 } as const;
		const clock = new FakeClock();
		const table = new HandoverTable({ load: loadRuleset, clock });
		await table.keep([]);
		t.false(
			execFileSync('nft', ['list', 'tables'], { encoding: 'utf8', env: systemEnvironment() }).includes('handover'),
		);
		await table.keep([web, web6]);
		await table.open([{ ...web, peers: ['10.0.1.12', '10.0.1.13'] }], 20);
		await table.open([{ ...web6, peers: ['2001:db8::12'] }], 40);
		t.regex(listing('ip', 'local'), /198\.51\.100\.10 \. 80/);
		t.regex(listing('ip', 'window'), /198\.51\.100\.10 \. 80 timeout 20s/);
		t.regex(listing('ip6', 'peer-0'), /2001:db8:f::10 \. 80 timeout 40s expires .* : 2001:db8::12/);
		t.deepEqual(
			table.windows.map(({ address, peers, secondsLeft }) => [address, peers, secondsLeft]),
			[
				[web.address, ['10.0.1.12', '10.0.1.13'], 20],
				[web6.address, ['2001:db8::12'], 40],
			],
		);
		t.deepEqual(await table.packets(), { given: 0, unknown: 0 });
		// Open once more, for longer, and with another peer in the same place; the other window goes on.
		clock.advance(5_000);
		await table.open([{ ...web, peers: ['10.0.1.13'] }], 3600);
		t.regex(listing('ip', 'window'), /198\.51\.100\.10 \. 80 timeout 1h/);
		t.regex(listing('ip6', 'peer-0'), /2001:db8:f::10 \. 80 timeout 35s/);
		// Others flush the tables: the next write makes them again, with what is open.
		execFileSync('nft', ['flush', 'ruleset'], { env: systemEnvironment() });
		await table.keep([web]);
		t.regex(listing('ip', 'window'), /198\.51\.100\.10 \. 80 timeout 1h/);
		t.regex(listing('ip', 'local'), /198\.51\.100\.10 \. 80/);
		clock.advance(36_000);
		t.deepEqual(
			table.windows.map(({ address }) => address),
			[web.address],
			'a window that has ended is not listed',
		);
	},
);
