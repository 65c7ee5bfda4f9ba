/** Processor time of a UDP packet from this namespace to a Service, and to its endpoint directly. */
import { setTimeout as pause } from 'node:timers/promises';
import { ipPacket } from '../../lab/frames/packets.ts';
import { parseAddress } from '../../src/core/index.ts';
import { check, errnoName, lastErrno, libc } from '../../src/linux/index.ts';

/** Microseconds of processor time per packet, sending included: the least of the rounds. */
export interface PacketFigures {
	readonly establishedUs: number;
	/** Each packet begins a connection. */
	readonly firstUs: number;
	/** Packets that the kernel did not take, by error; with any, the figures are void. */
	readonly refused: ReadonlyMap<string, number>;
}

const [inet, raw, rawProtocol, udp] = [2, 3, 255, 17] as const;
const rounds = 7;

/** In this process's namespace. `source` is an address of it; the destination answers. */
export async function packetFigures(
	source: string,
	destination: { readonly address: string; readonly port: number },
	packets: number,
): Promise<PacketFigures> {
	const fd = check('socket', libc().socket(inet, raw, rawProtocol));
	const refused = new Map<string, number>();
	const to = parseAddress(destination.address);
	const address = new Uint8Array(16);
	new DataView(address.buffer).setUint16(0, inet, true);
	address.set(to.bytes, 4);
	const packet = (sourcePort: number) =>
		ipPacket({
			source: parseAddress(source),
			destination: to,
			protocol: udp,
			sourcePort,
			destinationPort: destination.port,
		});
	const send = (list: readonly Uint8Array[], count: number): number => {
		const before = process.cpuUsage();
		for (let index = 0; index < count; index++) {
			// The list is not empty.
			const bytes = list[index % list.length] as Uint8Array;
			if (libc().sendto(fd, bytes, bytes.length, 0, address, address.length) >= 0) continue;
			const error = errnoName(lastErrno());
			refused.set(error, (refused.get(error) ?? 0) + 1);
		}
		const { user, system } = process.cpuUsage(before);
		return (user + system) / count;
	};
	try {
		const one = [packet(999)];
		// The answer makes the connection an established one.
		for (let turn = 0; turn < 5; turn++) {
			send(one, 1);
			await pause(100);
		}
		const established: number[] = [];
		const first: number[] = [];
		const fresh = Math.floor(packets / 10);
		for (let round = 0; round < rounds; round++) {
			established.push(send(one, packets));
			first.push(
				send(
					Array.from({ length: fresh }, (_, index) => packet(2000 + round * fresh + index)),
					fresh,
				),
			);
		}
		return { refused, establishedUs: Math.min(...established), firstUs: Math.min(...first) };
	} finally {
		libc().close(fd);
	}
}
