import { ListenError, type SpeakerApi, type SpeakerIdentity } from '../bgp/index.ts';
import type { BgpConfig } from '../config/index.ts';
import { formatAddress, type Logger } from '../core/index.ts';
import { identifierNumber } from './addresses.ts';

/** Who this node is by its configuration; where that names no router ID, `routerId` stays. Pure. */
export function identityOf({ asNumber, clusterId, routerId }: Pick<BgpConfig, 'asNumber' | 'clusterId' | 'routerId'>, otherwise: number): SpeakerIdentity {
	return {
		asNumber,
		routerId: routerId === undefined ? otherwise : identifierNumber(routerId),
		clusterId: clusterId === undefined ? undefined : identifierNumber(clusterId),
	};
}

/** An identifier as a dotted quad. */
export function identifierText(identifier: number): string {
	return formatAddress(Uint8Array.of(identifier >>> 24, identifier >>> 16, identifier >>> 8, identifier));
}

const textOf = ({ asNumber, routerId, clusterId }: SpeakerIdentity): string =>
	`AS ${asNumber}, router ID ${identifierText(routerId)}, ${clusterId === undefined ? 'no reflector' : `cluster ID ${identifierText(clusterId)}`}`;

/** Brings a running speaker to the AS number, identifiers and port of a configuration: sessions start again only where the OPEN says something else. */
export async function applyIdentity(speaker: SpeakerApi, bgp: BgpConfig, log: Logger): Promise<void> {
	const before = speaker.identity;
	const after = identityOf(bgp, before.routerId);
	const resets = speaker.setIdentity(after);
	if (textOf(before) !== textOf(after)) log.info('this node is another one to its neighbours now', { was: textOf(before), is: textOf(after), resets });
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
