import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

// The claims of the table "To add a thing" in docs/architecture.md that the code can be asked for.
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

const sources = (folder: string): { readonly file: string; readonly text: string }[] =>
	readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.ts'))
		.map((file) => ({ file: join(folder, file), text: readFileSync(join(root, folder, file), 'utf8') }));

/** Options that only the table and the code that uses them have to name. */
const plainOptions = [
	...['noPrependInbound', 'replaceOwnAs', 'sendHoldSeconds', 'connectRetrySeconds', 'secondBestPath'],
	...['routeServerClient', 'gracefulShutdown', 'nextHopMode', 'allowOwnAs', 'removePrivateAs', 'enforceFirstAs'],
	...['strictRole', 'extendedNextHop'],
];

for (const option of plainOptions) {
	test(`the option ${option} is in its table and in no file of configuration, daemon, control or commands`, (t) => {
		const word = new RegExp(`\\b${option}\\b`);
		const named = ['src/config', 'src/daemon', 'src/control', 'src/cli', 'src/node']
			.flatMap(sources)
			.filter(({ text }) => word.test(text))
			.map(({ file }) => file);
		t.deepEqual(named, []);
		t.regex(readFileSync(join(root, 'src/bgp/model/peer-option-table.ts'), 'utf8'), new RegExp(`^\\t${option}: `, 'm'));
	});
}

test('every codec of an attribute is a row of the table, and its code a constant', (t) => {
	const folder = 'packages/bgp-packet/src/attributes';
	const table = readFileSync(join(root, folder, 'table.ts'), 'utf8');
	const rows = table.slice(table.indexOf('attributeCodecs = ['), table.indexOf('] as const'));
	const constants = readFileSync(join(root, 'packages/bgp-packet/src/constants.ts'), 'utf8');
	const codecs = sources(folder).flatMap(({ text }) =>
		[...text.matchAll(/export const (\w+): AttributeCodec</g)].map(([, name = '']) => name),
	);
	t.true(codecs.length >= 16);
	t.deepEqual(
		codecs.filter((name) => !rows.includes(`\t${name},\n`) || !new RegExp(`\\t${name}: \\d+`).test(constants)),
		[],
	);
});

test('every metric is a row in src/daemon/metrics', (t) => {
	const elsewhere = sources('src')
		.filter(({ file }) => !file.startsWith('src/daemon/metrics/'))
		.filter(({ text }) => /name: 'bgpmesh_\w+'/.test(text))
		.map(({ file }) => file);
	t.deepEqual(elsewhere, []);
});

test('every file of a verb is imported by the index of verbs', (t) => {
	const index = readFileSync(join(root, 'src/cli/verbs/index.ts'), 'utf8');
	const missing = sources('src/cli/verbs')
		.map(({ file }) => relative('src/cli/verbs', file))
		.filter((file) => file !== 'index.ts' && !index.includes(`'./${file}'`));
	t.deepEqual(missing, []);
});
