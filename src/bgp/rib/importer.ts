import {
	AttributeCode,
	AttributeScan,
	attributesOf,
	encodeAttributes,
	judgeAttributes,
	type PacketContext,
	type PathAttributes,
	packetContext,
	passedOn,
	remedyLevel,
	Summary,
	updateError,
} from 'bgp-packet';
import type { Family } from '../../core/index.ts';
import { hopsOf, prepended } from '../policy/as-path.ts';
import { nextHopOf } from '../policy/matches.ts';
import type { ByPrefix, Decided, Verdict } from '../policy/program.ts';
import { type PolicyInput, PolicyState } from '../policy/state.ts';
import { type AttributePool, Kind } from './attribute-pool.ts';
import { Flag, summarize } from './attribute-summary.ts';
import type { NextHops } from './next-hops.ts';
import type { RibPeer } from './peers.ts';
import type { PrefixTable } from './prefix-table.ts';
import type { RibOptions } from './types.ts';

/** What `AttributePool.imported` says instead of an id. */
export const Imported = {
	/** Malformed: every route with it is withdrawn. RFC 7606 §2. */
	withdraw: -1,
	/** Policy looks at the prefix: ask `forPrefix`. */
	byPrefix: -2,
} as const;

/** RFC 8654 §3: no message is longer, so nobody could be told more. */
const mostBytes = 0xffff;

/** How stored blocks are read: 4-octet AS numbers, every attribute allowed, any next hop. */
export const storedContext: PacketContext = packetContext({ extendedNextHop: () => true });

/** A set that came from a peer, while it is looked at. */
interface Incoming {
	readonly peer: RibPeer;
	readonly id: number;
	/** Its bytes can be kept and sent as they are. */
	readonly usable: boolean;
	/** Its attributes, with what import adds before any policy. */
	readonly attributes: () => PathAttributes;
	/** AS numbers in its path as it came. */
	readonly hops: () => number;
}

/** A set whose policy looks at prefixes: the decision tree, and what was made of each outcome. */
interface Undecided {
	readonly incoming: Incoming;
	readonly tree: ByPrefix;
	made: Map<Decided, number> | undefined;
}

/**
 * What becomes of attribute sets that come in: judged once on first sight (RFC 7606), rewritten once where the bytes can't be
 * kept as they are, put through import policy once, or once per outcome where the policy asks for the prefix.
 */
export class Importer {
	readonly #pool: AttributePool;
	readonly #options: RibOptions;
	readonly #nextHops: NextHops;
	readonly #scan = new AttributeScan();
	readonly #undecided = new Map<number, Undecided>();
	/** A prefix in wire form, and the address in it. */
	readonly #prefix = new Uint8Array(20);
	readonly #address = this.#prefix.subarray(1);

	constructor(pool: AttributePool, options: RibOptions, nextHops: NextHops) {
		this.#pool = pool;
		this.#options = options;
		this.#nextHops = nextHops;
		pool.onFree((id) => this.#forget(id));
	}

	/**
	 * The attribute set of a block that came from a peer, with `imported` decided; held for the caller, who releases it.
	 * `multiprotocol`: it goes with routes in MP_REACH_NLRI, which is trimmed. @throws PacketError with remedy `session-reset`
	 */
	receive(peer: RibPeer, family: Family, multiprotocol: boolean, bytes: Uint8Array, start: number, end: number): number {
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

	/** The set for one prefix, where `imported` is `byPrefix`; nobody holds a new one yet. */
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

	/** Forgets what import made of the sets of a peer: it is decided again when they are next received. */
	forgetPeer(peer: number): void {
		const pool = this.#pool;
		for (let id = 1; id < pool.limit; id++) {
			if (pool.peer[id] !== peer || pool.source[id] !== 0) continue;
			pool.imported[id] = 0;
			this.#undecided.delete(id);
		}
	}

	/**
	 * Own numbers have changed: what the sets say of loops is read again. The ids of peers with a set that is judged otherwise now.
	 * Policies do not ask for own numbers, so what they made stays.
	 */
	judgeAgain(peerOf: (id: number) => RibPeer): Set<number> {
		const pool = this.#pool;
		const changed = new Set<number>();
		const scan = new AttributeScan();
		for (let id = 1; id < pool.limit; id++) {
			const peer = pool.peer[id] ?? 0;
			if (peer === 0 || !pool.isHeld(id) || ((pool.kind[id] ?? 0) & Kind.exported) !== 0 || !this.#isSummarized(id)) continue;
			const before = pool.reason[id];
			const start = pool.start(id);
			judgeAttributes(pool.slab(id), start, start + (pool.length[id] ?? 0), storedContext, scan);
			summarize(pool, id, scan, peerOf(peer), this.#options, this.#nextHops);
			if (pool.reason[id] !== before) changed.add(peer);
		}
		return changed;
	}

	/** Routes have the set itself: it was made here, or what came is usable as it is. */
	#isSummarized(id: number): boolean {
		const imported = this.#pool.imported[id];
		if ((this.#pool.source[id] ?? 0) !== 0 || imported === id) return true;
		return imported === Imported.byPrefix && this.#undecided.get(id)?.incoming.usable === true;
	}

	/**
	 * Our number towards this peer where it is put in front of what comes from there, so that the AS in whose place we are stands in the
	 * path (RFC 7705 §3).
	 */
	prependsOnImport({ external, localAsNumber, options }: RibPeer): number | undefined {
		const isOther = external && localAsNumber !== this.#options.localAsNumber;
		// RFC 7947 §2.2.2: a route server is not on the path.
		return isOther && !options.noPrependInbound && !options.routeServerClient ? localAsNumber : undefined;
	}

	/** A set of this node's own; nobody holds a new one yet. */
	originate(peer: RibPeer, kind: number, priority: number | undefined, attributes: PathAttributes): number {
		return this.#intern(peer, kind, priority, 0, encodeAttributes(attributes, storedContext));
	}

	/** The set that export policy made of `id`, which came from `peer`; nobody holds a new one yet. 0: no message could hold it. */
	exported(peer: RibPeer, id: number, state: PolicyState): number {
		const kind = (this.#pool.kind[id] ?? 0) | kindOf(state) | Kind.exported;
		const block = encodeAttributes(state.attributes, storedContext);
		return block.length > mostBytes ? 0 : this.#intern(peer, kind, state.priority, id, block);
	}

	/** `id` with other attributes (a community added, say), made from the same received set; nobody holds a new one yet. `id` itself where no message could hold it. */
	variant(peer: RibPeer, id: number, kind: number, attributes: PathAttributes): number {
		const kinds = ((this.#pool.kind[id] ?? 0) & ~Kind.twoOctetAs) | kind;
		const block = encodeAttributes(attributes, storedContext);
		return block.length > mostBytes ? id : this.#intern(peer, kinds, this.priorityOf(id), this.received(id), block, this.#pool.added[id]);
	}

	/** The set as it came, of which import made `id`. */
	received(id: number): number {
		return this.#pool.source[id] || id;
	}

	/** The kernel metric that a policy asked for. */
	priorityOf(id: number): number | undefined {
		const priority = this.#pool.priority[id] ?? 0;
		return priority === 0 ? undefined : priority - 1;
	}

	/** The attributes of a set as objects, for people and for policy. */
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
		// RFC 9234 §5, ingress: what a provider, peer or route server sends without the mark gets it here.
		const marks = peer.marksOnlyToCustomer && !scan.codes.subarray(0, scan.count).includes(AttributeCode.onlyToCustomer);
		const localAs = this.prependsOnImport(peer);
		const usable = (scan.summary & Summary.rewrite) === 0 && peer.context.fourOctetAs && !marks && localAs === undefined;
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
		const incoming = { peer, id, usable, attributes, hops: () => hopsOf(received().asPath) };
		const verdict = verdictOf(incoming, family, (attributes) => this.#interfaceOf(attributes));
		if (verdict?.type === 'by-prefix') {
			this.#undecided.set(id, { incoming, tree: verdict, made: undefined });
			pool.imported[id] = Imported.byPrefix;
			return;
		}
		// In two steps: making one may replace the column.
		const made = this.#make(incoming, verdict);
		pool.imported[id] = made;
	}

	/** The set that an outcome leads to; without one, what came as it is. */
	#make({ peer, id, usable, attributes, hops }: Incoming, decided: Decided | undefined): number {
		const pool = this.#pool;
		const kind = (pool.kind[id] ?? 0) & ~Kind.twoOctetAs;
		const made = (kinds: number, priority: number | undefined, changed: PathAttributes) => {
			const block = encodeAttributes(changed, storedContext);
			// AS numbers of two octets become four, and policy adds what it likes.
			if (block.length > mostBytes) return this.#intern(peer, kind | Kind.tooLong, undefined, id, encodeAttributes(withoutLists(changed), storedContext));
			return this.#intern(peer, kinds, priority, id, block, hopsOf(changed.asPath) - hops());
		};
		if (decided !== undefined && !decided.accepted) {
			return usable ? this.#intern(peer, kind | Kind.rejected, undefined, id, pool.bytes(id)) : made(kind | Kind.rejected, undefined, attributes());
		}
		if (decided?.state.changed) {
			const { state } = decided;
			// A MED set on import is for our own selection (RFC 4271 §5.1.4 (b)); only one set on export goes to another AS.
			return made(kind | (kindOf(state) & ~Kind.medSet), state.priority, state.attributes);
		}
		return usable ? id : made(kind, undefined, attributes());
	}

	/** `added`: AS numbers that are not those of the path as it came. */
	#intern(peer: RibPeer, kind: number, priority: number | undefined, source: number, block: Uint8Array, added = 0): number {
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

	/** Of the route as it came. */
	#interfaceOf(attributes: PathAttributes): string {
		const nextHop = nextHopOf(attributes);
		return nextHop === undefined ? '' : (this.#nextHops.interfaceOf(this.#nextHops.intern(nextHop, 0, nextHop.length)) ?? '');
	}

	#decode(id: number, context: PacketContext): PathAttributes {
		const bytes = this.#pool.bytes(id);
		const scan = new AttributeScan();
		judgeAttributes(bytes, 0, bytes.length, context, scan);
		return passedOn(attributesOf(bytes, scan, context));
	}

	/** A set is about to go: nothing that was made of it, or led to it, may be found any more. */
	#forget(id: number): void {
		if (this.#undecided.size === 0) return;
		this.#undecided.delete(id);
		const undecided = this.#undecided.get(this.#pool.source[id] ?? 0);
		for (const [outcome, made] of undecided?.made ?? []) if (made === id) undecided?.made?.delete(outcome);
	}
}

/** What has a length of its own, with an empty AS_PATH. */
function withoutLists({ origin, nextHop, mpReach, med, localPref }: PathAttributes): PathAttributes {
	const kept = { origin, nextHop, mpReach, med, localPref, asPath: [] };
	// What is not there is left out, so that none is undefined.
	return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as PathAttributes;
}

/** What import policy says; `undefined` without one. */
function verdictOf({ peer, attributes }: Incoming, family: Family, interfaceOf: (attributes: PathAttributes) => string): Verdict | undefined {
	const source = peer.external ? 'external' : 'internal';
	const interfaceName = () => interfaceOf(attributes());
	const input: PolicyInput = { attributes, family, source, sourcePeer: peer.name, peerType: source, interfaceName, priority: undefined };
	// RFC 8212 §2.
	if (peer.deniesImport) return { type: 'decided', accepted: false, state: new PolicyState(input) };
	return peer.importProgram?.ask(input);
}

function kindOf({ nextHop, medSet }: PolicyState): number {
	return (nextHop === 'self' ? Kind.nextHopSelf : nextHop === 'keep' ? Kind.nextHopKeep : 0) | (medSet ? Kind.medSet : 0);
}

/** Makes a value when it is first asked for. */
function once<T extends object>(make: () => T): () => T {
	let value: T | undefined;
	return () => {
		value ??= make();
		return value;
	};
}
