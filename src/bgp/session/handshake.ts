import type { Socket } from 'node:net';
import type { OpenMessage } from 'bgp-packet';
import { type LocalSide, ownOpen } from '../fsm/open-check.ts';
import type { Negotiated } from '../model/negotiated.ts';
import { endpointsOf, negotiate, readOpen } from './incoming.ts';
import type { InterfaceAddresses } from './interface-addresses.ts';

/** The two OPENs of one connection, and the session parameters that follow from them. */
export class Handshake {
	#sent: OpenMessage | undefined;
	#received: OpenMessage | undefined;
	#negotiated: Negotiated | undefined;

	get sent(): OpenMessage | undefined {
		return this.#sent;
	}
	get received(): OpenMessage | undefined {
		return this.#received;
	}
	/** `undefined` until a valid OPEN was received. */
	get negotiated(): Negotiated | undefined {
		return this.#negotiated;
	}

	/** The OPEN to send. */
	open(local: LocalSide): OpenMessage {
		this.#sent = ownOpen(local);
		return this.#sent;
	}

	/**
	 * Reads the peer's OPEN. With a delayed OPEN (RFC 4271 §8.2.1.3) ours is determined here.
	 * @throws PacketError 2/x
	 */
	receive(frame: Uint8Array, local: LocalSide, socket: Socket | undefined, interfaces: InterfaceAddresses): Negotiated {
		this.#received = readOpen(frame);
		this.#sent ??= ownOpen(local);
		const endpoints = endpointsOf(socket, local.options, interfaces);
		this.#negotiated = negotiate(this.#received, this.#sent, local, endpoints);
		return this.#negotiated;
	}
}
