import { createConnection } from 'node:net';
import type { Exchange } from './daemon.ts';

/** The exchange by the sockets of Node.js. */
export const nodeExchange: Exchange = (socket, message, waitMs) =>
	new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		const connection = createConnection(socket);
		connection.setTimeout(waitMs, () => {
			reject(Object.assign(new Error('no response'), { code: 'ETIMEDOUT' }));
			connection.destroy();
		});
		connection.once('error', reject);
		connection.on('data', (chunk: Buffer) => chunks.push(chunk));
		connection.once('end', () => resolve(Buffer.concat(chunks)));
		// The client does not end the connection: the server would take that for an aborted
		// request.
		connection.write(message);
	});
