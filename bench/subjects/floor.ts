import { compile } from '../compile.ts';
import type { Subject } from '../types.ts';

/**
 * The null reflector. With a fault it falsifies every n-th UPDATE; the generator must detect it.
 */
export function nullReflector(fault?: {
	readonly kind: 'drop' | 'attribute' | 'originator' | 'prefix' | 'withdrawn';
	readonly every: number;
}): Subject {
	return {
		name: 'floor',
		missing() {
			try {
				compile('floor');
				return undefined;
			} catch (error) {
				return String(error);
			}
		},
		launch: ({ address, port, asNumber, clusterId }) => ({
			command: compile('floor'),
			args: [
				address,
				String(port),
				String(asNumber),
				clusterId,
				...(fault === undefined ? [] : [fault.kind, String(fault.every)]),
			],
			files: {},
		}),
	};
}
