import { createServer } from 'node:net';
import type { ExecutionContext } from 'ava';
import { addInterface, enterRouting, ip } from './namespace.ts';

/**
 * Enters a new namespace as that of a node, 10.0.1.2/24 at up0, where all addresses of 10.128.0.0/9
 * are pods whose port 8080 echoes; until the test ends.
 */
export async function enterServiceNode(t: ExecutionContext): Promise<void> {
	enterRouting();
	addInterface('up0', ['10.0.1.2/24']);
	ip('route add local 10.128.0.0/9 dev lo');
	ip('route add default dev up0');
	const server = createServer((socket) => {
		socket.on('error', () => undefined);
		socket.on('data', (data) => socket.write(data));
	});
	await new Promise<void>((resolve) => server.listen(8080, '0.0.0.0', resolve));
	t.teardown(() => server.close());
}
