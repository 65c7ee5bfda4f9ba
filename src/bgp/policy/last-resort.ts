import type { Policy } from './types.ts';

/** RFC 8326 §4.2: the mark, and a LOCAL_PREF that whoever is in our AS obeys without knowing it. What comes behind decides. */
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

/** The policies of a session that is about to go down for maintenance: they decide as they did, and every route gets GRACEFUL_SHUTDOWN. */
export function lastResort(policies: readonly Policy[]): readonly Policy[] {
	// Without policies everything passes, as it did.
	return policies.length === 0 ? [{ ...marks, otherwise: 'accept' }] : [marks, ...policies];
}
