import type { SetDefinition } from '../model.ts';
import type { IpSet, SetChange } from '../rules.ts';

/**
 * A set whose members have several sources: a member is in it while one source remains. Records
 * what changed.
 */
export class MemberSet implements IpSet {
	readonly id: string;
	readonly type: IpSet['type'];
	readonly meaning: string;
	readonly #members = new Set<string>();
	/** Sources beyond the first. */
	readonly #further = new Map<string, number>();
	readonly #added = new Set<string>();
	readonly #removed = new Set<string>();

	constructor(definition: SetDefinition) {
		this.id = definition.id;
		this.meaning = definition.meaning;
		this.type = definition.type === 'named-port' || definition.type === 'service-ports' ? 'address-ports' : 'nets';
	}

	get members(): ReadonlySet<string> {
		return this.#members;
	}

	/** One more source of the member. */
	add(member: string): void {
		if (this.#members.has(member)) {
			this.#further.set(member, (this.#further.get(member) ?? 0) + 1);
			return;
		}
		this.#members.add(member);
		if (!this.#removed.delete(member)) this.#added.add(member);
	}

	/** One source less. */
	remove(member: string): void {
		const further = this.#further.get(member);
		if (further !== undefined) {
			if (further === 1) this.#further.delete(member);
			else this.#further.set(member, further - 1);
			return;
		}
		if (!this.#members.delete(member)) return;
		if (!this.#added.delete(member)) this.#removed.add(member);
	}

	/** What changed since the last call; `undefined`: nothing. */
	takeChange(): SetChange | undefined {
		if (this.#added.size === 0 && this.#removed.size === 0) return undefined;
		const change = { id: this.id, type: this.type, added: [...this.#added], removed: [...this.#removed] };
		this.#added.clear();
		this.#removed.clear();
		return change;
	}
}
