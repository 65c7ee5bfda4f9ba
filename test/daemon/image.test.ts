import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const lines = readFileSync(join(root, 'Dockerfile'), 'utf8').split('\n');

test('what the image copies is in the repository, or made by its build', (t) => {
	const copied = lines.flatMap((line) => {
		const fromBuild = /^COPY --from=build \/opt\/bgpmesh\/(\S+) /.exec(line)?.[1];
		const fromHere = /^COPY ((?!--|\. )\S+(?: \S+)*) \S+$/.exec(line)?.[1]?.split(' ') ?? [];
		return [...(fromBuild === undefined ? [] : [fromBuild]), ...fromHere];
	});
	t.true(copied.length >= 6, copied.join(' '));
	for (const path of copied) t.true(path === 'node_modules' || existsSync(join(root, path)), path);
});

test('every command of the package is in the image', (t) => {
	const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: Record<string, string> };
	const linked = lines.find((line) => line.includes('ln -s')) ?? '';
	for (const [name, file] of Object.entries(bin)) {
		t.is(file, `bin/${name}.js`);
		t.regex(linked, new RegExp(`\\b${name}\\b`));
	}
});

test('a container that is stopped leaves as for a restart', (t) => {
	t.deepEqual(
		lines.filter((line) => line.startsWith('STOPSIGNAL ')),
		['STOPSIGNAL SIGUSR2'],
	);
});

test('the image runs the newest release of Node.js with long-term support that the package allows', (t) => {
	const from = lines.filter((line) => line.startsWith('FROM '));
	t.deepEqual(new Set(from.map((line) => line.split(' ')[1])), new Set(['node:24-bookworm-slim']));
});
