import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { verbs } from '../../src/cli/verbs/index.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const pages = [
	...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'packages/bgp-packet/README.md'],
	...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.md'))
		.map((file) => join('docs', file)),
];

for (const page of pages) {
	test(`every link of ${page} leads to a file of the repository`, (t) => {
		const text = readFileSync(join(root, page), 'utf8').replaceAll(/```[\s\S]*?```/g, '');
		const broken = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
			.map(([, target = '']) => target)
			.filter((target) => !/^[a-z]+:/.test(target) && !existsSync(resolve(root, dirname(page), target)));
		t.deepEqual(broken, []);
	});
}

test('the index of the documentation has every page', (t) => {
	const index = readFileSync(join(root, 'docs/README.md'), 'utf8');
	const missing = pages
		.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')
		.map((page) => relative('docs', page))
		.filter((page) => !index.includes(`](${page})`));
	t.deepEqual(missing, []);
});

test('the reference of commands has every verb of the table', (t) => {
	const file = join(root, 'docs/reference/bgpmesh.md');
	const rows = verbs.map(({ command, describe, examples }) => {
		const shown = examples.map(([example]) => `\`${example.replace('$0', 'bgpmesh')}\``).join('<br>');
		return `| \`${command}\` | ${describe} | ${shown} |\n`.replaceAll('|json', '\\|json');
	});
	const before = readFileSync(file, 'utf8');
	const start = before.indexOf('## Every verb');
	const text = before.slice(0, start === -1 ? undefined : start).trimEnd();
	const now = `${text}\n\n## Every verb\n\nGenerated from the table of verbs.\n\n| verb | | examples |\n| --- | --- | --- |\n${rows.join('')}`;
	if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, now);
	t.is(readFileSync(file, 'utf8'), now);
});

test('the workflow of the forge runs lint, unit suites and packaging on each supported Node.js, and the whole suite', (t) => {
	const workflow = readFileSync(join(root, '.github/workflows/ci.yml'), 'utf8');
	t.regex(workflow, /node: \["20", "22", "24", "node"\]/);
	for (const command of ['npm run lint', 'npm test -- --unit', 'test/scripts/packaging.test.ts', '.ci/run'])
		t.true(workflow.includes(command), command);
});

test('every path in the table of things to add exists in the repository', (t) => {
	const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
	const table = text.slice(text.indexOf('## To add a thing'), text.indexOf('## Departures'));
	const paths = [...table.matchAll(/`((?:src|packages|scripts)\/[^`]+)`/g)].map(([, path = '']) => path);
	t.true(paths.length >= 12);
	t.deepEqual(
		paths.filter((path) => !existsSync(join(root, path))),
		[],
	);
});
