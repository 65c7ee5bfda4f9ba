/** Members of the representation's sets as elements of nftables sets. Pure. */
import { type Family, type PrefixKey, parseAddress, parsePrefix } from '../../core/index.ts';
import { concatenate, portKey, type SetElement } from '../../linux/index.ts';
import { type IpSet, type PortRange, parseAddressPort, type SetChange, type SetId } from '../../policy/index.ts';
import { elementsDifference, type SetElementsChange, type SetSpec, shortHash } from '../table.ts';
import { familyOfPrefix, minimalPrefixes } from './match.ts';

const families = ['ipv4', 'ipv6'] as const;
const bits: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };

/** A set with its members by family, and whether they need intervals. */
export class PolicySet {
	readonly id: SetId;
	readonly type: IpSet['type'];
	readonly #members: Record<Family, Set<string>> = { ipv4: new Set(), ipv6: new Set() };
	/** Members that are more than one address. */
	readonly #wide: Record<Family, number> = { ipv4: 0, ipv6: 0 };

	constructor({ id, type, members }: IpSet) {
		this.id = id;
		this.type = type;
		for (const member of members) this.#count(member, 'add');
	}

	/**
	 * Addresses alone are a hash table; a prefix among them makes it an interval tree, under another
	 * name. Without members of the family there is no set, so that a cluster of one family has half
	 * of them; an empty set is there for IPv4.
	 */
	nameOf(family: Family): string | undefined {
		if (this.#members[family].size === 0 && (family === 'ipv6' || this.#members.ipv6.size > 0)) return undefined;
		return `${this.id}-${family === 'ipv4' ? 4 : 6}${this.#wide[family] > 0 ? 'i' : ''}`;
	}

	/**
	 * Members of a family, each a single address as a prefix of full length; `undefined`: there are
	 * wider prefixes among them, or ports.
	 */
	addresses(family: Family): ReadonlySet<string> | undefined {
		return this.type === 'nets' && this.#wide[family] === 0 ? this.#members[family] : undefined;
	}

	/** Both sets as they should be. Elements are made when they are read: all of them are many. */
	specs(): SetSpec[] {
		return families.flatMap((family) => {
			const name = this.nameOf(family);
			if (name === undefined) return [];
			const elements = () => this.#elements(family);
			return [
				{
					name,
					kind: 'set' as const,
					declaration: this.#declaration(family),
					get elements() {
						return elements();
					},
				},
			];
		});
	}

	/** What turns this set into another one of the same name. */
	differenceTo({ id, type, members }: IpSet): SetChange[] {
		const has = (member: string) => this.#members[familyOfPrefix(member)].has(member);
		const added = [...members].filter((member) => !has(member));
		const removed = families.flatMap((family) => [...this.#members[family]].filter((member) => !members.has(member)));
		return added.length + removed.length === 0 ? [] : [{ id, type, added, removed }];
	}

	/** Members join and leave. `renamed`: one of the sets must be made anew, under a new name. */
	change(added: readonly string[], removed: readonly string[]): { renamed: boolean; elements: SetElementsChange[] } {
		const before = families.map((family) => this.nameOf(family));
		const intervals = families.map((family) => (this.#wide[family] > 0 ? this.#elements(family) : undefined));
		// What is there already, or is not, must not reach the kernel, which refuses the whole
		// transaction for it.
		const gone = removed.filter((member) => this.#count(member, 'remove'));
		const come = added.filter((member) => this.#count(member, 'add'));
		const elements: SetElementsChange[] = [];
		let renamed = false;
		for (const [index, family] of families.entries()) {
			const name = this.nameOf(family);
			if (name !== before[index]) {
				renamed = true;
				continue;
			}
			if (name === undefined) continue;
			const old = intervals[index];
			if (old !== undefined) {
				elements.push(...elementsDifference(name, old, this.#elements(family)));
				continue;
			}
			for (const [verb, members] of [
				['remove', gone],
				['add', come],
			] as const) {
				const own = members.filter((member) => familyOfPrefix(member) === family);
				if (own.length > 0) elements.push({ set: name, verb, elements: own.map((member) => this.#element(member)) });
			}
		}
		return { renamed, elements };
	}

	/** `false`: nothing changed. */
	#count(member: string, verb: 'add' | 'remove'): boolean {
		const family = familyOfPrefix(member);
		const members = this.#members[family];
		if (members.has(member) === (verb === 'add')) return false;
		if (verb === 'add') members.add(member);
		else members.delete(member);
		if (this.type === 'nets' && !member.endsWith(`/${bits[family]}`)) this.#wide[family] += verb === 'add' ? 1 : -1;
		return true;
	}

	#declaration(family: Family): string {
		const address = `${family}_addr`;
		if (this.type === 'address-ports') return `type ${address} . inet_proto . inet_service;`;
		return this.#wide[family] > 0 ? `type ${address}; flags interval;` : `type ${address};`;
	}

	#elements(family: Family): SetElement[] {
		const members = [...this.#members[family]];
		// The representation promises prefixes in sets of this type.
		if (this.#wide[family] > 0) return intervalElements(members as PrefixKey[]);
		return members.map((member) => this.#element(member));
	}

	#element(member: string): SetElement {
		if (this.type === 'nets') return { key: parsePrefix(member).bytes };
		const { address, protocol, port } = parseAddressPort(member);
		return { key: concatenate(parseAddress(address).bytes, Uint8Array.of(protocol), portKey(port)) };
	}
}

/** Prefixes as intervals of a set of one field: the first address, and the first one behind. */
export function intervalElements(prefixes: readonly PrefixKey[]): SetElement[] {
	return minimalPrefixes(prefixes).flatMap((key) => {
		const { bytes, length } = parsePrefix(key);
		const behind = followingAddress(bytes, length);
		return behind === undefined ? [{ key: bytes }] : [{ key: bytes }, { key: behind, intervalEnd: true }];
	});
}

/** The first address behind a prefix; `undefined` behind the last one. */
export function followingAddress(bytes: Uint8Array, length: number): Uint8Array | undefined {
	const next = bytes.slice();
	let carry = length === 0;
	if (length > 0) {
		const index = (length - 1) >> 3;
		const sum = (next[index] ?? 0) + (1 << (7 - ((length - 1) & 7)));
		next[index] = sum & 0xff;
		carry = sum > 0xff;
		for (let at = index - 1; carry && at >= 0; at--) {
			const value = (next[at] ?? 0) + 1;
			next[at] = value & 0xff;
			carry = value > 0xff;
		}
	}
	return carry ? undefined : next;
}

/** A set of port ranges that never changes; named by its content. */
export function portsSet(ranges: readonly PortRange[]): SetSpec {
	const elements = ranges.flatMap(({ first, last }): SetElement[] => [
		{ key: portKey(first) },
		...(last === 65535 ? [] : [{ key: portKey(last + 1), intervalEnd: true }]),
	]);
	const text = ranges.map(({ first, last }) => `${first}-${last}`).join(' ');
	return { name: `ports-${shortHash(text)}`, kind: 'set', declaration: 'type inet_service; flags interval;', elements };
}

/** A set of disjoint prefixes of one family that never changes; named by its content. */
export const netsSet = (prefixes: readonly PrefixKey[], family: Family): SetSpec => ({
	name: `nets-${family === 'ipv4' ? 4 : 6}-${shortHash(prefixes.join(' '))}`,
	kind: 'set',
	declaration: `type ${family}_addr; flags interval;`,
	elements: intervalElements(prefixes),
});
