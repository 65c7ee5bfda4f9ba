import type { Socket } from 'node:net';
import { encodeMessage, packetContext } from 'bgp-packet';
import { type ConnectionSurroundings, lingerAndClose } from './connection.ts';
import { ceaseMessage } from './notices.ts';

/** Turns a connection away with a CEASE and nothing else (RFC 4486 §4). */
export function refuseConnection(socket: Socket, subcode: number, surroundings: Pick<ConnectionSurroundings, 'wheel' | 'open'>): void {
	socket.on('error', () => {});
	socket.write(encodeMessage(ceaseMessage({ subcode }, false), packetContext()));
	lingerAndClose(socket, surroundings);
}
