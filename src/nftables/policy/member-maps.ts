import type { SetChange, SetId } from '../../policy/index.ts';
import type { SetElementsChange, SetSpec } from '../table.ts';
import { type AddressesOf, MemberMap, type MemberParts, type MemberPlan } from './by-member.ts';

/** What a change of the policy changes in maps of members. */
export interface MemberMapsChange {
	readonly added: readonly SetSpec[];
	readonly removed: readonly Pick<SetSpec, 'name' | 'kind'>[];
	/** Of maps that were there before. */
	readonly elements: readonly SetElementsChange[];
}

interface Held {
	readonly map: MemberMap;
	/** Groups of chains that look it up. */
	users: number;
	/** It was there before the change that is under way. */
	settled: boolean;
}

/** All maps of members, shared by groups of chains with the same rules. */
export class MemberMaps {
	readonly #addressesOf: AddressesOf;
	readonly #parts: { hold(parts: MemberParts): void; release(parts: MemberParts): void };
	readonly #maps = new Map<string, Held>();
	readonly #mapsOfSet = new Map<SetId, Set<MemberMap>>();

	/** `parts` keeps what the chains behind the maps need. */
	constructor(addressesOf: AddressesOf, parts: { hold(parts: MemberParts): void; release(parts: MemberParts): void }) {
		this.#addressesOf = addressesOf;
		this.#parts = parts;
	}

	hold(plan: MemberPlan): void {
		const known = this.#maps.get(plan.name);
		if (known !== undefined) {
			known.users++;
			return;
		}
		const map = new MemberMap(plan, this.#addressesOf, this.#parts);
		this.#maps.set(plan.name, { map, users: 1, settled: false });
		for (const set of plan.users.keys()) {
			const maps = this.#mapsOfSet.get(set);
			if (maps === undefined) this.#mapsOfSet.set(set, new Set([map]));
			else maps.add(map);
		}
	}

	/** It stays until the change is finished: another group may need it. */
	release({ name }: MemberPlan): void {
		const known = this.#maps.get(name);
		if (known !== undefined) known.users--;
	}

	/** Ends a change in which members of sets changed; all groups hold what they need. */
	finish(changedSets: readonly SetChange[]): MemberMapsChange {
		const added: SetSpec[] = [];
		const removed: Pick<SetSpec, 'name' | 'kind'>[] = [];
		for (const [name, { map, users, settled }] of this.#maps) {
			if (users > 0) {
				if (!settled) added.push(map.spec);
				continue;
			}
			this.#maps.delete(name);
			if (settled) removed.push({ name, kind: 'map' });
			for (const set of map.plan.users.keys()) {
				const maps = this.#mapsOfSet.get(set);
				maps?.delete(map);
				if (maps?.size === 0) this.#mapsOfSet.delete(set);
			}
			map.close();
		}
		const addresses = new Map<MemberMap, Set<string>>();
		for (const { id, added: joined, removed: left } of changedSets)
			for (const map of this.#mapsOfSet.get(id) ?? []) {
				const own = addresses.get(map) ?? new Set();
				addresses.set(map, own);
				for (const address of [...joined, ...left])
					if (address.includes(':') === (map.plan.family === 'ipv6')) own.add(address);
			}
		// A new map has them already, thus nothing changes in it.
		const elements = [...addresses].flatMap(([map, own]) => map.follow(own));
		for (const held of this.#maps.values()) held.settled = true;
		return { added, removed, elements };
	}

	specs(): SetSpec[] {
		return [...this.#maps.values()].map(({ map }) => map.spec);
	}
}
