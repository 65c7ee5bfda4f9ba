import type { PathAttributes } from 'bgp-packet';
import type { RouteSource } from '../../core/index.ts';
import type { ByPrefix, Decided } from '../policy/program.ts';
import { PolicyProgram } from '../policy/program.ts';
import type { PolicyState } from '../policy/state.ts';
import type { AnnouncedPath } from '../rib/announced-paths.ts';
import { type AttributePool, Kind } from '../rib/attribute-pool.ts';
import { Flag } from '../rib/attribute-summary.ts';
import type { NextHops } from '../rib/next-hops.ts';
import type { PrefixTable } from '../rib/prefix-table.ts';
import type { RibOptions } from '../rib/types.ts';
import type { ExportTerms } from './export-terms.ts';

/** What an exporter asks of the RIB. */
export interface ExportContext {
	readonly pool: AttributePool;
	readonly nextHops: NextHops;
	readonly options: RibOptions;
	readonly peerName: (peer: number) => string;
	/** The cluster that a client is in. */
	readonly clusterOf: (peer: number) => number;
	readonly attributes: (id: number) => PathAttributes;
	/** The set that policy made of `id`; nobody holds a new one yet. 0: no message could hold it. */
	readonly exported: (id: number, state: PolicyState) => number;
	readonly priorityOf: (id: number) => number | undefined;
}

/** A route as it is sent. */
export interface SentPath {
	readonly set: number;
	/** The set in the table that it was made from. */
	readonly source: number;
	readonly pathId: number;
}

/** A set whose export policy looks at prefixes. */
interface Undecided {
	readonly tree: ByPrefix;
	readonly made: Map<Decided, number>;
}

const refused = -1;
const byPrefix = -2;
/** This, and below: a tree that many sets share, since the policy looks at prefixes alone. */
const firstTree = -3;

/**
 * Which routes the peers of a group are sent, and with which attribute set: a function of the set and, if policy says so, of
 * the prefix. So what has been sent needs no table of its own. Outcomes of policy are remembered by set.
 */
export class Exporter {
	readonly terms: ExportTerms;
	readonly #context: ExportContext;
	readonly #tooLong: (id: number) => void;
	readonly #program: PolicyProgram | undefined;
	/** By set: 0 not asked yet, `refused`, `byPrefix`, a shared tree, or the set to send; empty without policy. */
	#decided = new Int32Array(0);
	readonly #undecided = new Map<number, Undecided>();
	readonly #trees: ByPrefix[] = [];
	/** A prefix in wire form, and the address in it. */
	readonly #prefix = new Uint8Array(20);
	readonly #address = this.#prefix.subarray(1);
	#lastAsked = 0;
	#lastPermitted = false;

	/** `tooLong` is told of sets of which policy made more than any message holds. */
	constructor(terms: ExportTerms, context: ExportContext, tooLong: (id: number) => void) {
		this.terms = terms;
		this.#context = context;
		this.#tooLong = tooLong;
		this.#program = terms.policies === undefined || terms.policies.length === 0 ? undefined : new PolicyProgram(terms.policies);
		if (this.#program !== undefined) this.#decided = new Int32Array(context.pool.capacity);
	}

	/** The set to send for a route with this set, 0 for none. */
	resolve(id: number, prefixes: PrefixTable, prefix: number): number {
		if (id === 0) return 0;
		// Prefixes come in runs of one set.
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
		if (decided <= firstTree) return this.#trees[firstTree - decided]?.decide(this.#address, this.#prefix[0] ?? 0).accepted === true ? id : 0;
		return this.#forPrefix(id);
	}

	/** What is sent of the paths of a prefix, best first: the sets to send, where they come from, and our identifiers (RFC 7911). */
	resolvePaths(paths: readonly AnnouncedPath[], prefixes: PrefixTable, prefix: number): SentPath[] {
		const sent: SentPath[] = [];
		for (const { set: source, pathId } of this.terms.addPathLimit > 0 ? paths.slice(0, this.terms.addPathLimit) : paths) {
			const set = this.resolve(source, prefixes, prefix);
			if (set !== 0) sent.push({ set, source, pathId });
		}
		return sent;
	}

	/** A set is about to go; the pool tells. */
	forget(id: number): void {
		if (id === this.#lastAsked) this.#lastAsked = 0;
		const decided = this.#decided[id] ?? 0;
		if (decided === 0) return;
		this.#decided[id] = 0;
		if (decided > 0 && decided !== id) this.#context.pool.release(decided);
		for (const made of this.#undecided.get(id)?.made.values() ?? []) if (made !== 0 && made !== id) this.#context.pool.release(made);
		this.#undecided.delete(id);
	}

	/** The group is gone: lets go of all that policy made. */
	close(): void {
		for (let id = 1; id < this.#decided.length; id++) this.forget(id);
	}

	/** The rules that ask for nothing but the set. */
	#permits(id: number): boolean {
		const { pool, options } = this.#context;
		const { kind, client, policies, role, longLived } = this.terms;
		const flags = pool.flags[id] ?? 0;
		// RFC 8212 §2.
		if (policies === undefined) return false;
		// RFC 1997: NO_ADVERTISE to nobody.
		if ((flags & Flag.noAdvertise) !== 0) return false;
		// RFC 9494 §4.3: not to who does not know what it means.
		if ((flags & Flag.llgrStale) !== 0 && !longLived) return false;
		if (!this.#hasNextHop(id, flags)) return false;
		if (kind === 'external') {
			if ((flags & (Flag.noExport | Flag.noExportSubconfed)) !== 0) return false;
			// RFC 9234 §5, egress.
			const upwards = role === 'customer' || role === 'peer' || role === 'route-server-client';
			return (flags & Flag.onlyToCustomer) === 0 || !upwards;
		}
		if ((flags & (Flag.external | Flag.local)) !== 0) return true;
		// RFC 4456 §6: what is learned inside the AS goes on only as a reflector does it.
		const fromClient = ((pool.kind[id] ?? 0) & Kind.fromClient) !== 0;
		if (!fromClient && client === 'none') return false;
		if (fromClient && client !== 'none') return options.clientToClientReflection;
		return true;
	}

	/** Is there a next hop that the peer can be told? RFC 8950 §3 for IPv4 routes. */
	#hasNextHop(id: number, flags: number): boolean {
		const { family, extendedNextHop, nextHopSelf } = this.terms;
		const { pool, nextHops } = this.#context;
		const nextHop = pool.nextHop[id] ?? 0;
		const linkLocal = nextHops.isLinkLocal(nextHop);
		if (setsSelf(this.terms, pool.kind[id] ?? 0, flags, nextHop, linkLocal)) return nextHopSelf.length > 0;
		return !linkLocal && (family === 'ipv6' || extendedNextHop || nextHops.family(nextHop) === 'ipv4');
	}

	#decide(id: number, program: PolicyProgram): number {
		const { pool, nextHops, peerName, attributes, priorityOf } = this.#context;
		if (id >= this.#decided.length) {
			const larger = new Int32Array(pool.capacity);
			larger.set(this.#decided);
			this.#decided = larger;
		}
		const source = sourceOf(pool.flags[id] ?? 0);
		const verdict = program.ask({
			attributes: () => attributes(id),
			family: this.terms.family,
			source,
			sourcePeer: source === 'local' ? undefined : peerName(pool.peer[id] ?? 0),
			peerType: this.terms.kind,
			interfaceName: () => (source === 'local' ? '' : (nextHops.interfaceOf(pool.nextHop[id] ?? 0) ?? '')),
			priority: priorityOf(id),
		});
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

	/** For the prefix that was written last. */
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

	/** The set to send, held; 0: none. */
	#make(id: number, { accepted, state }: Decided): number {
		if (!accepted) return 0;
		if (!state.changed) return id;
		const { pool, exported } = this.#context;
		const made = exported(id, state);
		if (made === 0) {
			this.#tooLong(id);
			return 0;
		}
		pool.retain(made);
		// Policy may have set a next hop that the peer can't be told. What it says in communities (NO_EXPORT, say) is for the peer to obey.
		if (this.#hasNextHop(made, pool.flags[made] ?? 0)) return made;
		pool.release(made);
		return 0;
	}
}

/** What a route is to us. */
export function sourceOf(flags: number): RouteSource {
	return (flags & Flag.local) !== 0 ? 'local' : (flags & Flag.external) !== 0 ? 'external' : 'internal';
}

/**
 * Is NEXT_HOP to be our own address? RFC 4271 §5.1.3; policy before the session's mode, and that before the rule. A link-local next hop goes
 * no further than its link (RFC 2545 §3), which is not known to be the peer's: where nobody wants it kept, we stand in for it.
 */
export function setsSelf(terms: ExportTerms, kind: number, flags: number, nextHop: number, linkLocal: boolean): boolean {
	if (nextHop === 0) return true;
	if ((kind & Kind.nextHopKeep) !== 0) return false;
	if ((kind & Kind.nextHopSelf) !== 0) return true;
	switch (terms.nextHopMode) {
		case 'keep':
			return false;
		case 'self':
			// RFC 4456 §10: a reflector leaves what it reflects as it is; `self` is for what comes from outside or from here.
			return terms.kind === 'external' || linkLocal || (flags & (Flag.external | Flag.local)) !== 0;
		case 'auto':
			// A route server (RFC 7947 §2.2) is not on the path.
			return terms.kind === 'external' ? terms.client !== 'route-server' : linkLocal;
		default:
			return terms.nextHopMode satisfies never;
	}
}
