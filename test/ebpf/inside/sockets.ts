/**
 * Runs in a network namespace and a cgroup of its own: servers that answer with their address, and clients on request. A line
 * of JSON each way.
 */
import { createSocket, type Socket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const [ports = '', ...addresses] = process.argv.slice(2);
const [tcpPort, udpPort] = ports.split(',').map(Number);

interface Request {
	readonly type: 'tcp' | 'udp';
	readonly host: string;
	readonly port: number;
	/** UDP: keeps one socket for all requests of this name. */
	readonly socket?: string;
	readonly family?: 4 | 6;
	/** UDP: `connect` before the datagram. */
	readonly connected?: boolean;
}
/** `server`: what the server calls itself; `peer`: what the client sees. */
interface Answer {
	readonly server?: string;
	readonly peer?: string;
	/** UDP: the peer of a connected socket. */
	readonly remote?: string;
	readonly error?: string;
}

const tcp = ({ host, port, family }: Request): Promise<Answer> =>
	new Promise((resolve) => {
		const socket = connect({ host, port, ...(family === undefined ? {} : { family }) });
		socket.setTimeout(2000, () => socket.destroy(new Error('timeout')));
		const peer = () => `${socket.remoteAddress} ${socket.remotePort}`;
		let seen = '';
		socket.once('connect', () => {
			seen = peer();
		});
		socket.once('data', (bytes) => {
			resolve({ server: bytes.toString(), peer: seen });
			socket.destroy();
		});
		socket.once('error', (error) => resolve({ error: error.message }));
	});

const sockets = new Map<string, Socket>();
const udp = ({ host, port, socket: name = '', connected = false }: Request): Promise<Answer> =>
	new Promise((resolve) => {
		const key = `${name} ${host} ${connected}`;
		const socket = sockets.get(key) ?? createSocket(host.includes(':') ? 'udp6' : 'udp4');
		const isNew = !sockets.has(key);
		sockets.set(key, socket);
		const late = setTimeout(() => resolve({ error: 'timeout' }), 2000);
		socket.once('message', (bytes, { address, port: from }) => {
			clearTimeout(late);
			const { address: far, port: farPort } = connected ? socket.remoteAddress() : { address: '', port: 0 };
			resolve({ server: bytes.toString(), peer: `${address} ${from}`, remote: `${far} ${farPort}` });
		});
		if (!connected) socket.send('?', port, host);
		else if (isNew) socket.connect(port, host, () => socket.send('?'));
		else socket.send('?');
	});

let starting = 2 * addresses.length;
const started = () => {
	if (--starting === 0) process.stdout.write('{}\n');
};
for (const address of addresses) {
	createServer((socket) => socket.end(address)).listen(tcpPort, address, started);
	const server = createSocket(address.includes(':') ? 'udp6' : 'udp4');
	server.on('message', (_, { address: to, port }) => server.send(address, port, to));
	server.bind(udpPort, address, started);
}
createInterface({ input: process.stdin }).on('line', async (line) => {
	const request: Request = JSON.parse(line);
	process.stdout.write(`${JSON.stringify(await (request.type === 'tcp' ? tcp : udp)(request))}\n`);
});
process.stdin.on('close', () => process.exit());
