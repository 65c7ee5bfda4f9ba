import type { PathAttributes } from 'bgp-packet';
import type { Prefix, RouteSource } from '../../core/index.ts';
import type { RibOptions } from '../model/rib.ts';
import type { ByPrefix, Decided } from '../policy/program.ts';
import { PolicyProgram } from '../policy/program.ts';
import type { PolicyInput, PolicyState } from '../policy/state.ts';
import type { AnnouncedPath } from '../table/announced-paths.ts';
import { type AttributePool, Kind } from '../table/attribute-pool.ts';
import { Flag } from '../table/attribute-summary.ts';
import type { NextHops } from '../table/next-hops.ts';
import type { PrefixTable } from '../table/prefix-table.ts';
import type { ExportTerms } from './export-terms.ts';

/** Dependencies of an exporter on the RIB. */
export interface ExportDependencies {
	readonly pool: AttributePool;
	readonly nextHops: NextHops;
	readonly options: RibOptions;
	readonly peerName: (peer: number) => string;
	/** The cluster of a client. */
	readonly clusterOf: (peer: number) => number;
	readonly attributes: (id: number) => PathAttributes;
	/**
	 * The result of policy for `id`; a new set has no reference yet. 0: too long for any message.
	 */
	readonly exported: (id: number, state: PolicyState) => number;
	readonly priorityOf: (id: number) => number | undefined;
}

/** A route as it is sent. */
export interface SentPath {
	readonly set: number;
	/** The set in the table from which it was created. */
	readonly source: number;
	readonly pathId: number;
}

/** A set whose export policy depends on prefixes. */
interface Undecided {
	readonly tree: ByPrefix;
	readonly made: Map<Decided, number>;
}

const refused = -1;
const byPrefix = -2;
/**
 * This value and below: a tree shared by many sets, because the policy depends only on prefixes.
 */
const firstTree = -3;

/**
 * Decides which routes the peers of a group get, and with which attribute set: a function of the
 * set and, if policy depends on it, of the prefix. Hence the sent state needs no table. Results of
 * policy are cached by set.
 */
export class Exporter {
	readonly terms: ExportTerms;
	readonly #dependencies: ExportDependencies;
	readonly #tooLong: (id: number) => void;
	readonly #program: PolicyProgram | undefined;
	/**
	 * By set: 0 not computed, `refused`, `byPrefix`, a shared tree, or the set to send; empty
	 * without policy.
	 */
	#decided = new Int32Array(0);
	readonly #undecided = new Map<number, Undecided>();
	readonly #trees: ByPrefix[] = [];
	/** A prefix in wire form, and its address. */
	readonly #prefix = new Uint8Array(20);
	readonly #address = this.#prefix.subarray(1);
	#lastAsked = 0;
	#lastPermitted = false;

	/** `tooLong` is called with sets whose export result exceeds any message. */
	constructor(terms: ExportTerms, dependencies: ExportDependencies, tooLong: (id: number) => void) {
		this.terms = terms;
		this.#dependencies = dependencies;
		this.#tooLong = tooLong;
		this.#program =
			terms.policies === undefined || terms.policies.length === 0 ? undefined : new PolicyProgram(terms.policies);
		if (this.#program !== undefined) this.#decided = new Int32Array(dependencies.pool.capacity);
	}

	/** The set to send for a route with this set, 0 for none. */
	resolve(id: number, prefixes: PrefixTable, prefix: number): number {
		if (id === 0) return 0;
		// Consecutive prefixes often have the same set.
		if (id !== this.#lastAsked) {
			this.#lastAsked = id;
			this.#lastPermitted = this.#permits(id);
		}
		if (!this.#lastPermitted) return 0;
		if (this.#program === undefined) return id;
		const decided = this.#decided[id] || this.#decide(id, this.#program);
		if (decided > 0) return decided;
		if (decided === refused) return 0;
		prefixes.write(prefix, this.#prefix, 0);
		if (decided <= firstTree)
			return this.#trees[firstTree - decided]?.decide(this.#address, this.#prefix[0] ?? 0).accepted === true ? id : 0;
		return this.#forPrefix(id);
	}

	/**
	 * The paths of a prefix to send, best first: the sets to send, their sources, and our
	 * identifiers (RFC 7911).
	 */
	resolvePaths(paths: readonly AnnouncedPath[], prefixes: PrefixTable, prefix: number): SentPath[] {
		const { addPath, addPathLimit, bestForPeer, member } = this.terms;
		const most = bestForPeer ? 1 : addPathLimit > 0 ? addPathLimit : Number.POSITIVE_INFINITY;
		const sent: SentPath[] = [];
		for (const { set: source, pathId } of paths) {
			if (sent.length === most) break;
			// Split horizon and policy before the limit; otherwise the peer would get too few
			// paths.
			if (member !== undefined && this.#dependencies.pool.peer[source] === member) continue;
			const set = this.resolve(source, prefixes, prefix);
			if (set !== 0) sent.push({ set, source, pathId: addPath ? pathId : 0 });
		}
		return sent;
	}

	/** Called by the pool before a set is freed. */
	forget(id: number): void {
		if (id === this.#lastAsked) this.#lastAsked = 0;
		const decided = this.#decided[id] ?? 0;
		if (decided === 0) return;
		this.#decided[id] = 0;
		if (decided > 0 && decided !== id) this.#dependencies.pool.release(decided);
		for (const made of this.#undecided.get(id)?.made.values() ?? [])
			if (made !== 0 && made !== id) this.#dependencies.pool.release(made);
		this.#undecided.delete(id);
	}

	/** The group is closed: releases all results of policy. */
	close(): void {
		for (let id = 1; id < this.#decided.length; id++) this.forget(id);
	}

	/** The reason why a route with this set is not sent, as text; `undefined`: it is sent. */
	obstacle(id: number, prefix: Prefix): string | undefined {
		const rule = this.#rule(id);
		if (rule !== undefined || this.#program === undefined) return rule;
		const term = this.#program.trace(this.#inputOf(id), prefix.bytes, prefix.length);
		if (term === undefined) return 'no term of an export policy matches';
		return term.action === 'reject' ? `rejected by export policy ${term.policy}, term ${term.term}` : undefined;
	}

	#permits(id: number): boolean {
		return this.#rule(id) === undefined;
	}

	/** The rule that forbids sending a set, among the rules that depend only on the set. */
	#rule(id: number): string | undefined {
		const { pool, options } = this.#dependencies;
		const { kind, client, policies, role, longLived } = this.terms;
		const flags = pool.flags[id] ?? 0;
		// RFC 8212 §2.
		if (policies === undefined) return 'no export policy for an external peer (RFC 8212)';
		// RFC 1997: routes with NO_ADVERTISE are not announced.
		if ((flags & Flag.noAdvertise) !== 0) return 'community no-advertise (RFC 1997)';
		// RFC 9494 §4.3: not sent to peers without the capability.
		if ((flags & Flag.llgrStale) !== 0 && !longLived)
			return 'long-lived stale, which the peer does not know (RFC 9494)';
		if (!this.#hasNextHop(id, flags)) return 'no address of this node can be its next hop for this peer';
		if (kind === 'external') {
			if ((flags & (Flag.noExport | Flag.noExportSubconfed)) !== 0) return 'community no-export (RFC 1997)';
			// RFC 9234 §5, egress.
			const upwards = role === 'customer' || role === 'peer' || role === 'route-server-client';
			return (flags & Flag.onlyToCustomer) === 0 || !upwards ? undefined : 'only to customers (RFC 9234)';
		}
		if ((flags & (Flag.external | Flag.local)) !== 0) return undefined;
		// RFC 4456 §6: routes learned inside the AS are passed on only by a reflector.
		const fromClient = ((pool.kind[id] ?? 0) & Kind.fromClient) !== 0;
		if (!fromClient && client === 'none')
			return 'from an internal peer to an internal peer: neither is a client (RFC 4456)';
		if (fromClient && client !== 'none' && !options.clientToClientReflection)
			return 'from a client to a client: clientToClientReflection is off';
		return undefined;
	}

	/** True if there is a next hop that the peer accepts. RFC 8950 §3 for IPv4 routes. */
	#hasNextHop(id: number, flags: number): boolean {
		const { family, extendedNextHop, nextHopSelf } = this.terms;
		const { pool, nextHops } = this.#dependencies;
		const nextHop = pool.nextHop[id] ?? 0;
		const linkLocal = nextHops.isLinkLocal(nextHop);
		if (setsSelf(this.terms, pool.kind[id] ?? 0, flags, nextHop, linkLocal)) return nextHopSelf.length > 0;
		return !linkLocal && (family === 'ipv6' || extendedNextHop || nextHops.family(nextHop) === 'ipv4');
	}

	#inputOf(id: number): PolicyInput {
		const { pool, nextHops, peerName, attributes, priorityOf } = this.#dependencies;
		const source = sourceOf(pool.flags[id] ?? 0);
		return {
			attributes: () => attributes(id),
			family: this.terms.family,
			source,
			sourcePeer: source === 'local' ? undefined : peerName(pool.peer[id] ?? 0),
			peerType: this.terms.kind,
			interfaceName: () => (source === 'local' ? '' : (nextHops.interfaceOf(pool.nextHop[id] ?? 0) ?? '')),
			priority: priorityOf(id),
		};
	}

	#decide(id: number, program: PolicyProgram): number {
		const { pool } = this.#dependencies;
		if (id >= this.#decided.length) {
			const larger = new Int32Array(pool.capacity);
			larger.set(this.#decided);
			this.#decided = larger;
		}
		const verdict = program.ask(this.#inputOf(id));
		if (verdict.type === 'by-prefix' && !program.readsAttributes) {
			const known = this.#trees.indexOf(verdict);
			const tree = firstTree - (known < 0 ? this.#trees.push(verdict) - 1 : known);
			this.#decided[id] = tree;
			return tree;
		}
		if (verdict.type === 'by-prefix') {
			this.#undecided.set(id, { tree: verdict, made: new Map() });
			this.#decided[id] = byPrefix;
			return byPrefix;
		}
		const made = this.#make(id, verdict);
		this.#decided[id] = made === 0 ? refused : made;
		return made === 0 ? refused : made;
	}

	/** For the last prefix written. */
	#forPrefix(id: number): number {
		const undecided = this.#undecided.get(id);
		if (undecided === undefined) return 0;
		const decided = undecided.tree.decide(this.#address, this.#prefix[0] ?? 0);
		const known = undecided.made.get(decided);
		if (known !== undefined) return known;
		const made = this.#make(id, decided);
		undecided.made.set(decided, made);
		return made;
	}

	/** The set to send, with a reference; 0: none. */
	#make(id: number, { accepted, state }: Decided): number {
		if (!accepted) return 0;
		if (!state.changed) return id;
		const { pool, exported } = this.#dependencies;
		const made = exported(id, state);
		if (made === 0) {
			this.#tooLong(id);
			return 0;
		}
		pool.retain(made);
		// Policy may have set a next hop that the peer does not accept. The peer evaluates
		// communities that policy added (NO_EXPORT, say).
		if (this.#hasNextHop(made, pool.flags[made] ?? 0)) return made;
		pool.release(made);
		return 0;
	}
}

/** The source of a route. */
export function sourceOf(flags: number): RouteSource {
	return (flags & Flag.local) !== 0 ? 'local' : (flags & Flag.external) !== 0 ? 'external' : 'internal';
}

/**
 * True if NEXT_HOP is replaced by our own address. RFC 4271 §5.1.3; policy overrides the session's
 * mode, and the mode overrides the rule. A link-local next hop is valid only on its link (RFC 2545
 * §3), which may differ from the peer's: unless `keep` is configured, our own address replaces it.
 */
export function setsSelf(
	terms: ExportTerms,
	kind: number,
	flags: number,
	nextHop: number,
	linkLocal: boolean,
): boolean {
	if (nextHop === 0) return true;
	if ((kind & Kind.nextHopKeep) !== 0) return false;
	if ((kind & Kind.nextHopSelf) !== 0) return true;
	switch (terms.nextHopMode) {
		case 'keep':
			return false;
		case 'self':
			// RFC 4456 §10: a reflector does not change reflected routes; `self` applies to
			// external and own routes.
			return terms.kind === 'external' || linkLocal || (flags & (Flag.external | Flag.local)) !== 0;
		case 'auto':
			// A route server (RFC 7947 §2.2) does not add itself to the path.
			return terms.kind === 'external' ? terms.client !== 'route-server' : linkLocal;
		default:
			return terms.nextHopMode satisfies never;
	}
}
