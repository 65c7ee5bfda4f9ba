/**
 * The pods of one node: a server for each address, controlled by lines on standard input.
 * `start ADDRESS` listens; `stop ADDRESS` ends the pod together with its open connections, as the
 * kubelet does after the grace period. Each line is answered by the same line.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const port = 8080;
const pods = new Map<string, { readonly server: Server; readonly sockets: Set<Socket> }>();

function start(address: string): Promise<void> {
	const sockets = new Set<Socket>();
	const server = createServer({ noDelay: true }, (socket) => {
		sockets.add(socket);
		socket.on('error', () => undefined);
		socket.once('close', () => sockets.delete(socket));
		// A line is answered by the pod's address.
		socket.on('data', () => socket.write(`${address}\n`));
	});
	pods.set(address, { server, sockets });
	return new Promise((resolve, reject) => {
		server.once('error', reject);
		server.listen({ host: address, port, backlog: 1024 }, () => resolve());
	});
}

function stop(address: string): void {
	const pod = pods.get(address);
	pods.delete(address);
	pod?.server.close();
	for (const socket of pod?.sockets ?? []) socket.resetAndDestroy();
}

for await (const line of createInterface({ input: process.stdin })) {
	const [verb, address = ''] = line.split(' ');
	if (verb === 'start') await start(address);
	else stop(address);
	process.stdout.write(`${line}\n`);
}
process.exit(0);
