import { prefixKey } from '../../src/core/index.ts';
import type { Pool } from '../../src/ipam/index.ts';

/** A pool as its defaults make it, with blocks of /26, but for what a test is about. */
export const testPool = (overrides: Partial<Pool> = {}): Pool => ({
	name: 'pods',
	cidr: prefixKey('10.0.0.0/24'),
	family: 'ipv4',
	blockSize: 26,
	disabled: false,
	nodeSelector: 'all()',
	namespaceSelector: '',
	allowedUses: ['Workload', 'Tunnel'],
	assignmentMode: 'Automatic',
	terminating: false,
	...overrides,
});
