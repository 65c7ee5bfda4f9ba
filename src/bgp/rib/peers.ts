import { Afi, type PacketContext, packetContext, type Remedy, Safi } from 'bgp-packet';
import { type Family, formatAddress, type Timer } from '../../core/index.ts';
import type { Negotiated, NegotiatedFamily, Role, SessionSink } from '../negotiated.ts';
import { lastResort } from '../policy/last-resort.ts';
import { PolicyProgram } from '../policy/program.ts';
import type { RibPeerOptions } from './types.ts';

/** What is counted and remembered of a peer for one family. */
export class PeerFamily {
	/** Paths in the Adj-RIB-In, those of them that are eligible, those that are best, those held as stale. */
	received = 0;
	accepted = 0;
	best = 0;
	stale = 0;
	/** What the present or the last session negotiated; `undefined`: not this family. */
	negotiated: NegotiatedFamily | undefined = undefined;
	/** Between BoRR and EoRR (RFC 7313 §4). */
	refreshing = false;
	/** End-of-RIB has come since the session began. */
	complete = false;
	/** The warning about the prefix limit has been given. */
	warned = false;
	/** Runs while routes are stale: until the session is back, or until they are swept, or until they are no longer held at all. */
	staleTimer: Timer | undefined = undefined;
}

const noOptions: RibPeerOptions = {
	reflectorClient: false,
	clusterId: undefined,
	routeServerClient: false,
	importPolicies: [],
	exportPolicies: [],
	ebgpRequiresPolicy: false,
	gracefulShutdown: false,
	nextHopMode: 'auto',
	nextHopSelf: {},
	allowOwnAs: 0,
	removePrivateAs: false,
	replaceOwnAs: false,
	noPrependInbound: false,
	enforceFirstAs: false,
	maxPrefix: undefined,
	addPathLimit: 0,
	staleSeconds: 0,
};

/** A source of routes: a neighbour, or with id 0 this node itself. It outlives its session while it has routes. */
export class RibPeer {
	readonly id: number;
	readonly name: string;
	options: RibPeerOptions = noOptions;
	negotiated: Negotiated | undefined = undefined;
	/** `undefined`: no session at present. */
	sink: SessionSink | undefined = undefined;
	/** The socket asked us to wait for `drained`. */
	blocked = false;
	external = false;
	asNumber = 0;
	localAsNumber = 0;
	routerId = 0;
	address: Uint8Array = new Uint8Array(0);
	role: Role | undefined = undefined;
	/** How the peer's UPDATEs are to be read. */
	context: PacketContext = packetContext();
	/** Import policy; `undefined`: everything is taken as it is. */
	importProgram: PolicyProgram | undefined = undefined;
	/** RFC 8212: an external peer without import policy gives nothing. */
	deniesImport = false;
	/** RFC 9234 §5: routes without ONLY_TO_CUSTOMER get it on arrival. */
	marksOnlyToCustomer = false;
	/** Malformed UPDATEs of this session by what became of them (RFC 7606 §2). */
	readonly malformed: Record<Remedy, number> = { 'attribute-discard': 0, 'treat-as-withdraw': 0, 'session-reset': 0 };
	readonly families: Readonly<Record<Family, PeerFamily>> = { ipv4: new PeerFamily(), ipv6: new PeerFamily() };
	readonly #ownAddresses: ReadonlySet<string>;
	#localAddress = '';
	#onThisHost = false;

	constructor(id: number, name: string, ownAddresses: ReadonlySet<string>) {
		this.id = id;
		this.name = name;
		this.#ownAddresses = ownAddresses;
	}

	/** Takes over what a new session negotiated. */
	attach(negotiated: Negotiated, options: RibPeerOptions, sink: SessionSink): void {
		this.negotiated = negotiated;
		this.sink = sink;
		this.blocked = false;
		Object.assign(this.malformed, { 'attribute-discard': 0, 'treat-as-withdraw': 0, 'session-reset': 0 });
		this.external = negotiated.kind === 'external';
		this.asNumber = negotiated.peerAsNumber;
		this.localAsNumber = negotiated.localAsNumber;
		this.routerId = negotiated.peerRouterId;
		this.address = negotiated.peerAddress;
		this.role = negotiated.localRole;
		this.marksOnlyToCustomer = this.role === 'customer' || this.role === 'peer' || this.role === 'route-server-client';
		this.#localAddress = formatAddress(negotiated.localAddress);
		this.#onThisHost = isLoopback(formatAddress(negotiated.peerAddress));
		this.configure(options);
		const has = (afi: number, safi: number, what: (family: NegotiatedFamily) => boolean): boolean => {
			const family = afi === Afi.ipv4 ? 'ipv4' : 'ipv6';
			return safi === Safi.unicast && negotiated.families.some((row) => row.family === family && what(row));
		};
		this.context = packetContext({
			fourOctetAs: negotiated.fourOctetAs,
			external: this.external,
			addPath: (afi, safi) => has(afi, safi, (row) => row.addPathReceive),
			extendedNextHop: (afi, safi) => has(afi, safi, (row) => row.extendedNextHop),
		});
		for (const family of ['ipv4', 'ipv6'] as const) {
			const state = this.families[family];
			state.negotiated = negotiated.families.find((row) => row.family === family);
			state.refreshing = false;
			state.complete = false;
			state.warned = false;
		}
	}

	/** Takes over what the operator wants. */
	configure(options: RibPeerOptions): void {
		this.options = options;
		const { importPolicies, ebgpRequiresPolicy } = options;
		this.deniesImport = this.external && importPolicies === undefined && ebgpRequiresPolicy;
		const policies = options.gracefulShutdown ? lastResort(importPolicies ?? []) : (importPolicies ?? []);
		this.importProgram = policies.length === 0 || this.deniesImport ? undefined : new PolicyProgram(policies);
	}

	/** Of this node: NEXT_HOPs that are not to be followed. RFC 4271 §6.3. Any loopback address is; but a neighbour on this very host shares them: from it they say nothing. */
	isOwnAddress(address: string | undefined): boolean {
		if (address === undefined) return false;
		if (isLoopback(address)) return !this.#onThisHost;
		return address === this.#localAddress || this.#ownAddresses.has(address);
	}

	/** A client of this reflector or route server. */
	get isClient(): boolean {
		return this.options.reflectorClient || this.options.routeServerClient;
	}
}

const isLoopback = (address: string): boolean => address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);

/** Orders addresses as numbers, IPv4 before IPv6. */
export function compareAddresses(left: Uint8Array, right: Uint8Array): number {
	if (left.length !== right.length) return left.length - right.length;
	for (let index = 0; index < left.length; index++) {
		const order = (left[index] ?? 0) - (right[index] ?? 0);
		if (order !== 0) return order;
	}
	return 0;
}
