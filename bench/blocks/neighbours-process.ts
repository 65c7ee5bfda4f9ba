/**
 * Neighbours of the measured daemon, in a separate process so that they are never late: each opens
 * a session, sends keepalives, and one of them announces routes. Messages of the parent are
 * `Command`s, responses are `Report`s.
 */
import { connect, type Socket } from 'node:net';
import { type Capability, encodeMessage, Framer, type OpenMessage, packetContext } from 'bgp-packet';
import { type Command, daemonAddress, daemonPort, type Report, routeAddress, sessionAddress } from './neighbours.ts';

const context = packetContext({ fourOctetAs: true });
const keepalive = encodeMessage({ type: 'keepalive' }, context);
const asNumber = 65001;

/** Sessions by the number of their address. */
const sessions = new Map<number, Socket>();
let established = 0;
let lost = 0;

function open(index: number, holdTimeSeconds: number): void {
	const address = sessionAddress(index);
	const socket = connect({ host: daemonAddress, port: daemonPort, localAddress: address, noDelay: true });
	const capabilities: readonly Capability[] = [
		{ type: 'multiprotocol', afi: 1, safi: 1 },
		{ type: 'four-octet-as', asNumber },
	];
	const routerId = 0x0b000000 + index;
	const message: OpenMessage = { type: 'open', version: 4, asNumber, holdTimeSeconds, routerId, capabilities };
	socket.write(encodeMessage(message, context));
	sessions.set(index, socket);
	const framer = new Framer();
	let up = false;
	socket.on('data', (chunk: Uint8Array) =>
		framer.scan(chunk, (buffer, start) => {
			const type = buffer[start + 18];
			if (type === 1) socket.write(keepalive);
			if (type === 4 && !up) {
				up = true;
				established++;
			}
		}),
	);
	const timer = holdTimeSeconds === 0 ? undefined : setInterval(() => socket.write(keepalive), holdTimeSeconds * 333);
	socket.on('error', () => undefined);
	socket.on('close', () => {
		clearInterval(timer);
		if (!sessions.delete(index)) return;
		lost++;
		if (up) established--;
	});
}

/** `count` /24s in UPDATEs of 200, with an AS path that depends on `version`. */
async function announce(index: number, count: number, version: number): Promise<void> {
	const socket = sessions.get(index);
	if (socket === undefined) return;
	for (let first = 0; first < count; first += 200) {
		const length = Math.min(200, count - first);
		const nlri = new Uint8Array(length * 4);
		for (let at = 0; at < length; at++) nlri.set(routeAddress(first + at), at * 4);
		const path = 100_000 + ((first / 200) % 5000) + version;
		const attributes = Uint8Array.of(
			...[0x40, 1, 1, 0],
			...[0x40, 2, 6, 2, 1, path >>> 24, (path >>> 16) & 255, (path >>> 8) & 255, path & 255],
			...[0x40, 3, 4, 127, 80, 0, 1],
			...[0x40, 5, 4, 0, 0, 0, 100],
		);
		const update = new Uint8Array(23 + attributes.length + nlri.length).fill(255, 0, 16);
		const view = new DataView(update.buffer);
		view.setUint16(16, update.length);
		update[18] = 2;
		view.setUint16(21, attributes.length);
		update.set(attributes, 23);
		update.set(nlri, 23 + attributes.length);
		if (!socket.write(update)) await new Promise((resolve) => socket.once('drain', resolve));
	}
}

process.on('message', (command: Command) => {
	switch (command.type) {
		case 'open':
			for (let at = 0; at < command.count; at++) open(command.first + at, command.holdTimeSeconds);
			break;
		case 'close':
			for (const index of [...sessions.keys()].filter((number) => number >= command.first)) {
				const socket = sessions.get(index);
				sessions.delete(index);
				established--;
				socket?.destroy();
			}
			break;
		case 'announce':
			void announce(command.from, command.count, command.version);
			break;
		case 'report':
			break;
		default:
			command satisfies never;
	}
	const report: Report = { established, lost };
	process.send?.(report);
});
