import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { abandonedGroups, removeGroup } from '../../../lab/kubernetes/cgroups.ts';

test('groups of runs whose process has ended are abandoned, others are left alone', (t) => {
	const names = ['bgpmesh-7-node-a', 'bgpmesh-8-node-a', 'bgpmesh-7-node-b', 'bgpmesh-x', 'system.slice', 'cpu.max'];
	t.deepEqual(
		abandonedGroups(names, (pid) => pid === 8),
		['bgpmesh-7-node-a', 'bgpmesh-7-node-b'],
	);
});

test('a group is removed with all below it, unless one of them is in use', (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-groups-'));
	t.teardown(() => rmSync(folder, { recursive: true }));
	const group = join(folder, 'node');
	mkdirSync(join(group, 'kubepods/pod1'), { recursive: true });
	mkdirSync(join(group, 'kubepods/pod2'));
	// A folder with a file cannot be removed, as a group with a process.
	writeFileSync(join(group, 'kubepods/pod2/process'), '');
	t.false(removeGroup(group));
	t.false(existsSync(join(group, 'kubepods/pod1')));
	rmSync(join(group, 'kubepods/pod2/process'));
	t.true(removeGroup(group));
	t.false(existsSync(group));
	t.true(removeGroup(group));
});
