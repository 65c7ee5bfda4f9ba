import type { Family } from '../../core/index.ts';
import type { Negotiated, NegotiatedFamily } from '../model/negotiated.ts';
import { importKey, type RibPeerOptions } from '../model/peer-options.ts';
import type { RibIdentity, RibOptions } from '../model/rib.ts';
import { asksForInterface } from '../policy/matches.ts';
import type { AttributePool } from '../table/attribute-pool.ts';
import type { NextHops } from '../table/next-hops.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import { type ExportTerms, exportTerms, type Groups, ownNextHop } from '../update-group/index.ts';
import type { Importer } from './importer.ts';
import { familyNames, type PeerRegistry } from './peer-registry.ts';
import { reimportStep } from './reimport.ts';
import { nextHopMarking } from './walks.ts';

/** The dependencies of a reconsideration. */
interface ReconsiderationDependencies {
	/** The RIB's present settings, shared by all its parts; changed only here. */
	readonly options: { -readonly [Name in keyof RibOptions]: RibOptions[Name] };
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

/**
 * Repeats earlier decisions after a change of their inputs: policies, own identifiers, next hops.
 * Sessions are not affected.
 */
export class Reconsideration {
	readonly #dependencies: ReconsiderationDependencies;
	/**
	 * Version of the interfaces: part of the terms of groups whose policies match on interfaces.
	 */
	#interfaceVersion = 0;
	/** Version of the clusters of clients. */
	#clusterVersion = 0;

	constructor(dependencies: ReconsiderationDependencies) {
		this.#dependencies = dependencies;
	}

	/** The present terms of a session for one of its families. */
	terms(peer: RibPeer, negotiated: Negotiated, family: NegotiatedFamily): ExportTerms {
		const terms = exportTerms(
			negotiated,
			family,
			peer.options,
			this.#dependencies.options,
			ownNextHop(negotiated, family, peer.options),
		);
		return {
			...terms,
			...(terms.bestForPeer || terms.addPathLimit > 0 ? { member: peer.id } : {}),
			...(asksForInterface(terms.policies) ? { interfaceVersion: this.#interfaceVersion } : {}),
			...(this.#clusterVersion > 0 && terms.kind === 'internal' ? { clusterVersion: this.#clusterVersion } : {}),
		};
	}

	/** The configuration of a peer changed. */
	reconfigure(peer: RibPeer, options: RibPeerOptions): void {
		const { options: previous } = peer;
		peer.configure(options);
		if (importKey(previous) !== importKey(options)) this.#importAgain(peer);
		if (previous.clusterId === options.clusterId) {
			this.#move(peer);
			return;
		}
		this.clustersChanged(peer);
		// The cluster list of the peer's reflected routes has changed.
		this.#clusterVersion++;
		for (const other of this.#dependencies.peers.all()) this.#move(other);
	}

	/**
	 * A client was added or its cluster changed: routes that passed one of these clusters are
	 * rejected, and only these (RFC 4456 §8).
	 */
	clustersChanged({ options: { clusterId } }: RibPeer): void {
		const { options, importer, peers } = this.#dependencies;
		// Thousands of peers may come up one after the other.
		if (clusterId === undefined && options.clientClusters === undefined) return;
		const clientClusters = new Set(peers.all().flatMap((peer) => peer.options.clusterId ?? []));
		const before = options.clientClusters ?? new Set();
		if (clientClusters.size === before.size && [...clientClusters].every((cluster) => before.has(cluster))) return;
		options.clientClusters = clientClusters;
		const judgedAnew = importer.judgeAgain((id) => peers.byId(id));
		for (const peer of peers.all()) if (judgedAnew.has(peer.id)) this.#reimport(peer);
	}

	/** AS number, router ID or cluster ID changed. */
	setIdentity(identity: RibIdentity): void {
		const { options, importer, peers } = this.#dependencies;
		const prepends = new Map(peers.all().map((peer) => [peer, importer.prependsOnImport(peer)]));
		if (options.clusterId !== identity.clusterId) this.#clusterVersion++;
		options.localAsNumber = identity.localAsNumber;
		options.routerId = identity.routerId;
		options.clusterId = identity.clusterId;
		const judgedAnew = importer.judgeAgain((id) => peers.byId(id));
		for (const peer of peers.all()) {
			if (prepends.get(peer) !== importer.prependsOnImport(peer)) this.#importAgain(peer);
			else if (judgedAnew.has(peer.id)) this.#reimport(peer);
			this.#move(peer);
		}
	}

	/** Next hops have changed: only prefixes with a path through them are decided again. */
	nextHopsChanged(addresses: ReadonlySet<string> | undefined): void {
		const { nextHops, tables, peers, later, changed } = this.#dependencies;
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
		this.#dependencies.importer.forgetPeer(peer.id);
		this.#reimport(peer);
	}

	/** Repeats the import of all routes of a peer, in steps. */
	#reimport(peer: RibPeer): void {
		const { tables, importer, pool, later, changed } = this.#dependencies;
		for (const family of familyNames) {
			if (peer.families[family].received > 0) later(reimportStep(tables[family], peer, importer, pool, changed));
		}
	}

	/** Moves a peer to the update groups of its present terms. */
	#move(peer: RibPeer): void {
		const { negotiated, sink } = peer;
		if (sink === undefined || negotiated === undefined) return;
		for (const family of negotiated.families)
			this.#dependencies.groups[family.family].move(peer, this.terms(peer, negotiated, family));
	}
}
