import { execFileSync } from 'node:child_process';
import test from 'ava';
import {
	concatenate,
	interfaceKey,
	loadByNft,
	loadRuleset,
	NfTables,
	NfTablesError,
	portKey,
	RulesetError,
	type SetElement,
	systemEnvironment,
} from '../../../src/linux/index.ts';
import { enterNewNamespace, noNamespaces } from '../../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: nf_tables of the kernel: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const nft = (...words: string[]): string => execFileSync('nft', words, { encoding: 'utf8', env: systemEnvironment() });
const ipv4 = (...octets: number[]) => Uint8Array.from(octets);
const inTable = { family: 'inet', table: 'edge' } as const;
const hex = ({ key, intervalEnd, keyEnd, data }: SetElement): string =>
	[
		Buffer.from(key).toString('hex'),
		intervalEnd === true ? 'end' : '',
		keyEnd === undefined ? '' : `..${Buffer.from(keyEnd).toString('hex')}`,
		data === undefined ? '' : data instanceof Uint8Array ? Buffer.from(data).toString('hex') : JSON.stringify(data),
	]
		.filter((part) => part !== '')
		.join(' ');

const base = `
table inet edge {
	set addresses { type ipv4_addr; }
	set nets { type ipv4_addr; flags interval; }
	set wide { type ipv4_addr . inet_service; flags interval; }
	set ports { type ipv4_addr . inet_proto . inet_service; }
	set aging { type ipv4_addr; flags timeout; }
	map dispatch { type ifname : verdict; }
	map backends { type ipv4_addr . inet_service : ipv4_addr . inet_service; }
	counter hits { }
	chain pod { counter accept; drop; }
	chain empty { }
	chain base { type filter hook forward priority 0; ip saddr @addresses counter name hits; }
}
`;

for (const [loader, load] of [
	['libnftables', loadRuleset],
	['the nft command', loadByNft],
] as const) {
	namespaceTest(`a ruleset is loaded by ${loader}, and a refused one changes nothing`, async (t) => {
		enterNewNamespace();
		await load(base);
		const tables = new NfTables();
		t.deepEqual(await tables.tables('inet'), ['edge']);
		t.deepEqual((await tables.chains('inet', 'edge')).sort(), ['base', 'empty', 'pod']);
		t.deepEqual([...(await tables.ruleCounts('inet', 'edge'))].sort(), [
			['base', 1],
			['pod', 2],
		]);
		t.deepEqual(await tables.chains('inet', 'missing'), []);
		t.deepEqual(await tables.sets('inet', 'missing'), []);
		const error = await t.throwsAsync(load('add chain inet edge more\nadd rule inet edge more jump nowhere\n'));
		t.true(error instanceof RulesetError);
		t.regex(error?.message ?? '', /Error: .*No such file/);
		t.false((await tables.chains('inet', 'edge')).includes('more'));
		tables.close();
	});
}

const rows: readonly {
	readonly set: string;
	readonly title: string;
	readonly elements: readonly SetElement[];
	readonly text: RegExp;
}[] = [
	{
		set: 'addresses',
		title: 'addresses',
		elements: [{ key: ipv4(10, 0, 0, 1) }, { key: ipv4(10, 0, 0, 2) }],
		text: /10\.0\.0\.1, 10\.0\.0\.2|10\.0\.0\.2, 10\.0\.0\.1/,
	},
	{
		set: 'nets',
		title: 'intervals of one field',
		elements: [{ key: ipv4(10, 1, 0, 0) }, { key: ipv4(10, 2, 0, 0), intervalEnd: true }],
		text: /10\.1\.0\.0\/16/,
	},
	{
		set: 'wide',
		title: 'intervals of concatenated fields',
		elements: [
			{
				key: concatenate(ipv4(10, 1, 0, 0), portKey(80)),
				keyEnd: concatenate(ipv4(10, 1, 255, 255), portKey(90)),
			},
		],
		text: /10\.1\.0\.0\/16 \. 80-90/,
	},
	{
		set: 'ports',
		title: 'concatenations',
		elements: [{ key: concatenate(ipv4(10, 1, 0, 9), Uint8Array.of(6), portKey(8080)) }],
		text: /10\.1\.0\.9 \. tcp \. 8080/,
	},
	{
		set: 'dispatch',
		title: 'verdicts',
		elements: [
			{ key: interfaceKey('cali1'), data: { type: 'goto', chain: 'pod' } },
			{ key: interfaceKey('cali2'), data: { type: 'drop' } },
		],
		text: /"cali1" : goto pod/,
	},
	{
		set: 'backends',
		title: 'data',
		elements: [
			{
				key: concatenate(ipv4(10, 96, 0, 1), portKey(80)),
				data: concatenate(ipv4(10, 1, 0, 9), portKey(8080)),
			},
		],
		text: /10\.96\.0\.1 \. 80 : 10\.1\.0\.9 \. 8080/,
	},
];

for (const { set, title, elements, text } of rows) {
	namespaceTest(`elements with ${title} are added, read back as they were written, and removed`, async (t) => {
		enterNewNamespace();
		await loadRuleset(base);
		const tables = new NfTables();
		await tables.transaction([{ ...inTable, verb: 'add', set, elements }]);
		t.regex(nft('list', 'table', 'inet', 'edge').replaceAll(/\s+/g, ' '), text);
		t.deepEqual((await tables.elements('inet', 'edge', set)).map(hex).sort(), elements.map(hex).sort());
		await tables.transaction([{ ...inTable, verb: 'remove', set, elements }]);
		t.deepEqual(await tables.elements('inet', 'edge', set), []);
		tables.close();
	});
}

namespaceTest('an element with a timeout expires automatically; its remaining time is read', async (t) => {
	enterNewNamespace();
	await loadRuleset(base);
	const tables = new NfTables();
	await tables.transaction([
		{ ...inTable, verb: 'add', set: 'aging', elements: [{ key: ipv4(10, 0, 0, 1), timeoutMs: 60_000 }] },
	]);
	const [element] = await tables.elements('inet', 'edge', 'aging');
	t.is(element?.timeoutMs, 60_000);
	t.true((element?.expirationMs ?? 0) > 0 && (element?.expirationMs ?? 0) <= 60_000);
	tables.close();
});

namespaceTest('a refused transaction names the element and changes nothing', async (t) => {
	enterNewNamespace();
	await loadRuleset(base);
	const tables = new NfTables();
	const many = Array.from({ length: 3000 }, (_, index) => ({ key: ipv4(10, 9, index >> 8, index & 0xff) }));
	await tables.transaction([{ ...inTable, verb: 'add', set: 'addresses', elements: many.slice(0, 2500) }]);
	// The last of many elements does not exist, and is in the second message of the change.
	const error = await t.throwsAsync(
		tables.transaction([
			{ ...inTable, verb: 'add', set: 'dispatch', elements: [{ key: interfaceKey('cali1'), data: { type: 'drop' } }] },
			{ ...inTable, verb: 'remove', set: 'addresses', elements: [...many.slice(0, 2400), { key: ipv4(192, 0, 2, 1) }] },
		]),
	);
	t.true(error instanceof NfTablesError);
	t.deepEqual(error instanceof NfTablesError && error.element, { key: ipv4(192, 0, 2, 1) });
	t.regex(error?.message ?? '', /remove element c0000201 from inet edge addresses: .*ENOENT/);
	t.is((await tables.elements('inet', 'edge', 'addresses')).length, 2500);
	t.deepEqual(await tables.elements('inet', 'edge', 'dispatch'), []);
	tables.close();
});

namespaceTest('a transaction for an older ruleset is refused', async (t) => {
	enterNewNamespace();
	await loadRuleset(base);
	const tables = new NfTables();
	const generation = await tables.generation();
	const change = { ...inTable, verb: 'add', set: 'addresses', elements: [{ key: ipv4(10, 0, 0, 1) }] } as const;
	await tables.transaction([change], { generation });
	t.true((await tables.generation()) > generation);
	const error = await t.throwsAsync(tables.transaction([change], { generation }));
	t.true(error instanceof NfTablesError && error.stale);
	tables.close();
});

namespaceTest('sets, maps and counters of a table are listed with their kind', async (t) => {
	enterNewNamespace();
	await loadRuleset(base);
	const tables = new NfTables();
	const sets = new Map((await tables.sets('inet', 'edge')).map((set) => [set.name, set]));
	t.deepEqual([...sets.keys()].sort(), ['addresses', 'aging', 'backends', 'dispatch', 'nets', 'ports', 'wide']);
	t.like(sets.get('nets'), { interval: true, map: false, keyLengthBytes: 4 });
	t.like(sets.get('dispatch'), { interval: false, map: true, keyLengthBytes: 16 });
	t.deepEqual(await tables.counters('inet', 'edge'), [{ name: 'hits', packets: 0, bytes: 0 }]);
	tables.close();
});
