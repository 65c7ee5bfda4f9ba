import type { Socket } from 'node:net';
import { encodeMessage, packetContext } from 'bgp-packet';
import { type ConnectionDependencies, lingerAndClose } from './connection.ts';
import { ceaseMessage } from './notices.ts';

/** Rejects a connection with a CEASE as the only message (RFC 4486 §4). */
export function refuseConnection(
	socket: Socket,
	subcode: number,
	dependencies: Pick<ConnectionDependencies, 'wheel' | 'open'>,
): void {
	socket.on('error', () => {});
	socket.write(encodeMessage(ceaseMessage({ subcode }, false), packetContext()));
	lingerAndClose(socket, dependencies);
}
