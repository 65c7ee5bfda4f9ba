/**
 * A RIB with sessions in memory only: the routes that each peer holds are decoded from the bytes
 * sent to it.
 */
import {
	decodeMessage,
	encodeMessage,
	endOfRib,
	endOfRibMessage,
	type Nlri,
	type PacketContext,
	type PathAttributes,
	packetContext,
	updateMessage,
} from 'bgp-packet';
import {
	createRib,
	type Negotiated,
	type NegotiatedFamily,
	type Policy,
	peerDefaults,
	type Rib,
	type RibDependencies,
	type RibOptions,
	type RibPeerOptions,
	type SessionReceiver,
	type SessionSink,
} from '../../src/bgp/index.ts';
import {
	type Family,
	formatPrefix,
	type Logger,
	parseAddress,
	parsePrefix,
	silentLogger,
} from '../../src/core/index.ts';
import { FakeClock } from '../fakes/clock.ts';

export const ribOptions: RibOptions = {
	localAsNumber: 64512,
	routerId: 0x0a00_0001,
	clusterId: 0x0a00_0001,
	clientToClientReflection: true,
	localAddresses: ['10.0.0.1'],
};

export const ribPeerOptions: RibPeerOptions = { ...peerDefaults, reflectorClient: true };

export const acceptAll: Policy = { name: 'all', terms: [], otherwise: 'accept' };

const noFamily = {
	addPathReceive: false,
	addPathSend: false,
	extendedNextHop: false,
	gracefulRestart: undefined,
	longLivedStaleSeconds: 0,
};

/** A small initial size, so that tables grow. */
const small = { ipv4Prefixes: 4, ipv6Prefixes: 2, attributeSets: 4, furtherPaths: 2 };

/** The differences of a test peer from a plain iBGP client. */
export interface TestPeerOptions {
	readonly options?: Partial<RibPeerOptions>;
	readonly negotiated?: Partial<Negotiated>;
	readonly families?: readonly (Partial<NegotiatedFamily> & { readonly family: Family })[];
}

/** A RIB, its clock, and its turns of the event loop, which the test controls. */
export class RibBench {
	readonly clock = new FakeClock();
	readonly rib: Rib;
	readonly options: RibOptions;
	/** Costs of next hops; missing ones cost 0, `undefined` is unreachable. */
	readonly costs = new Map<string, number | undefined>();
	/** Interfaces to next hops, where known. */
	readonly interfaces = new Map<string, string>();
	/** Next hops that the RIB has released. */
	readonly goneNextHops: string[] = [];
	#deferred: (() => void)[] = [];
	#peers = 0;

	constructor(
		options: Partial<RibOptions> = {},
		random: () => number = Math.random,
		log: Logger = silentLogger,
		tuning: NonNullable<RibDependencies['tuning']> = {},
		onFault?: (error: unknown) => void,
	) {
		this.options = { ...ribOptions, ...options };
		this.rib = createRib(this.options, {
			clock: this.clock,
			log,
			random,
			interiorCost: (nextHop) => (this.costs.has(nextHop) ? this.costs.get(nextHop) : 0),
			interfaceOf: (nextHop) => this.interfaces.get(nextHop),
			nextHopGone: (nextHop) => this.goneNextHops.push(nextHop),
			tuning: { ...small, ...tuning },
			...(onFault === undefined ? {} : { onFault }),
			defer: (callback) => void this.#deferred.push(callback),
		});
	}

	/** One turn of the event loop; `false`: nothing was waiting. */
	turn(): boolean {
		const callbacks = this.#deferred;
		this.#deferred = [];
		for (const callback of callbacks) callback();
		return callbacks.length > 0;
	}

	/** Runs turns until no work is left. */
	run(): void {
		while (this.turn());
	}

	/** An established session. Addresses and identifiers count up: the n-th is 10.0.1.n. */
	peer(name: string, given: TestPeerOptions = {}): TestPeer {
		return new TestPeer(this, name, ++this.#peers, given);
	}
}

/** One neighbour: sends the test's routes, and records the received ones. */
export class TestPeer implements SessionSink {
	readonly bench: RibBench;
	readonly name: string;
	readonly negotiated: Negotiated;
	readonly options: RibPeerOptions;
	receiver: SessionReceiver;
	/** The routes it holds: attributes as JSON text, by `prefix` or `prefix pathId`. */
	readonly held = new Map<string, PathAttributes>();
	readonly endOfRibs: Family[] = [];
	readonly refreshMarks: string[] = [];
	readonly failures: { code: number; subcode: number; data: string; reason: string }[] = [];
	messages = 0;
	announcements = 0;
	withdrawals = 0;
	/** Stalled: the socket is full after every write, and never drains. */
	stalled = false;
	/** Lazy: the socket accepts some more after every write, and never drains. */
	lazy = false;
	#pending: Uint8Array[] = [];
	readonly #decoding: PacketContext;
	readonly #encoding: PacketContext;

	constructor(
		bench: RibBench,
		name: string,
		index: number,
		{ options = {}, negotiated = {}, families = [{ family: 'ipv4' }, { family: 'ipv6' }] }: TestPeerOptions,
	) {
		this.bench = bench;
		this.name = name;
		const external = negotiated.kind === 'external';
		this.negotiated = {
			peerName: name,
			peerAddress: parseAddress(`10.0.1.${index}`).bytes,
			localAddress: parseAddress('10.0.0.1').bytes,
			interfaceName: undefined,
			interfaceAddresses: {},
			peerAsNumber: external ? 65000 + index : bench.options.localAsNumber,
			localAsNumber: bench.options.localAsNumber,
			peerRouterId: 0x0a00_0100 + index,
			localRouterId: bench.options.routerId,
			kind: 'internal',
			holdTimeSeconds: 90,
			fourOctetAs: true,
			extendedMessageSend: false,
			routeRefresh: true,
			enhancedRefresh: false,
			peerRestarting: false,
			peerRestartSeconds: 0,
			notificationRestart: false,
			localRole: undefined,
			...negotiated,
			families: families.map((family) => ({ ...noFamily, ...family })),
		};
		this.options = { ...ribPeerOptions, ...(external ? { reflectorClient: false } : {}), ...options };
		const rows = this.negotiated.families;
		const has = (afi: number, what: (row: NegotiatedFamily) => boolean) =>
			rows.some((row) => row.family === (afi === 1 ? 'ipv4' : 'ipv6') && what(row));
		const common = { fourOctetAs: this.negotiated.fourOctetAs, external, extendedMessage: true, enhancedRefresh: true };
		const extendedNextHop = (afi: number) => has(afi, (row) => row.extendedNextHop);
		this.#decoding = packetContext({
			...common,
			extendedNextHop,
			addPath: (afi) => has(afi, (row) => row.addPathSend),
		});
		this.#encoding = packetContext({
			...common,
			extendedNextHop,
			addPath: (afi) => has(afi, (row) => row.addPathReceive),
		});
		this.receiver = bench.rib.established(this.negotiated, this.options, this);
	}

	get bufferedBytes(): number {
		return this.#pending.reduce((sum, bytes) => sum + bytes.length, 0);
	}

	write(bytes: Uint8Array): boolean {
		if (this.stalled) {
			// As in libuv: the memory is read when the socket sends it, not before.
			this.#pending.push(bytes);
			return false;
		}
		if (this.lazy) {
			this.#pending.push(bytes);
			return this.bufferedBytes < 2000;
		}
		this.#take(bytes);
		return true;
	}

	fail(code: number, subcode: number, data: Uint8Array, reason: string): void {
		this.failures.push({ code, subcode, data: Buffer.from(data).toString('hex'), reason });
		this.receiver.ended({ type: 'forget' });
	}

	/** The socket drains and requests more. */
	drain(): void {
		this.stalled = false;
		this.lazy = false;
		for (const bytes of this.#pending.splice(0)) this.#take(bytes);
		this.receiver.drained();
	}

	/** Sends an UPDATE that announces prefixes. */
	announce(prefixes: readonly string[], attributes: PathAttributes = {}, pathId?: number): void {
		this.send(
			announcement(
				prefixes,
				attributes,
				pathId,
				this.negotiated.kind === 'external' ? this.negotiated.peerAsNumber : undefined,
				this.negotiated.peerAddress,
			),
		);
	}

	withdraw(prefixes: readonly string[], pathId?: number): void {
		const nlri = prefixes.map((prefix) => nlriOf(prefix, pathId));
		if (nlri[0]?.family !== 'ipv6') this.send(updateMessage({ withdrawn: nlri }));
		else
			this.send(updateMessage({ attributes: { mpUnreach: { afi: 2, safi: 1, routes: { type: 'prefixes', nlri } } } }));
	}

	endOfRib(family: Family): void {
		this.send(endOfRibMessage(family === 'ipv4' ? 1 : 2, 1));
	}

	send(message: ReturnType<typeof updateMessage>): void {
		this.sendBytes(encodeMessage(message, this.#encoding));
	}

	sendBytes(bytes: Uint8Array): void {
		// At an odd offset of a larger buffer, as received from a socket.
		const buffer = new Uint8Array(bytes.length + 7);
		buffer.set(bytes, 3);
		this.receiver.update(buffer, 3, 3 + bytes.length);
		buffer.fill(0xee);
	}

	/** The session ends. */
	end(type: 'forget' | 'retain' = 'forget'): void {
		this.#pending = [];
		this.receiver.ended({ type });
	}

	/** A new session of the same peer, without the routes it held before. */
	restart(negotiated: Partial<Negotiated> = {}): void {
		this.held.clear();
		this.endOfRibs.length = 0;
		this.stalled = false;
		this.lazy = false;
		this.receiver = this.bench.rib.established({ ...this.negotiated, ...negotiated }, this.options, this);
	}

	/** Prefixes held, sorted. */
	get prefixes(): string[] {
		return [...this.held.keys()].sort();
	}

	#take(bytes: Uint8Array): void {
		for (let start = 0; start < bytes.length; ) {
			const length = ((bytes[start + 16] ?? 0) << 8) | (bytes[start + 17] ?? 0);
			this.#message(bytes.slice(start, start + length));
			start += length;
		}
	}

	#message(bytes: Uint8Array): void {
		const message = decodeMessage(bytes, this.#decoding);
		this.messages++;
		if (message.type === 'route-refresh') {
			this.refreshMarks.push(`${message.afi} ${message.subtype}`);
			return;
		}
		if (message.type !== 'update') throw new Error(`a RIB sends no ${message.type}`);
		const mark = endOfRib(message);
		if (mark !== undefined) {
			this.endOfRibs.push(mark.afi === 1 ? 'ipv4' : 'ipv6');
			return;
		}
		if (message.problems.length > 0)
			throw new Error(
				`${this.name} got ${message.problems.map(String).join(', ')}: ${Buffer.from(bytes).toString('hex')}`,
			);
		const { mpReach, mpUnreach, ...attributes } = message.attributes;
		for (const nlri of [...message.withdrawn, ...routesOf(mpUnreach)]) {
			this.withdrawals++;
			this.held.delete(keyOf(nlri));
		}
		for (const nlri of message.nlri) this.#hold(nlri, attributes);
		const { nextHop } = mpReach ?? {};
		for (const nlri of routesOf(mpReach))
			this.#hold(nlri, nextHop === undefined ? attributes : { ...attributes, nextHop });
	}

	#hold(nlri: Nlri, attributes: PathAttributes): void {
		this.announcements++;
		this.held.set(keyOf(nlri), attributes);
	}
}

/** An UPDATE that announces prefixes of one family, with the mandatory attributes. */
export function announcement(
	prefixes: readonly string[],
	attributes: PathAttributes,
	pathId: number | undefined,
	externalAs: number | undefined,
	peerAddress: Uint8Array,
): ReturnType<typeof updateMessage> {
	const nlri = prefixes.map((prefix) => nlriOf(prefix, pathId));
	const basic: PathAttributes = {
		origin: 'igp',
		asPath: externalAs === undefined ? [] : [{ type: 'sequence', asNumbers: [externalAs] }],
		...(externalAs === undefined ? { localPref: 100 } : {}),
		...attributes,
	};
	if (nlri[0]?.family !== 'ipv6') return updateMessage({ attributes: { nextHop: peerAddress, ...basic }, nlri });
	const { nextHop, ...rest } = basic;
	const address = nextHop ?? parseAddress(`2001:db8::${peerAddress[3]?.toString(16)}`).bytes;
	return updateMessage({
		attributes: { ...rest, mpReach: { afi: 2, safi: 1, nextHop: address, routes: { type: 'prefixes', nlri } } },
	});
}

function nlriOf(prefix: string, pathId: number | undefined): Nlri {
	return { ...parsePrefix(prefix), ...(pathId === undefined ? {} : { pathId }) };
}

function keyOf({ bytes, length, pathId }: Nlri): string {
	return pathId === undefined ? formatPrefix(bytes, length) : `${formatPrefix(bytes, length)} ${pathId}`;
}

function routesOf(attribute: PathAttributes['mpReach'] | PathAttributes['mpUnreach']): readonly Nlri[] {
	return attribute?.routes.type === 'prefixes' ? attribute.routes.nlri : [];
}
