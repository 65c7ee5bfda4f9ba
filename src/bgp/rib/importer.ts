import {
	AttributeCode,
	AttributeScan,
	attributesOf,
	encodeAttributes,
	judgeAttributes,
	type PacketContext,
	type PathAttributes,
	passedOn,
	remedyLevel,
	Summary,
	updateError,
} from 'bgp-packet';
import type { Family, Prefix } from '../../core/index.ts';
import type { RibOptions } from '../model/rib.ts';
import { defaultNormalPriority, elevatedMetricOf, localPrefOf } from '../model/route-priority.ts';
import { hopsOf, prepended } from '../policy/as-path.ts';
import { nextHopOf } from '../policy/matches.ts';
import type { ByPrefix, Decided, DecidingTerm } from '../policy/program.ts';
import type { PolicyState } from '../policy/state.ts';
import { type AttributePool, Kind } from '../table/attribute-pool.ts';
import { Flag, summarize } from '../table/attribute-summary.ts';
import type { NextHops } from '../table/next-hops.ts';
import type { RibPeer } from '../table/peers.ts';
import type { PrefixTable } from '../table/prefix-table.ts';
import { storedContext } from '../table/stored-context.ts';
import { type Derived, inputOf, once, verdictOf } from './import-policy.ts';

/** Values of `AttributePool.imported` that are no id. */
export const Imported = {
	/** Malformed: every route with it is withdrawn. RFC 7606 §2. */
	withdraw: -1,
	/** Policy depends on the prefix: use `forPrefix`. */
	byPrefix: -2,
} as const;

/** RFC 8654 §3: maximum length of a message. */
const mostBytes = 0xffff;

/** A received set during its evaluation. */
interface Incoming {
	readonly peer: RibPeer;
	readonly id: number;
	readonly family: Family;
	/** Its bytes can be stored and sent unchanged. */
	readonly usable: boolean;
	/** Its attributes, with the additions of import before policy. */
	readonly attributes: () => PathAttributes;
	/** Number of AS numbers in the received path. */
	readonly hops: () => number;
}

/** A set whose policy depends on prefixes: the decision tree, and the result of each outcome. */
interface Undecided {
	readonly incoming: Incoming;
	readonly tree: ByPrefix;
	made: Map<Decided, number> | undefined;
}

/**
 * Processes received attribute sets: each is validated once at its first occurrence (RFC 7606),
 * rewritten once if its bytes can not be stored unchanged, and evaluated by import policy once, or
 * once per outcome if the policy depends on the prefix.
 */
export class Importer {
	readonly #pool: AttributePool;
	readonly #options: RibOptions;
	readonly #nextHops: NextHops;
	readonly #scan = new AttributeScan();
	readonly #undecided = new Map<number, Undecided>();
	/** A prefix in wire form, and its address. */
	readonly #prefix = new Uint8Array(20);
	readonly #address = this.#prefix.subarray(1);

	constructor(pool: AttributePool, options: RibOptions, nextHops: NextHops) {
		this.#pool = pool;
		this.#options = options;
		this.#nextHops = nextHops;
		pool.onFree((id) => this.#forget(id));
	}

	/**
	 * The attribute set of a received block, with `imported` decided; the caller holds a reference
	 * and releases it. `multiprotocol`: its routes are in MP_REACH_NLRI, which is trimmed. @throws
	 * PacketError with remedy `session-reset`
	 */
	receive(
		peer: RibPeer,
		family: Family,
		multiprotocol: boolean,
		bytes: Uint8Array,
		start: number,
		end: number,
	): number {
		const pool = this.#pool;
		const kind = (peer.isClient ? Kind.fromClient : 0) | (peer.context.fourOctetAs ? 0 : Kind.twoOctetAs);
		const id = pool.intern(peer.id, kind, 0, 0, bytes, start, end);
		pool.retain(id);
		if (pool.imported[id] !== 0) return id;
		if (multiprotocol) pool.flags[id] = Flag.multiprotocol;
		try {
			this.#import(peer, id, family, multiprotocol);
		} catch (error) {
			pool.release(id);
			throw error;
		}
		return id;
	}

	/** The set for one prefix, if `imported` is `byPrefix`; a new set has no reference yet. */
	forPrefix(id: number, prefixes: PrefixTable, prefix: number): number {
		const undecided = this.#undecided.get(id);
		if (undecided === undefined) return id;
		prefixes.write(prefix, this.#prefix, 0);
		const decided = undecided.tree.decide(this.#address, this.#prefix[0] ?? 0);
		if (decided.accepted && !decided.state.changed && undecided.incoming.usable) return id;
		undecided.made ??= new Map();
		const known = undecided.made.get(decided);
		if (known !== undefined) return known;
		const made = this.#make(undecided.incoming, decided);
		undecided.made.set(decided, made);
		return made;
	}

	/**
	 * Discards the import results of a peer's sets: they are decided again at the next reception.
	 */
	forgetPeer(peer: number): void {
		const pool = this.#pool;
		for (let id = 1; id < pool.limit; id++) {
			if (pool.peer[id] !== peer || pool.source[id] !== 0) continue;
			pool.imported[id] = 0;
			this.#undecided.delete(id);
		}
	}

	/**
	 * Own identifiers have changed: repeats the loop detection. Returns the ids of peers with a
	 * changed set. Results of policy stay, because policies do not depend on own identifiers.
	 */
	judgeAgain(peerOf: (id: number) => RibPeer): Set<number> {
		const pool = this.#pool;
		const changed = new Set<number>();
		const scan = new AttributeScan();
		for (let id = 1; id < pool.limit; id++) {
			const peer = pool.peer[id] ?? 0;
			if (peer === 0 || !pool.isHeld(id) || ((pool.kind[id] ?? 0) & Kind.exported) !== 0 || !this.#isSummarized(id))
				continue;
			const before = pool.reason[id];
			const start = pool.start(id);
			judgeAttributes(pool.slab(id), start, start + (pool.length[id] ?? 0), storedContext, scan);
			summarize(pool, id, scan, peerOf(peer), this.#options, this.#nextHops);
			if (pool.reason[id] !== before) changed.add(peer);
		}
		return changed;
	}

	/** The set itself is in routes: it was created here, or is usable as received. */
	#isSummarized(id: number): boolean {
		const imported = this.#pool.imported[id];
		if ((this.#pool.source[id] ?? 0) !== 0 || imported === id) return true;
		return imported === Imported.byPrefix && this.#undecided.get(id)?.incoming.usable === true;
	}

	/**
	 * Our AS number towards this peer, if it is prepended to received paths, so that the replaced
	 * AS is in the path (RFC 7705 §3).
	 */
	prependsOnImport({ external, localAsNumber, options }: RibPeer): number | undefined {
		const isOther = external && localAsNumber !== this.#options.localAsNumber;
		// RFC 7947 §2.2.2: a route server does not add itself to the path.
		return isOther && !options.noPrependInbound && !options.routeServerClient ? localAsNumber : undefined;
	}

	/** A set of this node; a new one has no reference yet. */
	originate(peer: RibPeer, kind: number, priority: number | undefined, attributes: PathAttributes): number {
		return this.#intern(peer, kind, priority, 0, encodeAttributes(attributes, storedContext));
	}

	/**
	 * The result of export policy for `id` from `peer`; a new set has no reference yet. 0: too long
	 * for any message.
	 */
	exported(peer: RibPeer, id: number, state: PolicyState): number {
		const kind = (this.#pool.kind[id] ?? 0) | kindOf(state) | Kind.exported;
		const block = encodeAttributes(state.attributes, storedContext);
		return block.length > mostBytes ? 0 : this.#intern(peer, kind, state.priority, id, block);
	}

	/**
	 * `id` with changed attributes (an added community, say), from the same received set; a new set
	 * has no reference yet. `id` itself if the result is too long for any message.
	 */
	variant(peer: RibPeer, id: number, kind: number, attributes: PathAttributes): number {
		const kinds = ((this.#pool.kind[id] ?? 0) & ~Kind.twoOctetAs) | kind;
		const block = encodeAttributes(attributes, storedContext);
		return block.length > mostBytes
			? id
			: this.#intern(peer, kinds, this.#setPriorityOf(id), this.received(id), block, this.#pool.added[id]);
	}

	/** The received set from which import created `id`. */
	received(id: number): number {
		return this.#pool.source[id] || id;
	}

	/** The kernel metric set by a policy, or that LOCAL_PREF stands for. */
	priorityOf(id: number, family: Family): number | undefined {
		return this.#setPriorityOf(id) ?? this.#elevated(this.#pool.localPref[id], family);
	}

	/**
	 * The deciding term of the import policy for a received route; `undefined`: no policy, or no
	 * matching term.
	 */
	decidingTerm(peer: RibPeer, id: number, { family, bytes, length }: Prefix): DecidingTerm | undefined {
		if (peer.importProgram === undefined || peer.deniesImport) return undefined;
		const attributes = once((): PathAttributes => {
			const received = this.attributes(this.received(id));
			const marks = peer.marksOnlyToCustomer && received.onlyToCustomer === undefined;
			const marked = marks ? { ...received, onlyToCustomer: peer.asNumber } : received;
			const localAs = this.prependsOnImport(peer);
			return localAs === undefined ? marked : { ...marked, asPath: prepended([localAs], marked.asPath) };
		});
		const input = inputOf(peer, attributes, family, this.#derived(peer, family));
		return peer.importProgram.trace(input, bytes, length);
	}

	/** The attributes of a set as objects, for output and policy. */
	attributes(id: number): PathAttributes {
		const twoOctetAs = ((this.#pool.kind[id] ?? 0) & Kind.twoOctetAs) !== 0;
		return this.#decode(id, twoOctetAs ? { ...storedContext, fourOctetAs: false } : storedContext);
	}

	#import(peer: RibPeer, id: number, family: Family, multiprotocol: boolean): void {
		const pool = this.#pool;
		const scan = this.#scan;
		const slab = pool.slab(id);
		const start = pool.start(id);
		judgeAttributes(slab, start, start + (pool.length[id] ?? 0), peer.context, scan);
		if (multiprotocol) scan.summary |= Summary.reachable;
		const level = remedyLevel(scan.summary, !multiprotocol);
		if (level === 3) throw updateError(slab, scan, !multiprotocol);
		if (level === 2) {
			pool.imported[id] = Imported.withdraw;
			return;
		}
		if (level === 1) pool.flags[id] = (pool.flags[id] ?? 0) | Flag.discarded;
		// RFC 9234 §5, ingress: routes from a provider, peer or route server without the attribute
		// get it here.
		const marks =
			peer.marksOnlyToCustomer && !scan.codes.subarray(0, scan.count).includes(AttributeCode.onlyToCustomer);
		const localAs = this.prependsOnImport(peer);
		const usable =
			(scan.summary & Summary.rewrite) === 0 && peer.context.fourOctetAs && !marks && localAs === undefined;
		if (usable) summarize(pool, id, scan, peer, this.#options, this.#nextHops);
		if (usable && peer.importProgram === undefined && !peer.deniesImport) {
			pool.imported[id] = id;
			return;
		}
		const received = once(() => this.#decode(id, peer.context));
		const attributes = once((): PathAttributes => {
			const marked = marks ? { ...received(), onlyToCustomer: peer.asNumber } : received();
			return localAs === undefined ? marked : { ...marked, asPath: prepended([localAs], marked.asPath) };
		});
		const incoming = { peer, id, family, usable, attributes, hops: () => hopsOf(received().asPath) };
		const verdict = verdictOf(peer, attributes, family, this.#derived(peer, family));
		if (verdict?.type === 'by-prefix') {
			this.#undecided.set(id, { incoming, tree: verdict, made: undefined });
			pool.imported[id] = Imported.byPrefix;
			return;
		}
		// In two steps: creating a set may replace the column.
		const made = this.#make(incoming, verdict);
		pool.imported[id] = made;
	}

	/** The set of an outcome; without an outcome, the received set. */
	#make({ peer, id, family, usable, attributes, hops }: Incoming, decided: Decided | undefined): number {
		const pool = this.#pool;
		const kind = (pool.kind[id] ?? 0) & ~Kind.twoOctetAs;
		const made = (kinds: number, priority: number | undefined, changed: PathAttributes) => {
			const block = encodeAttributes(changed, storedContext);
			// Converts AS numbers of two octets to four, and applies the changes of policy.
			if (block.length > mostBytes)
				return this.#intern(
					peer,
					kind | Kind.tooLong,
					undefined,
					id,
					encodeAttributes(withoutLists(changed), storedContext),
				);
			return this.#intern(peer, kinds, priority, id, block, hopsOf(changed.asPath) - hops());
		};
		if (decided !== undefined && !decided.accepted) {
			return usable
				? this.#intern(peer, kind | Kind.rejected, undefined, id, pool.bytes(id))
				: made(kind | Kind.rejected, undefined, attributes());
		}
		if (decided?.state.changed) {
			const { state } = decided;
			const { attributes: changed, priority } = state;
			// A metric of migration, by a community of another AS: inside this AS, LOCAL_PREF carries it.
			const moved =
				changed.localPref === undefined &&
				priority !== undefined &&
				priority > 0 &&
				priority < this.#normalPriority(family);
			// A MED set on import is only for our own selection (RFC 4271 §5.1.4 (b)); only one set
			// on export is sent to another AS.
			return made(
				kind | (kindOf(state) & ~Kind.medSet),
				priority,
				moved ? { ...changed, localPref: localPrefOf(priority) } : changed,
			);
		}
		return usable ? id : made(kind, undefined, attributes());
	}

	/** `added`: AS numbers that were not in the received path. */
	#intern(
		peer: RibPeer,
		kind: number,
		priority: number | undefined,
		source: number,
		block: Uint8Array,
		added = 0,
	): number {
		const pool = this.#pool;
		const id = pool.intern(peer.id, kind, priority === undefined ? 0 : priority + 1, source, block, 0, block.length);
		if (pool.isNew) {
			pool.added[id] = added;
			const start = pool.start(id);
			const scan = new AttributeScan();
			judgeAttributes(pool.slab(id), start, start + block.length, storedContext, scan);
			summarize(pool, id, scan, peer, this.#options, this.#nextHops);
		}
		return id;
	}

	/** The kernel metric set by a policy. */
	#setPriorityOf(id: number): number | undefined {
		const priority = this.#pool.priority[id] ?? 0;
		return priority === 0 ? undefined : priority - 1;
	}

	#derived(peer: RibPeer, family: Family): Derived {
		return {
			interfaceOf: (given) => this.#interfaceOf(peer, given),
			// LOCAL_PREF of another AS has no meaning here (RFC 4271 §5.1.5).
			priorityOf: ({ localPref }) => (peer.external ? undefined : this.#elevated(localPref, family)),
		};
	}

	#elevated(localPref: number | undefined, family: Family): number | undefined {
		return elevatedMetricOf(localPref, this.#normalPriority(family));
	}

	#normalPriority(family: Family): number {
		return this.#options.normalPriority?.(family) ?? defaultNormalPriority;
	}

	/** The interface of the received route. */
	#interfaceOf({ interfaceName }: RibPeer, attributes: PathAttributes): string {
		const nextHop = nextHopOf(attributes);
		return nextHop === undefined
			? ''
			: (this.#nextHops.interfaceOf(this.#nextHops.intern(nextHop, 0, nextHop.length, interfaceName)) ?? '');
	}

	#decode(id: number, context: PacketContext): PathAttributes {
		const bytes = this.#pool.bytes(id);
		const scan = new AttributeScan();
		judgeAttributes(bytes, 0, bytes.length, context, scan);
		return passedOn(attributesOf(bytes, scan, context));
	}

	/** A set is about to be freed: removes all cached results from it and to it. */
	#forget(id: number): void {
		if (this.#undecided.size === 0) return;
		this.#undecided.delete(id);
		const undecided = this.#undecided.get(this.#pool.source[id] ?? 0);
		for (const [outcome, made] of undecided?.made ?? []) if (made === id) undecided?.made?.delete(outcome);
	}
}

/** The attributes of fixed length, with an empty AS_PATH. */
function withoutLists({ origin, nextHop, mpReach, med, localPref }: PathAttributes): PathAttributes {
	const kept = { origin, nextHop, mpReach, med, localPref, asPath: [] };
	// Absent members are omitted, so that none is undefined.
	return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as PathAttributes;
}

function kindOf({ nextHop, medSet }: PolicyState): number {
	return (
		(nextHop === 'self' ? Kind.nextHopSelf : nextHop === 'keep' ? Kind.nextHopKeep : 0) | (medSet ? Kind.medSet : 0)
	);
}
