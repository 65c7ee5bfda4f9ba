import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const mostLines = 430;

/**
 * The rooms that a room may import, besides itself. `daemon` may import all; no room imports
 * `daemon`.
 */
const arrows: Readonly<Record<string, readonly string[]>> = {
	core: [],
	linux: ['core'],
	schema: ['core'],
	bgp: ['core', 'linux', 'schema', 'bgp-packet'],
	fib: ['core', 'linux'],
	health: ['core'],
	encapsulation: ['core', 'linux'],
	ipip: ['core', 'linux', 'encapsulation'],
	vxlan: ['core', 'linux', 'encapsulation'],
	'tunnel-probe': ['core', 'linux'],
	pods: ['core', 'linux'],
	ipam: ['core'],
	services: ['core', 'json'],
	json: [],
	selector: [],
	policy: ['core', 'json', 'selector'],
	nftables: ['core', 'linux', 'policy', 'services'],
	ebpf: ['core', 'linux', 'policy', 'services'],
	kubernetes: ['core', 'json', 'ipam', 'bgp', 'policy', 'selector'],
	apiserver: ['core', 'json'],
	node: ['core', 'json', 'selector', 'ipam', 'encapsulation', 'kubernetes', 'pods', 'control'],
	config: ['core', 'schema', 'bgp'],
	control: ['core'],
	cli: ['control', 'core', 'config'],
	cni: ['control'],
	daemon: [
		'core',
		'linux',
		'json',
		'bgp',
		'bgp-packet',
		'fib',
		'encapsulation',
		'ipip',
		'pods',
		'vxlan',
		'tunnel-probe',
		'ipam',
		'services',
		'health',
		'policy',
		'nftables',
		'ebpf',
		'selector',
		'kubernetes',
		'apiserver',
		'node',
		'config',
		'control',
		'cli',
		'cni',
	],
};

/**
 * Floors inside `src/bgp`, lowest first: a file imports its own floor and those below. `fsm` and
 * `session` are beside the tables: sessions reach routes only through types in `model`.
 */
const bgpFloors: Readonly<Record<string, readonly string[]>> = {
	model: [],
	policy: ['model'],
	table: ['model', 'policy'],
	'update-group': ['model', 'policy', 'table'],
	rib: ['model', 'policy', 'table', 'update-group'],
	fsm: ['model'],
	session: ['model', 'fsm'],
	speaker: ['model', 'fsm', 'session'],
};

const sources = (folder: string): string[] =>
	readdirSync(folder, { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.ts'))
		.map((file) => join(folder, file));

/** The relative imports of a file as paths, the packages as names. */
function importsOf(file: string): string[] {
	const text = readFileSync(file, 'utf8');
	return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name = '']) =>
		name.startsWith('.') ? resolve(dirname(file), name) : name,
	);
}

const roomOf = (path: string): string => relative(join(root, 'src'), path).split(sep)[0] ?? '';

for (const [room, allowed] of Object.entries(arrows)) {
	test(`src/${room} enters only ${allowed.join(', ') || 'itself'}`, (t) => {
		const wrong = sources(join(root, 'src', room)).flatMap((file) =>
			importsOf(file)
				.map((target) => ({ target, into: target.startsWith('/') ? roomOf(target) : target }))
				.filter(
					({ target, into }) =>
						(target.startsWith('/') || target === 'bgp-packet') && into !== room && !allowed.includes(into),
				)
				.map(({ into }) => `${relative(root, file)} enters ${into}`),
		);
		t.deepEqual(wrong, []);
	});
}

for (const [floor, allowed] of Object.entries(bgpFloors)) {
	test(`src/bgp/${floor} imports only ${allowed.join(', ') || 'itself'}`, (t) => {
		const bgp = join(root, 'src/bgp');
		const wrong = sources(join(bgp, floor)).flatMap((file) =>
			importsOf(file)
				.filter((target) => target.startsWith(`${bgp}${sep}`))
				.filter((target) => ![floor, ...allowed].includes(relative(bgp, target).split(sep)[0] ?? ''))
				.map((target) => `${relative(root, file)} imports ${relative(root, target)}`),
		);
		t.deepEqual(wrong, []);
	});
}

test('every folder of src/bgp is a floor, and only the door is beside them', (t) => {
	t.deepEqual(readdirSync(join(root, 'src/bgp')).sort(), [...Object.keys(bgpFloors), 'index.ts'].sort());
});

test('every room has its arrows listed', (t) => {
	t.deepEqual(readdirSync(join(root, 'src')).sort(), Object.keys(arrows).sort());
});

test('outsiders enter a room by its door', (t) => {
	const wrong = sources(join(root, 'src')).flatMap((file) =>
		importsOf(file)
			.filter(
				(target) =>
					target.startsWith(join(root, 'src')) && roomOf(target) !== roomOf(file) && !target.endsWith(`${sep}index.ts`),
			)
			.map((target) => `${relative(root, file)} imports ${relative(root, target)}`),
	);
	t.deepEqual(wrong, []);
});

test('bgp-packet imports only itself', (t) => {
	const wrong = sources(join(root, 'packages/bgp-packet/src')).flatMap((file) =>
		importsOf(file).filter((target) => !target.startsWith(join(root, 'packages/bgp-packet/src'))),
	);
	t.deepEqual(wrong, []);
});

/**
 * Tests of the benchmark's own code; every other test has its tools in test/support, or shares them
 * with bench in lab.
 */
const testsOfBench = ['test/bench/', 'test/services/table.test.ts', 'test/nftables/services-table.test.ts'];

/** Views of an owner, what all handlers of requests share, and a record of a logged message. */
const notDependencies = new Set(['Api', 'Count', 'PeerHost', 'SessionHost']);

test('the collaborators of a constructor are its dependencies, by type and by name', (t) => {
	const wrong = ['src', 'lab', 'bench'].flatMap((folder) =>
		sources(join(root, folder)).flatMap((file) => {
			const text = readFileSync(file, 'utf8');
			const types = [...text.matchAll(/^(?:export )?interface (\w+)[^{]*\{\n(.*?)^\}/gms)]
				.filter(([, , body = '']) => /^\treadonly (?:log: Logger|clock: Clock|random: Random);/m.test(body))
				.map(([, name = '']) => name)
				.filter((name) => !name.endsWith('Dependencies') && !notDependencies.has(name));
			const parameters = [...text.matchAll(/constructor\(([^)]*)\)/g)]
				.flatMap(([, list = '']) => [...list.matchAll(/(\w+): \w+Dependencies\b/g)])
				.map(([parameter, name]) => (name === 'dependencies' ? undefined : parameter))
				.filter((parameter) => parameter !== undefined);
			return [...types, ...parameters].map((name) => `${relative(root, file)}: ${name}`);
		}),
	);
	t.deepEqual(wrong, []);
});

test('only tests of bench import bench; lab imports neither', (t) => {
	const into = (folder: string, target: string) => target.startsWith(join(root, folder) + sep);
	const wrong = [...sources(join(root, 'test')), ...sources(join(root, 'lab'))].flatMap((file) => {
		const name = relative(root, file);
		return importsOf(file)
			.filter(
				(target) =>
					(into('bench', target) && !testsOfBench.some((tested) => name.startsWith(tested))) ||
					(into('test', target) && name.startsWith('lab/')),
			)
			.map((target) => `${name} imports ${relative(root, target)}`);
	});
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
