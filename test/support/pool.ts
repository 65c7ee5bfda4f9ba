import { prefixKey } from '../../src/core/index.ts';
import type { Pool } from '../../src/ipam/index.ts';

/** A pool with its defaults, with blocks of /26, except for the given members. */
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
