import type { IpSet, SetChange, SetId } from '../../policy/index.ts';
import type { BpfMap } from '../kernel/map.ts';
import { addMembers, addressPortKey, netKey, type PolicyMaps, removeMembers } from './maps.ts';

type SetType = IpSet['type'];

interface KeptSet {
	readonly id: SetId;
	readonly type: SetType;
	readonly members: Set<string>;
}

/** What the maps of sets hold, and how it becomes what they must hold. */
export class SetKeeper {
	readonly #maps: PolicyMaps;
	readonly #sets = new Map<SetId, KeptSet>();

	constructor(maps: PolicyMaps) {
		this.#maps = maps;
	}

	/**
	 * Reads the maps and adds what these sets need. What they do not need stays for the programs that
	 * still look it up, until `sweep` is called. @throws SystemCallError
	 */
	fill(sets: Iterable<Pick<IpSet, 'id' | 'type' | 'members'>>): {
		readonly added: number;
		readonly removed: number;
		readonly sweep: () => void;
	} {
		this.#sets.clear();
		const desired: Record<SetType, Map<string, { readonly set: KeptSet; readonly member: string }>> = {
			nets: new Map(),
			'address-ports': new Map(),
		};
		for (const { id, type, members } of sets) {
			const set: KeptSet = { id, type, members: new Set(members) };
			this.#sets.set(id, set);
			for (const member of members) desired[type].set(textOf(keyOf(set, member)), { set, member });
		}
		const stale: { readonly map: BpfMap; readonly key: Uint8Array }[] = [];
		let added = 0;
		for (const [type, map] of this.#mapsByType()) {
			for (const key of map.keys()) if (!desired[type].delete(textOf(key))) stale.push({ map, key });
			added += desired[type].size;
			const missing = new Map<KeptSet, string[]>();
			for (const { set, member } of desired[type].values()) {
				const members = missing.get(set);
				if (members === undefined) missing.set(set, [member]);
				else members.push(member);
			}
			for (const [set, members] of missing) addMembers(this.#maps, set, members);
		}
		const sweep = () => {
			for (const { map, key } of stale) map.delete(key);
		};
		return { added, removed: stale.length, sweep };
	}

	/** @throws SystemCallError */
	add({ id, type, members }: Pick<IpSet, 'id' | 'type' | 'members'>): void {
		this.change({ id, type, added: [...members], removed: [] });
	}

	/** @throws SystemCallError */
	change({ id, type, added, removed }: SetChange): void {
		const set = this.#sets.get(id) ?? { id, type, members: new Set<string>() };
		this.#sets.set(id, set);
		removeMembers(this.#maps, set, removed);
		for (const member of removed) set.members.delete(member);
		addMembers(this.#maps, set, added);
		for (const member of added) set.members.add(member);
	}

	/** @throws SystemCallError */
	remove(id: SetId): void {
		const set = this.#sets.get(id);
		if (set === undefined) return;
		removeMembers(this.#maps, set, set.members);
		this.#sets.delete(id);
	}

	has(id: SetId): boolean {
		return this.#sets.has(id);
	}

	#mapsByType(): [SetType, BpfMap][] {
		const [nets, addressPorts] = [this.#maps.get('nets'), this.#maps.get('address_ports')];
		if (nets === undefined || addressPorts === undefined) throw new RangeError('the maps of sets are missing');
		return [
			['nets', nets],
			['address-ports', addressPorts],
		];
	}
}

const keyOf = ({ id, type }: KeptSet, member: string): Uint8Array =>
	type === 'nets' ? netKey(id, member) : addressPortKey(id, member);
const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');
