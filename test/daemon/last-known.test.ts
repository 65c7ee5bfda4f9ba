import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { silentLogger } from '../../src/core/index.ts';
import {
	LastKnownWriter,
	lastKnownFile,
	namedSecrets,
	readLastKnown,
	writeLastKnown,
} from '../../src/node/last-known.ts';
import { FakeClock } from '../fakes/clock.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'bgpmesh-last-known-'));
const layout = 'crd.projectcalico.org/v1';
const known = {
	layout,
	objects: {
		nodes: [{ metadata: { name: 'a', resourceVersion: '9007199254740993' }, number: 9007199254740993n }],
		claims: [],
	},
} as const;

test('a written state is read back with all digits, and no temporary file is left', async (t) => {
	const file = join(folder(), 'state', 'x.json');
	await writeLastKnown(file, 'a', 'https://s', known);
	t.deepEqual(await readLastKnown(file, 'a', 'https://s', silentLogger), known);
	t.deepEqual(readdirSync(join(file, '..')), ['x.json']);
});

const useless = [
	{ title: 'of another node', node: 'b', server: 'https://s', text: undefined },
	{ title: 'of another server', node: 'a', server: 'https://t', text: undefined },
	{ title: 'truncated', node: 'a', server: 'https://s', text: '{"version":1,"node":"a"' },
	{
		title: 'of another version',
		node: 'a',
		server: 'https://s',
		text: `{"version":2,"node":"a","server":"https://s","layout":"${layout}","objects":{}}`,
	},
	{
		title: 'of an unknown layout',
		node: 'a',
		server: 'https://s',
		text: '{"version":1,"node":"a","server":"https://s","layout":"v9","objects":{}}',
	},
] as const;
for (const { title, node, server, text } of useless) {
	test(`a file ${title} is not used`, async (t) => {
		const file = join(folder(), 'x.json');
		if (text === undefined) await writeLastKnown(file, 'a', 'https://s', known);
		else writeFileSync(file, text);
		t.is(await readLastKnown(file, node, server, silentLogger), undefined);
	});
}

test('without a folder there is no file', (t) => {
	t.is(lastKnownFile(undefined, 'a'), undefined);
	t.is(lastKnownFile('/var/lib/bgpmesh', 'a'), '/var/lib/bgpmesh/last-known-a.json');
});

test('only Secrets that a resource references are kept', (t) => {
	const secret = (name: string) => ({ metadata: { name }, data: {} });
	const peer = { spec: { password: { secretKeyRef: { name: 'one', key: 'k' } } } };
	const mesh = { spec: { nodeMeshPassword: { secretKeyRef: { name: 'two', key: 'k' } } } };
	const kept = namedSecrets(['one', 'two', 'other'].map(secret), [peer, mesh, {}]);
	t.deepEqual(
		kept.map(({ metadata }) => metadata),
		[{ name: 'one' }, { name: 'two' }],
	);
});

test('changes are written together, the last ones at the end, and a disk error is logged once', async (t) => {
	const clock = new FakeClock();
	const said: string[] = [];
	let [writes, refuses] = [0, false];
	const write = async () => {
		writes++;
		if (refuses) throw new Error('no space');
	};
	const writer = new LastKnownWriter(write, clock, { ...silentLogger, warn: (text: string) => void said.push(text) });
	for (let index = 0; index < 5; index++) writer.changed();
	t.is(writes, 0);
	clock.advance(2000);
	await writer.stop();
	t.is(writes, 1);
	refuses = true;
	for (let index = 0; index < 2; index++) {
		writer.changed();
		await writer.stop();
	}
	t.is(writes, 3);
	t.is(said.length, 1);
});
