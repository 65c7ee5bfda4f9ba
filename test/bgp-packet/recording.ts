import {
	type Capability,
	decodeMessage,
	lastCapability,
	type PacketContext,
	PacketError,
	packetContext,
} from 'bgp-packet';

import { formatAddress } from '../../src/core/index.ts';
import type { MrtRecord } from '../support/mrt.ts';

/** A message of an MRT file. */
export type MessageRecord = Extract<MrtRecord, { type: 'message' }>;

/**
 * Contexts for the messages of one file: from their records, and for path identifiers from earlier
 * OPENs, as some recorders do not mark these.
 */
export class Recording {
	readonly #senders = new Map<string, readonly Capability[]>();

	/** The context of a record; notes it if it is an OPEN. */
	context({ peer, local, fourOctetAs, addPath, message }: MessageRecord): PacketContext {
		const sender = `${formatAddress(peer.peerAddress)} ${formatAddress(peer.localAddress)} ${local}`;
		if (message[18] === 1) {
			const open = decodeMessage(message, packetContext());
			if (open.type === 'open') this.#senders.set(sender, open.capabilities);
		}
		const plain = packetContext({
			extendedMessage: true,
			fourOctetAs,
			external: peer.peerAs !== peer.localAs,
			addPath: () => addPath,
		});
		const sends =
			lastCapability(this.#senders.get(sender) ?? [], 'add-path')?.families.filter(({ mode }) => mode !== 'receive') ??
			[];
		// The other side's OPEN is not always recorded: data that is unreadable without path
		// identifiers has them.
		if (sends.length === 0 || decodes(message, plain)) return plain;
		return { ...plain, addPath: (afi, safi) => sends.some((family) => family.afi === afi && family.safi === safi) };
	}
}

function decodes(message: Uint8Array, context: PacketContext): boolean {
	try {
		decodeMessage(message, context);
		return true;
	} catch (error) {
		if (error instanceof PacketError) return false;
		throw error;
	}
}
