import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { systemEnvironment } from '../../src/linux/index.ts';

/** A BPF file system until the end of the test; its mount point. */
export function mountBpffs(t: Pick<ExecutionContext, 'teardown'>): string {
	const mount = mkdtempSync(join(tmpdir(), 'bgpmesh-bpffs-'));
	execFileSync('mount', ['-t', 'bpf', 'bpf', mount], { env: systemEnvironment() });
	t.teardown(() => {
		execFileSync('umount', [mount], { env: systemEnvironment() });
		rmdirSync(mount);
	});
	return mount;
}

/** A directory for pins in such a file system; it does not exist yet. */
export const pinDirectory = (t: Pick<ExecutionContext, 'teardown'>): string => join(mountBpffs(t), 'bgpmesh');
