import { isDeepStrictEqual } from 'node:util';
import { formatAddress } from '../../core/index.ts';
import type { Negotiated } from '../model/negotiated.ts';
import { optionChanges, type PeerOptions } from '../model/peer-options.ts';
import type { PeerChange } from '../model/speaker-api.ts';

const strength: Readonly<Record<PeerChange['effect'], number>> = { none: 0, live: 1, routes: 2, reset: 3 };

/** The effect of a change of options on the peer's session, field by field. Pure. */
export function describePeerChange(before: PeerOptions, after: PeerOptions): PeerChange {
	const fields = optionChanges
		.filter(([field]) => !isDeepStrictEqual(before[field], after[field]))
		.map(([field, { effect, why }]) => ({ field, effect, why }));
	const effect = fields.reduce<PeerChange['effect']>(
		(strongest, field) => (strength[field.effect] > strength[strongest] ? field.effect : strongest),
		'none',
	);
	return { peer: after.name, effect, fields };
}

/**
 * Properties of the TCP connection: the peer behind another one is the same, and so are its routes.
 */
const connectionFields: ReadonlySet<keyof PeerOptions> = new Set(['localAddress', 'ttlSecurityHops', 'multihopTtl']);

/**
 * True if a change that resets the session needs only another connection, so that both sides can
 * keep the routes (RFC 4724). Pure.
 */
export const needsOnlyConnection = ({ fields }: PeerChange): boolean =>
	fields.every(({ field, effect }) => effect !== 'reset' || connectionFields.has(field));

/**
 * True if all that would reset the session is a local address that its connection has already: the
 * peer has used it before the change arrived here. Stale routes of the peer do not survive a second
 * end before they are sent again (RFC 4724 §4.2). Pure.
 */
export const hasLocalAddress = (
	{ fields }: PeerChange,
	{ localAddress }: Pick<PeerOptions, 'localAddress'>,
	negotiated: Pick<Negotiated, 'localAddress'> | undefined,
): boolean =>
	negotiated !== undefined &&
	formatAddress(negotiated.localAddress) === localAddress &&
	fields.every(({ field, effect }) => effect !== 'reset' || field === 'localAddress');
