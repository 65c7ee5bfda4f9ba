import type { Batch } from '../table/batch.ts';
import type { RibPeer } from '../table/peers.ts';
import type { ExportTerms } from './export-terms.ts';
import { UpdateGroup } from './group.ts';
import type { GroupDependencies } from './group-dependencies.ts';

/** All update groups of one family, by the text of their terms. */
export class Groups {
	readonly #dependencies: GroupDependencies;
	readonly #groups = new Map<string, UpdateGroup>();
	readonly #ofPeer = new Map<number, UpdateGroup>();

	constructor(dependencies: GroupDependencies) {
		this.#dependencies = dependencies;
		dependencies.pool.onFree((id) => {
			for (const group of this.#groups.values()) group.outgoing.exporter.forget(id);
		});
	}

	get size(): number {
		return this.#groups.size;
	}

	of(peer: number): UpdateGroup | undefined {
		return this.#ofPeer.get(peer);
	}

	/**
	 * Adds a peer to the group of its terms. A new peer gets all routes, and `finish` at the end.
	 */
	join(peer: RibPeer, terms: ExportTerms, finish: Uint8Array | undefined): void {
		this.#enter(peer, terms).join(peer, true, finish);
	}

	/**
	 * The terms of a peer changed: it gets the withdrawals, and all routes again. `false`: they are
	 * unchanged.
	 */
	move(peer: RibPeer, terms: ExportTerms): boolean {
		const old = this.#ofPeer.get(peer.id);
		if (old === undefined || JSON.stringify(old.terms) === JSON.stringify(terms)) return false;
		const pending = old.members.get(peer.id)?.catchUp;
		const group = this.#enter(peer, terms);
		const member = group.join(peer, false, pending?.finish);
		if (member.catchUp !== undefined) member.catchUp.refresh = pending?.refresh;
		const { prefixes } = this.#dependencies.table;
		for (let prefix = 1; prefix < prefixes.limit; prefix++) {
			const present = group.outgoing.sentTo(peer.id, prefix);
			for (const { pathId } of old.outgoing.sentTo(peer.id, prefix)) {
				if (present.some((path) => path.pathId === pathId)) continue;
				if (terms.addPath) member.catchUp?.missPath(prefix, pathId);
				else member.catchUp?.miss(prefix);
			}
		}
		old.leaveFor(peer.id, member);
		this.#closeIfEmpty(old);
		return true;
	}

	/** Sends all routes to a peer again, with `begin` before and `finish` after them. */
	resend(peer: number, begin: Uint8Array | undefined, finish: Uint8Array | undefined): void {
		const group = this.#ofPeer.get(peer);
		const member = group?.members.get(peer);
		if (member !== undefined) group?.resend(member, begin, finish);
	}

	leave(peer: number): void {
		const group = this.#ofPeer.get(peer);
		if (group === undefined) return;
		this.#ofPeer.delete(peer);
		group.leave(peer);
		this.#closeIfEmpty(group);
	}

	emit(batch: Batch): void {
		for (const group of this.#groups.values()) {
			try {
				group.emit(batch);
			} catch (error) {
				this.#dependencies.failed(
					[...group.members.values()].map(({ peer }) => peer),
					error,
				);
			}
		}
	}

	#enter(peer: RibPeer, terms: ExportTerms): UpdateGroup {
		const key = JSON.stringify(terms);
		let group = this.#groups.get(key);
		if (group === undefined) {
			group = new UpdateGroup(terms, this.#dependencies);
			this.#groups.set(key, group);
		}
		this.#ofPeer.set(peer.id, group);
		return group;
	}

	#closeIfEmpty(group: UpdateGroup): void {
		if (group.members.size > 0) return;
		group.close();
		this.#groups.delete(JSON.stringify(group.terms));
	}
}
