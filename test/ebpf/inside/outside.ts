/**
 * Runs in a network namespace: `PORTS ADDRESS...` serves at the addresses, without addresses it only asks. A line of JSON
 * each way.
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
	/** Bytes that the client sends, and that the server answers with. */
	readonly send?: number;
	readonly answer?: number;
	/** UDP: keeps one socket for all requests of this name. */
	readonly socket?: string;
	/** UDP: how long the client waits for an answer, in milliseconds. */
	readonly wait?: number;
	/** Port of the client; by default one that the kernel chooses. */
	readonly from?: number;
}
/** `server`, `client`: addresses as the server sees them; `peer`: the address that the client gets the answer from. */
interface Answer {
	readonly server?: string;
	readonly client?: string;
	readonly peer?: string;
	/** Bytes that arrived at the client, and at the server. */
	readonly received?: number;
	readonly sent?: number;
	readonly error?: string;
}

const headBytes = 200;
/** The first 8 bytes of a request: its length, and that of the answer. */
function requestOf({ send = headBytes, answer = headBytes }: Request): Buffer {
	const bytes = Buffer.alloc(Math.max(8, send));
	bytes.writeUInt32BE(bytes.length, 0);
	bytes.writeUInt32BE(answer, 4);
	return bytes;
}

const answerOf = (length: number, facts: Answer): Buffer => {
	const bytes = Buffer.alloc(Math.max(headBytes, length), 32);
	bytes.write(JSON.stringify(facts));
	return bytes;
};

const factsOf = (bytes: Buffer, peer: string): Answer => ({
	...JSON.parse(bytes.subarray(0, headBytes).toString()),
	...{ peer, received: bytes.length },
});

const tcp = (request: Request): Promise<Answer> =>
	new Promise((resolve) => {
		const { host, port, from } = request;
		const socket = connect({ host, port, ...(from === undefined ? {} : { localPort: from }) });
		socket.setTimeout(4000, () => socket.destroy(new Error('timeout')));
		const parts: Buffer[] = [];
		let peer = '';
		socket.once('connect', () => {
			peer = `${socket.remoteAddress} ${socket.remotePort}`;
			socket.write(requestOf(request));
		});
		socket.on('data', (bytes) => parts.push(bytes));
		socket.once('end', () => resolve(factsOf(Buffer.concat(parts), peer)));
		socket.once('error', (error) => resolve({ error: error.message }));
	});

const sockets = new Map<string, Promise<Socket>>();
/** A connected socket gets errors of ICMP, and answers of its peer alone. */
const connected = ({ host, port, from }: Request): Promise<Socket> =>
	new Promise((resolve) => {
		const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
		socket.on('error', () => {});
		socket.bind(from ?? 0, () => socket.connect(port, host, () => resolve(socket)));
	});

async function udp(request: Request): Promise<Answer> {
	const { socket: name = '', host, port } = request;
	const key = `${name} ${host} ${port}`;
	const opened = name === '' ? connected(request) : (sockets.get(key) ?? connected(request));
	if (name !== '') sockets.set(key, opened);
	const socket = await opened;
	const answer = await new Promise<Answer>((resolve) => {
		const late = setTimeout(() => finish({ error: 'timeout' }), request.wait ?? 3000);
		const finish = (result: Answer) => {
			clearTimeout(late);
			socket.off('message', onMessage).off('error', onError);
			resolve(result);
		};
		const onMessage = (bytes: Buffer, { address, port: from }: { address: string; port: number }) =>
			finish(factsOf(bytes, `${address} ${from}`));
		const onError = (error: Error) => finish({ error: error.message });
		socket.on('message', onMessage).on('error', onError);
		socket.send(requestOf(request));
	});
	if (name === '') socket.close();
	return answer;
}

function serve(): void {
	let starting = 2 * addresses.length;
	const started = () => {
		if (--starting === 0) process.stdout.write('{}\n');
	};
	for (const address of addresses) {
		createServer((socket) => {
			let sent = 0;
			let head = Buffer.alloc(0);
			socket.on('error', () => {});
			socket.on('data', (bytes) => {
				sent += bytes.length;
				if (head.length < 8) head = Buffer.concat([head, bytes]);
				if (sent < head.readUInt32BE(0)) return;
				const facts = { server: address, client: socket.remoteAddress ?? '', sent };
				socket.end(answerOf(head.readUInt32BE(4), facts));
			});
		}).listen(tcpPort, address, started);
		const server = createSocket(address.includes(':') ? 'udp6' : 'udp4');
		server.on('error', () => {});
		server.on('message', (bytes, { address: client, port }) => {
			server.send(answerOf(bytes.readUInt32BE(4), { server: address, client, sent: bytes.length }), port, client);
		});
		server.bind(udpPort, address, started);
	}
	if (addresses.length === 0) process.stdout.write('{}\n');
}

serve();
createInterface({ input: process.stdin }).on('line', async (line) => {
	const request: Request = JSON.parse(line);
	process.stdout.write(`${JSON.stringify(await (request.type === 'tcp' ? tcp : udp)(request))}\n`);
});
process.stdin.on('close', () => process.exit());
