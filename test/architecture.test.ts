import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const mostLines = 350;

/** Which rooms a room may enter, itself aside. `daemon` may enter all; nobody enters `daemon`. */
const arrows: Readonly<Record<string, readonly string[]>> = {
	core: [],
	linux: ['core'],
	bgp: ['core', 'linux', 'bgp-packet'],
	fib: ['core', 'linux'],
	ipip: ['core', 'linux'],
	ipam: ['core'],
	kubernetes: ['core', 'ipam', 'bgp'],
	config: ['core', 'bgp'],
	control: ['core'],
	cli: ['control', 'core', 'config'],
	cni: ['control'],
	daemon: ['core', 'linux', 'bgp', 'bgp-packet', 'fib', 'ipip', 'ipam', 'kubernetes', 'config', 'control', 'cli', 'cni'],
};

const sources = (folder: string): string[] =>
	readdirSync(folder, { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.ts'))
		.map((file) => join(folder, file));

/** The relative imports of a file as paths, the packages as names. */
function importsOf(file: string): string[] {
	const text = readFileSync(file, 'utf8');
	return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name = '']) => (name.startsWith('.') ? resolve(dirname(file), name) : name));
}

const roomOf = (path: string): string => relative(join(root, 'src'), path).split(sep)[0] ?? '';

for (const [room, allowed] of Object.entries(arrows)) {
	test(`src/${room} enters only ${allowed.join(', ') || 'itself'}`, (t) => {
		const wrong = sources(join(root, 'src', room)).flatMap((file) =>
			importsOf(file)
				.map((target) => ({ target, into: target.startsWith('/') ? roomOf(target) : target }))
				.filter(({ target, into }) => (target.startsWith('/') || target === 'bgp-packet') && into !== room && !allowed.includes(into))
				.map(({ into }) => `${relative(root, file)} enters ${into}`),
		);
		t.deepEqual(wrong, []);
	});
}

test('every room has its arrows listed', (t) => {
	t.deepEqual(readdirSync(join(root, 'src')).sort(), Object.keys(arrows).sort());
});

test('outsiders enter a room by its door', (t) => {
	const wrong = sources(join(root, 'src')).flatMap((file) =>
		importsOf(file)
			.filter((target) => target.startsWith(join(root, 'src')) && roomOf(target) !== roomOf(file) && !target.endsWith(`${sep}index.ts`))
			.map((target) => `${relative(root, file)} imports ${relative(root, target)}`),
	);
	t.deepEqual(wrong, []);
});

test('bgp-packet imports nothing but itself', (t) => {
	const wrong = sources(join(root, 'packages/bgp-packet/src')).flatMap((file) =>
		importsOf(file).filter((target) => !target.startsWith(join(root, 'packages/bgp-packet/src'))),
	);
	t.deepEqual(wrong, []);
});

test(`no source file is longer than ${mostLines} lines`, (t) => {
	const long = ['src', 'lab', 'bench', 'packages/bgp-packet/src']
		.filter((folder) => existsSync(join(root, folder)))
		.flatMap((folder) => sources(join(root, folder)))
		.map((file) => ({ file: relative(root, file), lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
		.filter(({ lines }) => lines > mostLines);
	t.deepEqual(long, []);
});
