import { Assembler } from '../assembly/assembler.ts';
import { fp, imm, type Register, r0, r1, r2, r6, r7, r8 } from '../assembly/instruction.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { emitAge } from '../policy/connection.ts';
import { SocketLayout, SocketOrigin } from './maps.ts';

/** Hooks of a cgroup, with the numbers of `enum bpf_attach_type`. */
export const socketHooks = {
	connect4: 10,
	connect6: 11,
	sendmsg4: 14,
	sendmsg6: 15,
	recvmsg4: 19,
	recvmsg6: 20,
	getpeername4: 29,
	getpeername6: 30,
} as const;
export type SocketHook = keyof typeof socketHooks;

/** Offsets in `struct bpf_sock_addr`. */
const Context = { address4: 4, address6: 8, port: 24, protocol: 36 } as const;
const context: Register = r6;
const protocol: Register = r7;
const [tcp, udp] = [6, 17] as const;
/** The third word of `::ffff:0:0/96` on a machine of little endian. */
const mappedWord = -65_536;

export interface SocketProgramOptions {
	readonly hook: SocketHook;
	/**
	 * Cookie of the network namespace of the node (SO_NETNS_COOKIE); `undefined`: that of the first
	 * namespace.
	 */
	readonly nodeCookie: bigint | undefined;
}

/**
 * The program of a hook. `connect` and `sendmsg` replace the address of a service by that of a
 * backend; `recvmsg` and `getpeername` show the address of the service again. What is not found
 * passes as it is. Pure.
 */
export function compileSocketProgram(options: SocketProgramOptions): AssembledProgram {
	const compiler = new SocketCompiler(options);
	return options.hook.startsWith('connect') || options.hook.startsWith('sendmsg')
		? compiler.translate()
		: compiler.restore();
}

class SocketCompiler {
	readonly #assembler = new Assembler();
	readonly #isIpv6: boolean;
	readonly #nodeCookie: bigint | undefined;
	/** Of 24 bytes, see `SocketLayout.endpoint`. */
	readonly #asked: number;
	readonly #chosen: number;
	/** Of 32 bytes, see `SocketLayout.scoped`. */
	readonly #scoped: number;
	/** Not 0: an IPv4 address in a socket of IPv6. */
	readonly #mapped: number;

	constructor({ hook, nodeCookie }: SocketProgramOptions) {
		this.#isIpv6 = hook.endsWith('6');
		this.#nodeCookie = nodeCookie;
		const { endpoint, scoped } = SocketLayout;
		this.#asked = this.#assembler.slot('asked', endpoint.bytes);
		this.#chosen = this.#assembler.slot('chosen', endpoint.bytes);
		this.#scoped = this.#assembler.slot('scoped', scoped.bytes);
		this.#mapped = this.#assembler.slot('mapped', 8);
	}

	/** The address of a service becomes that of a backend. */
	translate(): AssembledProgram {
		const assembler = this.#assembler;
		const slot = (name: string, bytes: number) => assembler.slot(name, bytes);
		const [pool, count, affinity, cookie] = ['pool', 'count', 'affinity', 'cookie'].map((name) => slot(name, 8)) as [
			number,
			number,
			number,
			number,
		];
		const [now, client, remembered] = [slot('now', 8), slot('client', 16), slot('remembered', 32)];
		const backend = slot('backend', 16);
		this.#readAddress();
		assembler.label('find').lookup('svc_frontends', this.#asked).jumpIf(r0, '==', imm(0), 'pass');
		const at = SocketLayout.frontend;
		assembler.load('dw', r1, r0, 0).store('dw', fp, pool, r1);
		assembler.load('w', r1, r0, at.count).store('dw', fp, count, r1);
		assembler.load('w', r1, r0, at.affinity).store('dw', fp, affinity, r1);
		assembler.load('w', r8, r0, at.origins);
		this.#requireOrigin(cookie);
		assembler.zero(this.#chosen, SocketLayout.endpoint.bytes);
		this.#rememberedFlow(pool);
		assembler.label('affinity').load('dw', r1, fp, affinity).jumpIf(r1, '==', imm(0), 'draw');
		this.#clientKey(client, cookie, pool);
		assembler.call('ktimeGetNs').store('dw', fp, now, r0).lookup('svc_affinity', client);
		assembler.jumpIf(r0, '==', imm(0), 'draw');
		emitAge(assembler, now);
		assembler.load('dw', r2, fp, affinity).loadWide(8, 1_000_000_000n).op('mul', r2, 8).jumpIf(r1, '>', r2, 'draw');
		this.#copyFrom(r0, SocketLayout.affinity.endpoint, this.#chosen);
		this.#requireMember(pool, 'draw');
		assembler.jump('chosen');
		assembler.label('draw').load('dw', r1, fp, count).jumpIf(r1, '==', imm(0), 'pass');
		assembler.call('random').op32('mov', r1, r0).load('dw', r2, fp, count).op('mod', r1, r2);
		assembler.zero(backend, 16).store('w', fp, backend + SocketLayout.backend.index, r1);
		assembler.load('dw', r1, fp, pool).store('dw', fp, backend, r1);
		// A backend that is gone since: nftables translates the packets.
		assembler.lookup('svc_backends', backend).jumpIf(r0, '==', imm(0), 'pass');
		this.#copyFrom(r0, 0, this.#chosen);
		assembler.label('chosen').load('dw', r1, fp, affinity);
		assembler.when(r1, '!=', imm(0), () => {
			this.#clientKey(client, cookie, pool);
			assembler.call('ktimeGetNs').store('dw', fp, remembered, r0);
			this.#copyFrom(fp, this.#chosen, remembered + SocketLayout.affinity.endpoint);
			assembler.update('svc_affinity', client, remembered);
		});
		this.#scopedKey(this.#asked);
		assembler.when(protocol, '==', imm(udp), () => assembler.update('svc_flows', this.#scoped, this.#chosen));
		assembler.label('reverse');
		this.#copyFrom(fp, this.#chosen, this.#scoped + SocketLayout.scoped.endpoint);
		assembler.update('svc_reverse', this.#scoped, this.#asked);
		this.#writeAddress(fp, this.#chosen);
		return this.#end();
	}

	/** The address of a backend becomes that of the service that the socket asked for. */
	restore(): AssembledProgram {
		const assembler = this.#assembler;
		this.#readAddress();
		assembler.label('find');
		this.#scopedKey(this.#asked);
		assembler.lookup('svc_reverse', this.#scoped).jumpIf(r0, '==', imm(0), 'pass');
		this.#copyFrom(r0, 0, this.#chosen);
		this.#writeAddress(fp, this.#chosen);
		return this.#end();
	}

	#end(): AssembledProgram {
		return this.#assembler.label('pass').mov(r0, imm(1)).exit().assemble();
	}

	/** Address, port, protocol and family of the call to `asked`. */
	#readAddress(): void {
		const assembler = this.#assembler;
		const { endpoint } = SocketLayout;
		const asked = this.#asked;
		assembler.label('begin').mov(context, r1).zero(asked, endpoint.bytes).store('dw', fp, this.#mapped, imm(0));
		assembler.load('w', protocol, context, Context.protocol);
		assembler.jumpIf(protocol, '==', imm(tcp), 'read').jumpIf(protocol, '!=', imm(udp), 'pass').label('read');
		assembler.load('w', r1, context, Context.port).store('h', fp, asked + endpoint.port, r1);
		assembler.store('b', fp, asked + endpoint.protocol, protocol);
		if (!this.#isIpv6) {
			assembler.load('w', r1, context, Context.address4).store('w', fp, asked, r1);
			assembler.store('b', fp, asked + endpoint.family, imm(4));
			return;
		}
		assembler.store('b', fp, asked + endpoint.family, imm(6));
		for (let word = 0; word < 16; word += 4)
			assembler.load('w', r1, context, Context.address6 + word).store('w', fp, asked + word, r1);
		// RFC 4291 §2.5.5.2.
		assembler.load('dw', r1, fp, asked).jumpIf(r1, '!=', imm(0), 'find');
		assembler.load('w', r1, fp, asked + 8).jumpIf32(r1, '!=', imm(mappedWord), 'find');
		assembler
			.load('w', r1, fp, asked + 12)
			.zero(asked, 16)
			.store('w', fp, asked, r1);
		assembler.store('b', fp, asked + endpoint.family, imm(4)).store('dw', fp, this.#mapped, imm(1));
	}

	/**
	 * Register 8: bits of the origins that are translated. Leaves the cookie of the namespace in
	 * `cookie`.
	 */
	#requireOrigin(cookie: number): void {
		const assembler = this.#assembler;
		const node = assembler.slot('node', 8);
		if (this.#nodeCookie === undefined) assembler.mov(r1, imm(0)).call('netnsCookie').store('dw', fp, node, r0);
		else assembler.loadWide(r1, this.#nodeCookie).store('dw', fp, node, r1);
		assembler.mov(r1, context).call('netnsCookie').store('dw', fp, cookie, r0);
		assembler.load('dw', r1, fp, node).mov(r2, imm(SocketOrigin.pod));
		assembler.when(r0, '==', r1, () => assembler.mov(r2, imm(SocketOrigin.node)));
		assembler.op('and', r8, r2).jumpIf(r8, '==', imm(0), 'pass');
	}

	/** A socket of UDP stays with its backend as long as that is one. */
	#rememberedFlow(pool: number): void {
		const assembler = this.#assembler;
		assembler.jumpIf(protocol, '!=', imm(udp), 'affinity');
		this.#scopedKey(this.#asked);
		assembler.lookup('svc_flows', this.#scoped).jumpIf(r0, '==', imm(0), 'affinity');
		this.#copyFrom(r0, 0, this.#chosen);
		this.#requireMember(pool, 'affinity');
		this.#scopedKey(this.#asked);
		assembler.jump('reverse');
	}

	/** The chosen endpoint is in the pool, else goes on at `otherwise`. */
	#requireMember(pool: number, otherwise: string): void {
		const assembler = this.#assembler;
		assembler.load('dw', r1, fp, pool).store('dw', fp, this.#scoped, r1);
		this.#copyFrom(fp, this.#chosen, this.#scoped + SocketLayout.scoped.endpoint);
		assembler.lookup('svc_members', this.#scoped).jumpIf(r0, '==', imm(0), otherwise);
	}

	/** The socket and an endpoint, to `scoped`. */
	#scopedKey(endpoint: number): void {
		const assembler = this.#assembler;
		assembler.mov(r1, context).call('socketCookie').store('dw', fp, this.#scoped, r0);
		this.#copyFrom(fp, endpoint, this.#scoped + SocketLayout.scoped.endpoint);
	}

	/** A client is a network namespace: the source address is not chosen yet. */
	#clientKey(client: number, cookie: number, pool: number): void {
		const assembler = this.#assembler;
		assembler.load('dw', r1, fp, cookie).store('dw', fp, client, r1);
		assembler.load('dw', r1, fp, pool).store('dw', fp, client + 8, r1);
	}

	/** An endpoint of 24 bytes; loses register 1. */
	#copyFrom(from: Register, offset: number, to: number): void {
		for (let at = 0; at < SocketLayout.endpoint.bytes; at += 8)
			this.#assembler.load('dw', r1, from, offset + at).store('dw', fp, to + at, r1);
	}

	/** Address and port of an endpoint to the call. */
	#writeAddress(from: Register, offset: number): void {
		const assembler = this.#assembler;
		assembler.load('h', r1, from, offset + SocketLayout.endpoint.port).store('w', context, Context.port, r1);
		if (!this.#isIpv6) {
			assembler.load('w', r1, from, offset).store('w', context, Context.address4, r1);
			return;
		}
		assembler.load('dw', r1, fp, this.#mapped);
		const word = (index: number) => Context.address6 + 4 * index;
		assembler.when(
			r1,
			'!=',
			imm(0),
			() => {
				assembler.load('w', r1, from, offset).store('w', context, word(3), r1);
			},
			() => {
				for (let index = 0; index < 4; index++)
					assembler.load('w', r1, from, offset + 4 * index).store('w', context, word(index), r1);
			},
		);
	}
}
