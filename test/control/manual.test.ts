import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { endpoints } from '../../src/control/index.ts';

const file = resolve(dirname(fileURLToPath(import.meta.url)), '../../../docs/reference/control-api.md');

test('the manual has every endpoint of the table', (t) => {
	const before = readFileSync(file, 'utf8');
	const rows = Object.values(endpoints).map(({ method, path, parameters, answer, description }) => {
		const given = Object.entries(parameters).map(([name, type]) => `\`${name}\` (${type})`);
		return `| \`${method} ${path}\` | ${given.join(', ')} | ${description}${answer === 'stream' ? ' (a stream)' : ''} |\n`;
	});
	const start = before.indexOf('## Endpoints');
	const end = before.indexOf('\n## ', start + 1);
	const now = `${before.slice(0, start)}## Endpoints\n\n| endpoint | parameters | |\n|---|---|---|\n${rows.join('')}${before.slice(end)}`;
	if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, now);
	t.is(readFileSync(file, 'utf8'), now);
});
