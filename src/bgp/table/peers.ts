import { Afi, type PacketContext, packetContext, type Remedy, Safi } from 'bgp-packet';
import { type Family, formatAddress, splitZone, type Timer } from '../../core/index.ts';
import type { Negotiated, NegotiatedFamily, Role, SessionSink } from '../model/negotiated.ts';
import { peerDefaults, type RibPeerOptions } from '../model/peer-options.ts';
import { lastResort } from '../policy/last-resort.ts';
import { PolicyProgram } from '../policy/program.ts';

/** Counters and state of a peer for one family. */
export class PeerFamily {
	/** Number of paths in the Adj-RIB-In; of them eligible, best, stale. */
	received = 0;
	accepted = 0;
	best = 0;
	stale = 0;
	/** The negotiated values of the present or last session; `undefined`: without this family. */
	negotiated: NegotiatedFamily | undefined = undefined;
	/** Between BoRR and EoRR (RFC 7313 §4). */
	refreshing = false;
	/** End-of-RIB was received in this session. */
	complete = false;
	/** The warning about the prefix limit was logged. */
	warned = false;
	/**
	 * Runs while routes are stale: until the session is back, the routes are swept, or the limit of
	 * stale routes is reached.
	 */
	staleTimer: Timer | undefined = undefined;
}

/** Until the first session, and of this node itself: nothing is refused. */
const noOptions: RibPeerOptions = {
	...peerDefaults,
	importPolicies: [],
	exportPolicies: [],
	ebgpRequiresPolicy: false,
	enforceFirstAs: false,
	staleSeconds: 0,
};

/**
 * A source of routes: a neighbour, or with id 0 this node. Exists beyond its session while it has
 * routes.
 */
export class RibPeer {
	readonly id: number;
	readonly name: string;
	options: RibPeerOptions = noOptions;
	negotiated: Negotiated | undefined = undefined;
	/** `undefined`: no session at present. */
	sink: SessionSink | undefined = undefined;
	/** The socket requires a wait for `drained`. */
	blocked = false;
	external = false;
	asNumber = 0;
	localAsNumber = 0;
	routerId = 0;
	address: Uint8Array = new Uint8Array(0);
	/**
	 * The interface of its session, if known: the scope of the peer's link-local next hops (RFC
	 * 4007 §6).
	 */
	interfaceName: string | undefined = undefined;
	role: Role | undefined = undefined;
	/** Context for decoding the peer's UPDATEs. */
	context: PacketContext = packetContext();
	/** Import policy; `undefined`: all routes are accepted unchanged. */
	importProgram: PolicyProgram | undefined = undefined;
	/** RFC 8212: no route is accepted from an external peer without import policy. */
	deniesImport = false;
	/** RFC 9234 §5: received routes without ONLY_TO_CUSTOMER get it. */
	marksOnlyToCustomer = false;
	/** Malformed UPDATEs of this session by remedy (RFC 7606 §2). */
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

	/** Sets the values of a new session. */
	attach(negotiated: Negotiated, options: RibPeerOptions, sink: SessionSink): void {
		this.negotiated = negotiated;
		this.sink = sink;
		this.blocked = false;
		for (const remedy of ['attribute-discard', 'treat-as-withdraw', 'session-reset'] as const)
			this.malformed[remedy] = 0;
		this.external = negotiated.kind === 'external';
		this.asNumber = negotiated.peerAsNumber;
		this.localAsNumber = negotiated.localAsNumber;
		this.routerId = negotiated.peerRouterId;
		this.address = negotiated.peerAddress;
		this.interfaceName = negotiated.interfaceName;
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

	/** Takes over the configuration. */
	configure(options: RibPeerOptions): void {
		this.options = options;
		const { importPolicies, ebgpRequiresPolicy } = options;
		this.deniesImport = this.external && importPolicies === undefined && ebgpRequiresPolicy;
		const policies = options.gracefulShutdown ? lastResort(importPolicies ?? []) : (importPolicies ?? []);
		this.importProgram = policies.length === 0 || this.deniesImport ? undefined : new PolicyProgram(policies);
	}

	/**
	 * True for addresses of this node, which are invalid as a NEXT_HOP. RFC 4271 §6.3. Loopback
	 * addresses count, except from a neighbour on the same host, which has the same ones.
	 */
	isOwnAddress(address: string | undefined): boolean {
		if (address === undefined) return false;
		if (isLoopback(address)) return !this.#onThisHost;
		const { address: plain, interfaceName } = splitZone(address);
		// A neighbor on another link may have the same link-local address.
		return plain === this.#localAddress || (interfaceName === undefined && this.#ownAddresses.has(plain));
	}

	/** RFC 8212 §2: no route is sent to an external peer without export policy. */
	get deniesExport(): boolean {
		return this.external && this.options.exportPolicies === undefined && this.options.ebgpRequiresPolicy;
	}

	/** True for a client of this reflector or route server. */
	get isClient(): boolean {
		return this.options.reflectorClient || this.options.routeServerClient;
	}
}

const isLoopback = (address: string): boolean => address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);

/** Compares addresses as numbers, IPv4 before IPv6. */
export function compareAddresses(left: Uint8Array, right: Uint8Array): number {
	if (left.length !== right.length) return left.length - right.length;
	for (let index = 0; index < left.length; index++) {
		const order = (left[index] ?? 0) - (right[index] ?? 0);
		if (order !== 0) return order;
	}
	return 0;
}
