import { identifierNumber, ListenError, type SpeakerApi, type SpeakerIdentity } from '../bgp/index.ts';
import type { BgpConfig } from '../config/index.ts';
import { formatAddress, type Logger } from '../core/index.ts';
import type { SpeakerConfig } from './node-state.ts';

/**
 * The identity of this node by its configuration; without a router ID in it, `routerId` stays.
 * Pure.
 */
export function identityOf(
	{ asNumber, clusterId, routerId }: Pick<BgpConfig, 'asNumber' | 'clusterId' | 'routerId'>,
	otherwise: number,
): SpeakerIdentity {
	return {
		asNumber,
		routerId: routerId === undefined ? otherwise : identifierNumber(routerId),
		clusterId: clusterId === undefined ? undefined : identifierNumber(clusterId),
	};
}

/** What the router ID of a running speaker follows from, in a cluster. */
export interface RouterIdInputs {
	/** By the configuration file. */
	readonly configured: string | undefined;
	/** By the node's address or name. */
	readonly derived: string | undefined;
	/** Of the speaker, as of now. */
	readonly current: string;
	/** The speaker has sessions of the cluster. */
	readonly hasSessions: boolean;
	/** IPv4 addresses of the other nodes. */
	readonly addressesOfOthers: () => Iterable<string>;
}

/**
 * The router ID from now on. It is part of OPEN (RFC 4271 §4.2), so that another one costs every
 * session: a derived one stays while there are sessions, although the node's address changes. It
 * must be unique in the AS (RFC 6286 §2.1): where another node has taken that address, it follows
 * at once. Pure.
 */
export function routerIdFrom(inputs: RouterIdInputs): string | undefined {
	const { configured, derived, current, hasSessions, addressesOfOthers } = inputs;
	if (configured !== undefined) return configured;
	if (derived === undefined || derived === current || !hasSessions) return derived;
	for (const address of addressesOfOthers()) if (address === current) return derived;
	return current;
}

/** An identifier as a dotted quad. */
export function identifierText(identifier: number): string {
	return formatAddress(Uint8Array.of(identifier >>> 24, identifier >>> 16, identifier >>> 8, identifier));
}

const textOf = ({ asNumber, routerId, clusterId }: SpeakerIdentity): string =>
	`AS ${asNumber}, router ID ${identifierText(routerId)}, ` +
	`${clusterId === undefined ? 'no reflector' : `cluster ID ${identifierText(clusterId)}`}`;

/**
 * Applies the AS number, identifiers and port of a configuration to a running speaker: sessions
 * restart only if the OPEN changes.
 */
export async function applyIdentity(speaker: SpeakerApi, bgp: SpeakerConfig, log: Logger): Promise<void> {
	const before = speaker.identity;
	const after = identityOf(bgp, before.routerId);
	const resets = speaker.setIdentity(after);
	if (textOf(before) !== textOf(after))
		log.info('this node is another one to its neighbours now', { was: textOf(before), is: textOf(after), resets });
	const { address, port } = bgp.listen;
	if (speaker.listening.some((where) => where.address === address && where.port === port)) return;
	try {
		await speaker.setListen([{ address, port }]);
		log.info('sessions are accepted elsewhere now', { address, port });
	} catch (error) {
		if (!(error instanceof ListenError)) throw error;
		log.error('sessions are still accepted where they were', { address, port, error: error.message });
	}
}
