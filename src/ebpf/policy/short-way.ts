import type { Family } from '../../core/index.ts';
import { fp, imm, r0, r1, r2, r3, r4, r5, r8 } from '../assembly/instruction.ts';
import { type ConnectionOptions, emitKnown, Tcp } from './connection.ts';
import { ethernetBytes, packetRegister, protocolRegister } from './frame.ts';
import { Layout } from './maps.ts';

/** Offsets in `__sk_buff`. */
const PacketField = { ifindex: 40, data: 76, dataEnd: 80 } as const;
const [tcp, udp] = [6, 17] as const;
/** Offsets in the header of IP, without options or extension headers. */
const headers: Readonly<
	Record<Family, { readonly bytes: number; readonly protocol: number; readonly source: number }>
> = {
	ipv4: { bytes: 20, protocol: 9, source: 12 },
	ipv6: { bytes: 40, protocol: 6, source: 8 },
};
const addressBytes: Readonly<Record<Family, number>> = { ipv4: 4, ipv6: 16 };
/** In the machine's (little endian) order: more fragments and offset, RFC 791 §3.1. */
const fragmentBits = 0xff3f;

/**
 * What most packets need and no more: TCP and UDP without options of IP, whose connection is found
 * at the first look. Headers are read where they lie in memory, one key is made. Every other packet
 * goes on at `otherwise` as if it came from there: nothing has changed. `now` and `answers` of the
 * frame are valid at `known`, and the key is in `connection`, whichever side opened it.
 */
export function emitShortWay(
	{ assembler, frame, family, clock = 'ktimeGetNs' }: ConnectionOptions,
	{ known, otherwise }: { readonly known: string; readonly otherwise: string },
): void {
	const header = headers[family];
	const transport = ethernetBytes + header.bytes;
	const stem = (name: string) => `${family}-short-${name}`;
	/** Register 2: begin of the packet, 3: its end. */
	const require = (bytes: number) => assembler.mov(r1, r2).op('add', r1, imm(bytes)).jumpIf(r1, '>', r3, otherwise);
	assembler.load('w', r2, packetRegister, PacketField.data).load('w', r3, packetRegister, PacketField.dataEnd);
	require(transport + 8);
	assembler.load('b', r1, r2, ethernetBytes);
	if (family === 'ipv4') {
		assembler.jumpIf(r1, '!=', imm(0x45), otherwise).load('h', r1, r2, ethernetBytes + 6);
		assembler.op('and', r1, imm(fragmentBits)).jumpIf(r1, '!=', imm(0), otherwise);
	} else assembler.op('rsh', r1, imm(4)).jumpIf(r1, '!=', imm(6), otherwise);
	assembler.load('b', protocolRegister, r2, ethernetBytes + header.protocol);
	assembler.jumpIf(protocolRegister, '==', imm(udp), stem('ports')).jumpIf(protocolRegister, '!=', imm(tcp), otherwise);
	require(transport + 14);
	assembler.load('b', r1, r2, transport + 13).store('b', fp, frame.transport + 13, r1);
	assembler.op('and', r1, imm(Tcp.syn | Tcp.ack)).jumpIf(r1, '==', imm(Tcp.syn), otherwise);
	assembler.label(stem('ports'));

	const at = Layout.connection;
	const key = frame.connection;
	const [answer, look] = [stem('answer'), stem('look-up')];
	assembler.load('w', r1, packetRegister, PacketField.ifindex).store('w', fp, key, r1).mov(r1, protocolRegister);
	assembler.op('or', r1, imm((family === 'ipv4' ? 4 : 6) << 8)).store('w', fp, key + at.protocol, r1);
	// Both ports as in the packet; answers come from the lower one, most often.
	assembler.load('w', r4, r2, transport).mov(r1, r4).op('and', r1, imm(0xffff)).swap(r1, 16);
	assembler.mov(r5, r4).op('rsh', r5, imm(16)).mov(r0, r5).swap(r5, 16).jumpIf(r1, '<', r5, answer);
	for (const answers of [0, 1]) {
		if (answers === 1) assembler.label(answer).op('lsh', r4, imm(16)).op('or', r4, r0);
		const [first, second] = answers === 0 ? [at.source, at.destination] : [at.destination, at.source];
		emitAddresses(family, first, second);
		assembler.store('w', fp, key + at.sourcePort, r4).store('dw', fp, frame.answers, imm(answers));
		if (answers === 0) assembler.jump(look);
	}
	assembler.label(look).lookup('connections', key).jumpIf(r0, '==', imm(0), otherwise).mov(r8, r0);
	assembler.call(clock).store('dw', fp, frame.now, r0).mov(r0, r8).load('dw', r5, fp, frame.answers);
	emitKnown({ assembler, frame }, stem, { established: known, fresh: otherwise, expired: otherwise, cut: otherwise });

	function emitAddresses(of: Family, source: number, destination: number): void {
		const bytes = addressBytes[of];
		for (const [to, from] of [
			[source, ethernetBytes + header.source],
			[destination, ethernetBytes + header.source + bytes],
		] as const) {
			if (of === 'ipv6')
				for (let part = 0; part < 16; part += 8)
					assembler.load('dw', r1, r2, from + part).store('dw', fp, key + to + part, r1);
			else {
				assembler.load('w', r1, r2, from).store('dw', fp, key + to, r1);
				assembler.store('dw', fp, key + to + 8, imm(0));
			}
		}
	}
}
