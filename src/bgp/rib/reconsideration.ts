import type { Family } from '../../core/index.ts';
import type { Negotiated, NegotiatedFamily } from '../negotiated.ts';
import { asksForInterface } from '../policy/matches.ts';
import { type ExportTerms, exportTerms, type Groups, ownNextHop } from '../update-group/index.ts';
import type { AttributePool } from './attribute-pool.ts';
import type { Importer } from './importer.ts';
import type { NextHops } from './next-hops.ts';
import { familyNames, type PeerRegistry } from './peer-registry.ts';
import type { RibPeer } from './peers.ts';
import { reimportKey, reimportStep } from './reimport.ts';
import type { RouteTable } from './route-table.ts';
import type { RibIdentity, RibOptions, RibPeerOptions } from './types.ts';
import { nextHopMarking } from './walks.ts';

/** What is reconsidered, and with what. */
export interface ReconsiderationContext {
	/** Our own: `setIdentity` writes to them. */
	readonly options: RibOptions;
	readonly pool: AttributePool;
	readonly nextHops: NextHops;
	readonly peers: PeerRegistry;
	readonly importer: Importer;
	readonly tables: Readonly<Record<Family, RouteTable>>;
	readonly groups: Readonly<Record<Family, Groups>>;
	readonly later: (step: () => boolean) => void;
	/** Prefixes wait for selection. */
	readonly changed: () => void;
}

/** Decides again what was decided before, when something that it followed from is another: policies, own numbers, the ways to next hops. No session notices. */
export class Reconsideration {
	readonly #context: ReconsiderationContext;
	/** Counts the changes of interfaces: groups whose policies ask for them are other groups after each. */
	#interfaceVersion = 0;
	/** Counts the changes of clusters of clients. */
	#clusterVersion = 0;

	constructor(context: ReconsiderationContext) {
		this.#context = context;
	}

	/** The terms of a session for one of its families, as things are now. */
	terms(peer: RibPeer, negotiated: Negotiated, family: NegotiatedFamily): ExportTerms {
		const terms = exportTerms(negotiated, family, peer.options, this.#context.options, ownNextHop(negotiated, family, peer.options));
		return {
			...terms,
			...(asksForInterface(terms.policies) ? { interfaceVersion: this.#interfaceVersion } : {}),
			...(this.#clusterVersion > 0 && terms.kind === 'internal' ? { clusterVersion: this.#clusterVersion } : {}),
		};
	}

	/** The operator wants something else of a peer. */
	reconfigure(peer: RibPeer, options: RibPeerOptions): void {
		const { options: previous } = peer;
		peer.configure(options);
		if (reimportKey(previous) !== reimportKey(options)) this.#importAgain(peer);
		if (previous.clusterId === options.clusterId) {
			this.#move(peer);
			return;
		}
		this.clustersChanged(peer);
		// What is reflected of the peer to others has another list now.
		this.#clusterVersion++;
		for (const other of this.#context.peers.all()) this.#move(other);
	}

	/** A client is there, perhaps in another cluster: what passed one of them, and only that, is not taken (RFC 4456 §8). */
	clustersChanged({ options: { clusterId } }: RibPeer): void {
		const { options, importer, peers } = this.#context;
		// Thousands of peers come up one after the other.
		if (clusterId === undefined && options.clientClusters === undefined) return;
		const clientClusters = new Set(peers.all().flatMap((peer) => peer.options.clusterId ?? []));
		const before = options.clientClusters ?? new Set();
		if (clientClusters.size === before.size && [...clientClusters].every((cluster) => before.has(cluster))) return;
		Object.assign(options, { clientClusters });
		const judgedAnew = importer.judgeAgain((id) => peers.byId(id));
		for (const peer of peers.all()) if (judgedAnew.has(peer.id)) this.#reimport(peer);
	}

	/** We are somebody else. */
	setIdentity(identity: RibIdentity): void {
		const { options, importer, peers } = this.#context;
		const prepends = new Map(peers.all().map((peer) => [peer, importer.prependsOnImport(peer)]));
		if (options.clusterId !== identity.clusterId) this.#clusterVersion++;
		Object.assign(options, identity);
		const judgedAnew = importer.judgeAgain((id) => peers.byId(id));
		for (const peer of peers.all()) {
			if (prepends.get(peer) !== importer.prependsOnImport(peer)) this.#importAgain(peer);
			else if (judgedAnew.has(peer.id)) this.#reimport(peer);
			this.#move(peer);
		}
	}

	/** The ways to some next hops are others: only prefixes with a path through them are decided again. */
	nextHopsChanged(addresses: ReadonlySet<string> | undefined): void {
		const { nextHops, tables, peers, later, changed } = this.#context;
		const { costs, interfaces } = nextHops.refresh(addresses);
		if (costs.size > 0) for (const family of familyNames) later(nextHopMarking(tables[family], costs, changed));
		if (!interfaces) return;
		this.#interfaceVersion++;
		for (const peer of peers.all()) {
			if (asksForInterface(peer.options.importPolicies)) this.#importAgain(peer);
			this.#move(peer);
		}
	}

	#importAgain(peer: RibPeer): void {
		this.#context.importer.forgetPeer(peer.id);
		this.#reimport(peer);
	}

	/** Puts all routes of a peer through import again, in steps. */
	#reimport(peer: RibPeer): void {
		const { tables, importer, pool, later, changed } = this.#context;
		for (const family of familyNames) {
			if (peer.families[family].received > 0) later(reimportStep(tables[family], peer, importer, pool, changed));
		}
	}

	/** Into the update groups of its terms as they are now. */
	#move(peer: RibPeer): void {
		const { negotiated, sink } = peer;
		if (sink === undefined || negotiated === undefined) return;
		for (const family of negotiated.families) this.#context.groups[family.family].move(peer, this.terms(peer, negotiated, family));
	}
}
