import type { Policy } from '../model/policy.ts';

/**
 * RFC 8326 §4.2: the community, and a LOCAL_PREF for routers of our AS that do not evaluate it. The
 * following policies decide.
 */
const marks: Policy = {
	name: 'graceful-shutdown',
	terms: [
		{
			match: {},
			action: 'continue',
			operations: [
				{ type: 'add-community', value: 'graceful-shutdown' },
				{ type: 'set-local-pref', value: 0 },
			],
		},
	],
	otherwise: 'next',
};

/**
 * The policies of a session before maintenance: the decisions are unchanged, and every route gets
 * GRACEFUL_SHUTDOWN.
 */
export function lastResort(policies: readonly Policy[]): readonly Policy[] {
	// Without policies all routes pass, as before.
	return policies.length === 0 ? [{ ...marks, otherwise: 'accept' }] : [marks, ...policies];
}
