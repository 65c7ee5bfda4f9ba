import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { problems, problemsManual, settingsManual } from '../../src/health/index.ts';

const docs = resolve(dirname(fileURLToPath(import.meta.url)), '../../../docs');
const file = join(docs, 'reference/health.md');

test('the manual has every problem and every kernel setting of the code', (t) => {
	const before = readFileSync(file, 'utf8');
	const settings = before.indexOf('## Kernel settings');
	const table = before.indexOf('| setting |');
	const text = before.slice(settings, table === -1 ? undefined : table).trimEnd();
	const now = `${before.slice(0, before.indexOf('## Problems'))}## Problems\n\n${problemsManual()}\n\n${text}\n\n${settingsManual()}\n`;
	if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, now);
	t.is(readFileSync(file, 'utf8'), now);
});

for (const [id, { text, remedy, docs: page }] of Object.entries(problems)) {
	test(`${id} has a sentence, a remedy and a page`, (t) => {
		t.regex(text, /^[A-Z].*\.$/);
		t.true(remedy.length > 10);
		t.true(existsSync(join(docs, page)), page);
	});
}
