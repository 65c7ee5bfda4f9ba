import { hostPrefix, type PrefixKey } from '../../core/index.ts';
import type { EndpointSliceFacts, NamedPort } from '../convert/resources.ts';
import type { SetDefinition } from '../model.ts';
import { type AddressPortMember, formatAddressPort, type IpSet, type SetChange, type SetId } from '../rules.ts';
import { LabelIndex, type LabelledItem } from './label-index.ts';
import { MemberSet } from './member-set.ts';

/** What selectors of rules select: pods, host endpoints, network sets. */
export interface SelectableItem extends LabelledItem {
	/** Of pods. */
	readonly node?: string;
	/** Prefixes, canonical; those of an endpoint are single addresses. */
	readonly nets: readonly PrefixKey[];
	readonly ports: readonly NamedPort[];
}

interface ActiveSet {
	readonly definition: SetDefinition;
	readonly set: MemberSet;
	/** Policies that refer to it. */
	users: number;
	/** Not reported yet. */
	fresh: boolean;
}

/**
 * The members of all sets that policies refer to, kept up to date with items, services and nodes.
 */
export class MembershipIndex {
	readonly #index: LabelIndex<SelectableItem>;
	readonly #sets = new Map<SetId, ActiveSet>();
	/** The same sets without their bookkeeping: what a data plane reads. */
	readonly #live = new Map<SetId, IpSet>();
	readonly #dirty = new Set<ActiveSet>();
	/** `NAMESPACE/SERVICE` to slice name to slice. */
	readonly #services = new Map<string, Map<string, EndpointSliceFacts>>();
	/** `NAMESPACE/SERVICE` to the sets of it. */
	readonly #serviceSets = new Map<string, Set<ActiveSet>>();
	/** Node name to canonical addresses. */
	readonly #nodes = new Map<string, readonly string[]>();

	constructor() {
		this.#index = new LabelIndex<SelectableItem>({
			joined: (id, item) =>
				this.#change(id, (active) => contributions(active.definition, item, (m) => active.set.add(m))),
			left: (id, item) =>
				this.#change(id, (active) => contributions(active.definition, item, (m) => active.set.remove(m))),
			replaced: (id, before, after) => {
				if (before.nets === after.nets && before.ports === after.ports) return;
				this.#change(id, (active) => {
					// Add first: a member that stays never leaves.
					contributions(active.definition, after, (m) => active.set.add(m));
					contributions(active.definition, before, (m) => active.set.remove(m));
				});
			},
		});
	}

	get index(): LabelIndex<SelectableItem> {
		return this.#index;
	}

	/** The sets in use, by id; the map changes with the next change. */
	get sets(): ReadonlyMap<SetId, IpSet> {
		return this.#live;
	}

	/** One more user of a set; the first one fills it. */
	acquire(definition: SetDefinition): void {
		const existing = this.#sets.get(definition.id);
		if (existing !== undefined) {
			existing.users++;
			return;
		}
		const active: ActiveSet = { definition, set: new MemberSet(definition), users: 1, fresh: true };
		this.#sets.set(definition.id, active);
		this.#live.set(definition.id, active.set);
		this.#dirty.add(active);
		this.#fill(active);
	}

	/**
	 * One user less; a set without users is removed by `takeChanges`, so that it can be used again
	 * until then.
	 */
	release(id: SetId): void {
		const active = this.#sets.get(id);
		if (active === undefined) return;
		active.users--;
		if (active.users === 0) this.#dirty.add(active);
	}

	setSlice(slice: EndpointSliceFacts): void {
		this.#slice(slice.namespace, slice.service, (slices) => {
			slices.set(slice.name, slice);
		});
	}

	removeSlice({ namespace, service, name }: Pick<EndpointSliceFacts, 'namespace' | 'service' | 'name'>): void {
		this.#slice(namespace, service, (slices) => {
			slices.delete(name);
		});
	}

	/** Addresses of a node; none: it is gone. */
	setNode(name: string, addresses: readonly string[]): void {
		for (const active of this.#sets.values()) {
			if (active.definition.type !== 'nodes') continue;
			for (const address of addresses) active.set.add(hostPrefix(address));
			for (const address of this.#nodes.get(name) ?? []) active.set.remove(hostPrefix(address));
			this.#dirty.add(active);
		}
		if (addresses.length === 0) this.#nodes.delete(name);
		else this.#nodes.set(name, addresses);
	}

	/** Canonical addresses of a node. */
	nodeAddresses(name: string): readonly string[] {
		return this.#nodes.get(name) ?? [];
	}

	/** The node that has an address. */
	nodeAt(address: string): string | undefined {
		for (const [name, addresses] of this.#nodes) if (addresses.includes(address)) return name;
		return undefined;
	}

	/** The set in use, or one made for the caller, which is not kept up to date. */
	materialize(definition: SetDefinition): IpSet {
		const active = this.#live.get(definition.id);
		if (active !== undefined) return active;
		const set = new MemberSet(definition);
		if (definition.type === 'selector' || definition.type === 'named-port') {
			for (const item of this.#index.matching(definition.selector))
				contributions(definition, item, (member) => set.add(member));
		} else if (definition.type === 'service-ports' || definition.type === 'service-addresses') {
			for (const slice of this.#services.get(serviceKey(definition))?.values() ?? [])
				for (const member of sliceMembers(definition.type, slice)) set.add(member);
		}
		return set;
	}

	/** What changed since the last call. */
	takeChanges(): { newSets: IpSet[]; changedSets: SetChange[]; removedSets: SetId[] } {
		const newSets: IpSet[] = [];
		const changedSets: SetChange[] = [];
		const removedSets: SetId[] = [];
		for (const active of this.#dirty) {
			const change = active.set.takeChange();
			if (active.users === 0) {
				this.#forget(active);
				if (!active.fresh) removedSets.push(active.set.id);
			} else if (active.fresh) newSets.push(active.set);
			else if (change !== undefined) changedSets.push(change);
			active.fresh = false;
		}
		this.#dirty.clear();
		return { newSets, changedSets, removedSets };
	}

	#forget(active: ActiveSet): void {
		const { definition } = active;
		this.#sets.delete(definition.id);
		this.#live.delete(definition.id);
		if (definition.type === 'selector' || definition.type === 'named-port') this.#index.unsubscribe(definition.id);
		else if (definition.type !== 'nodes') {
			const users = this.#serviceSets.get(serviceKey(definition));
			users?.delete(active);
			if (users?.size === 0) this.#serviceSets.delete(serviceKey(definition));
		}
	}

	#fill(active: ActiveSet): void {
		const { definition, set } = active;
		switch (definition.type) {
			case 'selector':
			case 'named-port':
				this.#index.subscribe(definition.id, definition.selector);
				return;
			case 'nodes':
				for (const addresses of this.#nodes.values()) for (const address of addresses) set.add(hostPrefix(address));
				return;
			case 'service-ports':
			case 'service-addresses': {
				const key = serviceKey(definition);
				const users = this.#serviceSets.get(key) ?? new Set();
				this.#serviceSets.set(key, users.add(active));
				for (const slice of this.#services.get(key)?.values() ?? [])
					for (const member of sliceMembers(definition.type, slice)) set.add(member);
				return;
			}
			default:
				definition satisfies never;
		}
	}

	#slice(namespace: string, service: string, change: (slices: Map<string, EndpointSliceFacts>) => void): void {
		const key = serviceKey({ namespace, name: service });
		const slices = this.#services.get(key) ?? new Map<string, EndpointSliceFacts>();
		this.#services.set(key, slices);
		const before = [...slices.values()];
		change(slices);
		for (const active of this.#serviceSets.get(key) ?? []) {
			const { definition } = active;
			if (definition.type !== 'service-ports' && definition.type !== 'service-addresses') continue;
			for (const slice of slices.values())
				for (const member of sliceMembers(definition.type, slice)) active.set.add(member);
			for (const slice of before) for (const member of sliceMembers(definition.type, slice)) active.set.remove(member);
			this.#dirty.add(active);
		}
		if (slices.size === 0) this.#services.delete(key);
	}

	#change(id: string, act: (active: ActiveSet) => void): void {
		const active = this.#sets.get(id);
		if (active === undefined) return;
		act(active);
		this.#dirty.add(active);
	}
}

const serviceKey = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
	`${namespace}/${name}`;

/** The members that an item adds to a set whose selector it matches. */
function contributions(definition: SetDefinition, item: SelectableItem, visit: (member: string) => void): void {
	if (definition.type === 'selector') for (const net of item.nets) visit(net);
	if (definition.type !== 'named-port') return;
	for (const { name, protocol, port } of item.ports) {
		if (name !== definition.port || protocol !== definition.protocol) continue;
		for (const net of item.nets) visit(formatAddressPort(addressOf(net), protocol, port));
	}
}

/** The address of a prefix of an endpoint, which is one address. */
const addressOf = (net: PrefixKey): string => net.slice(0, net.lastIndexOf('/'));

function* sliceMembers(
	type: 'service-ports' | 'service-addresses',
	{ addresses, ports }: EndpointSliceFacts,
): Iterable<AddressPortMember | PrefixKey> {
	for (const address of addresses) {
		if (type === 'service-addresses') yield hostPrefix(address);
		else for (const { protocol, port } of ports) yield formatAddressPort(address, protocol, port);
	}
}
