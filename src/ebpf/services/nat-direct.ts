import type { Family } from '../../core/index.ts';
import type { Frontend, Pool, PoolKey, ServicesModel } from '../../services/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4, r5 } from '../assembly/instruction.ts';
import { emitAge } from '../policy/connection.ts';
import { packetRegister, protocolRegister } from '../policy/frame.ts';
import { endpointBytes, SocketLayout } from './maps.ts';
import { copyWords, type NatFrame, tcpProtocol } from './nat-frame.ts';
import { frontendValue, type NatElement, NatFlowFlag, NatLayout, sourceKey } from './nat-maps.ts';
import { emitExpire, emitTcpFlags, natTimeoutSeconds, Tcp } from './nat-time.ts';

/** In the place of a set of source ranges: the clients that are masqueraded all the same. */
export const optOutSources = 2n;

/** Nodes that take untranslated packets: MAC addresses (6 bytes) of their devices, by node. */
export type DirectNodes = ReadonlyMap<string, Uint8Array>;

/**
 * Elements of a pool's backends: zeros for those of this node, else the MAC address of a node that
 * takes untranslated packets. Backends of other nodes have none. Pure.
 */
export const natNodeElements = ({ backends, protocol }: Pool, nodes: DirectNodes): NatElement[] =>
	protocol === 'sctp'
		? []
		: backends.flatMap(({ address, port, local, node }): NatElement[] => {
				const mac = local ? new Uint8Array(6) : node === undefined ? undefined : nodes.get(node);
				if (mac === undefined) return [];
				const value = new Uint8Array(NatLayout.node.bytes);
				value.set(mac, 0);
				return [{ map: 'nat_nodes', key: endpointBytes(address, port, protocol), value }];
			});

/**
 * The element of a frontend for packets that other nodes send here untranslated. A node port has
 * the address zero: the packet is for the address of the other node. Pure.
 */
export function natArrivalElements(frontend: Frontend, pools: ReadonlyMap<PoolKey, Pool>): NatElement[] {
	const { directPool, protocol, port, family } = frontend;
	if (directPool === undefined || protocol === 'sctp') return [];
	const value = frontendValue(frontend, { type: 'dnat', pool: directPool, masquerade: false }, pools);
	if (value === undefined) return [];
	const address = frontend.type === 'node-port' ? (family === 'ipv4' ? '0.0.0.0' : '::') : frontend.address;
	return [{ map: 'nat_arrivals', key: endpointBytes(address, port, protocol), value }];
}

/** The prefixes of clients that are masqueraded all the same. Pure. */
export const natOptOutElements = ({ directReturn }: ServicesModel['settings']): NatElement[] =>
	(directReturn?.optOut ?? []).map((range) => ({
		...{ map: 'nat_sources', key: sourceKey(optOutSources, range), value: Uint8Array.of(1, 0, 0, 0) },
	}));

/**
 * Packets that go to another node as they are, and the table of their connections. The other node
 * is known by the MAC address of its device.
 */
export class NatDirect {
	readonly #assembler: Assembler;
	readonly #frame: NatFrame;
	readonly #device: number;

	/** `device`: index of the interface to the other nodes. */
	constructor(assembler: Assembler, frame: NatFrame, device: number) {
		this.#assembler = assembler;
		this.#frame = frame;
		this.#device = device;
	}

	/**
	 * A packet whose flow is known goes to its node. Goes on behind it if the flow is not known, else
	 * at `fresh` or not at all.
	 */
	known(family: Family, stem: (name: string) => string): void {
		const assembler = this.#assembler;
		const { now, transport, flow, value } = this.#frame;
		const at = NatLayout.directValue;
		const [other, use, fresh] = [stem('direct-other'), stem('direct-use'), stem('direct-fresh')];
		assembler.lookup('nat_direct', flow).jumpIf(r0, '==', imm(0), fresh);
		emitAge(assembler, now);
		assembler.load('w', r3, r0, at.flags);
		assembler.jumpIf(protocolRegister, '!=', imm(tcpProtocol), other);
		assembler
			.load('b', r4, fp, transport + 13)
			.mov(r2, r4)
			.op('and', r2, imm(Tcp.syn | Tcp.ack));
		assembler.when(
			r2,
			'==',
			imm(Tcp.syn),
			() => {
				// Only the client's side of the connection is seen here.
				assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.finOfClient | NatFlowFlag.reset));
				assembler.jumpIf(r2, '!=', imm(0), fresh);
				emitExpire(assembler, natTimeoutSeconds.tcpUnanswered, natTimeoutSeconds.tcpEstablished, fresh);
				this.#requireBackend(fresh);
				assembler.load('w', r3, r0, at.flags).load('b', r4, fp, transport + 13);
			},
			() => {
				assembler.mov(r2, r4).op('and', r2, imm(Tcp.ack));
				assembler.when(r2, '!=', imm(0), () => assembler.op('or', r3, imm(NatFlowFlag.answered)));
			},
		);
		emitTcpFlags(assembler, NatFlowFlag.finOfClient);
		assembler.jump(use).label(other);
		emitExpire(assembler, natTimeoutSeconds.udpAnswered, natTimeoutSeconds.udpAnswered, fresh);
		assembler.label(use).load('dw', r1, fp, now).store('dw', r0, 0, r1).store('w', r0, at.flags, r3);
		assembler.load('dw', r1, r0, at.node).store('dw', fp, value, r1);
		this.#send(family);
		assembler.label(fresh);
	}

	/** The backend that the flow (register 0) was begun for still stands for its node. */
	#requireBackend(fresh: string): void {
		const assembler = this.#assembler;
		const { flow, chosen } = this.#frame;
		for (let offset = 0; offset < SocketLayout.endpoint.bytes; offset += 8)
			assembler.load('dw', r1, r0, NatLayout.directValue.backend + offset).store('dw', fp, chosen + offset, r1);
		assembler.lookup('nat_nodes', chosen).jumpIf(r0, '==', imm(0), fresh);
		assembler.lookup('nat_direct', flow).jumpIf(r0, '==', imm(0), fresh);
	}

	/**
	 * A backend was chosen for a new connection. Goes on at `here` if this node translates; `kept` is
	 * the code for a backend of this node, which sees the source.
	 */
	begin(family: Family, here: string, kept: () => void): void {
		const assembler = this.#assembler;
		const { flow, chosen, now, scratch, value } = this.#frame;
		const at = NatLayout.directValue;
		assembler.lookup('nat_nodes', chosen).jumpIf(r0, '==', imm(0), here);
		assembler.load('dw', r1, r0, 0).store('dw', fp, value, r1);
		assembler.when(r1, '==', imm(0), () => {
			kept();
			assembler.jump(here);
		});
		// One that was translated here has ended, with the same ports: it would be found first.
		assembler.loadMap(r1, 'nat_flows').address(r2, flow).call('mapDelete');
		assembler.load('dw', r1, fp, now).store('dw', fp, scratch, r1);
		assembler.store('dw', fp, scratch + at.flags, imm(0));
		copyWords(assembler, scratch + at.backend, chosen, SocketLayout.endpoint.bytes);
		copyWords(assembler, scratch + at.node, value, 8);
		assembler.update('nat_direct', flow, scratch);
		this.#send(family);
	}

	/** An ICMP error: the flow of the packet that it quotes is in `flow`. */
	error(otherwise: string): void {
		const assembler = this.#assembler;
		const { flow, value } = this.#frame;
		assembler.lookup('nat_direct', flow).jumpIf(r0, '==', imm(0), otherwise);
		assembler.load('dw', r1, r0, NatLayout.directValue.node).store('dw', fp, value, r1);
		assembler.jump('direct-send');
	}

	/** A fragment behind the first; its key is in `fragment`, and register 0 the element. */
	fragment(): void {
		const assembler = this.#assembler;
		assembler.load('dw', r1, r0, 0).store('dw', fp, this.#frame.value, r1).jump('direct-send');
	}

	/** To the node in `value`; fragments behind this one follow. */
	#send(family: Family): void {
		this.#assembler.jump(`${family}-direct-keep`);
	}

	/** The code that the labels lead to, once. */
	end(): void {
		const assembler = this.#assembler;
		assembler.label('direct-send');
		assembler.mov(r1, packetRegister).mov(r2, imm(0)).address(r3, this.#frame.value).mov(r4, imm(6)).mov(r5, imm(0));
		assembler.call('skbStoreBytes').jumpIf(r0, '!=', imm(0), 'drop');
		assembler.mov(r1, imm(this.#device)).mov(r2, imm(0)).call('redirect').exit();
	}
}
