import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';

/** Folders that only a node in a cluster, or with data planes, uses. */
const ofClusters = ['ebpf', 'ipam', 'kubernetes', 'nftables', 'node', 'pods', 'policy', 'services'];

/** The files that a start loads: static imports of values, from the door of the daemon on. */
function loaded(start: string): ReadonlySet<string> {
	const found = new Set<string>();
	const waiting = [start];
	for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
		if (found.has(file)) continue;
		found.add(file);
		const text = readFileSync(file, 'utf8');
		for (const [, names = '', target = ''] of text.matchAll(/^(?:import|export) ([^;]*?)from '(\.[^']+)';/gms)) {
			const values = names
				.replace(/[{}\s]/g, ' ')
				.split(',')
				.filter((name) => name.trim() !== '');
			const isType = names.startsWith('type ') || values.every((name) => /^\s*type /.test(name));
			if (!isType) waiting.push(join(dirname(file), target));
		}
	}
	return found;
}

test('a start without a cluster loads no code of clusters, policies and Services', (t) => {
	const files = [...loaded('src/daemon/index.ts')].map((file) => relative('src', file));
	t.true(files.includes('daemon/compose.ts') && files.includes('bgp/rib/engine.ts'));
	t.deepEqual(
		files.filter((file) => ofClusters.some((folder) => file.startsWith(`${folder}/`))),
		[],
	);
});
