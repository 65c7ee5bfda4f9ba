import { evaluateBy, type Labels, type Selector } from '../../selector/index.ts';
import { systemLabels } from '../model.ts';
import { type Restriction, restrictionOf } from './restriction.ts';

/**
 * Something that has labels, its own and inherited ones. Immutable: a change is another object
 * under the same key.
 */
export interface LabelledItem {
	readonly key: string;
	readonly labels: Labels;
	/**
	 * Its labels are inherited with the prefix `pcns.`; the label `projectcalico.org/namespace` is
	 * added.
	 */
	readonly namespace?: string;
	/** Of that namespace; its labels are inherited with the prefix `pcsa.`. */
	readonly serviceAccount?: string;
	/** Pods: `projectcalico.org/orchestrator` is added. */
	readonly orchestrated?: true;
}

/** What an index reports. A selector is named by the id under which it was added. */
export interface LabelIndexListener<Item> {
	/** The item matches the selector now and did not before. */
	joined(id: string, item: Item): void;
	/** The item (as it was) matched the selector and does no longer. */
	left(id: string, item: Item): void;
	/** The item matches as before and is another object. */
	replaced(id: string, before: Item, after: Item): void;
}

/**
 * Items with equal labels, namespace and service account: a selector is evaluated once for all of
 * them.
 */
export interface LabelClass<Item> {
	readonly key: string;
	readonly namespace: string | undefined;
	readonly serviceAccount: string | undefined;
	readonly own: Labels;
	readonly orchestrated: boolean;
	readonly items: Set<Item>;
	matched: Set<Subscription<Item>>;
}

interface Subscription<Item> {
	readonly id: string;
	readonly selector: Selector;
	readonly restriction: Restriction | undefined;
	readonly classes: Set<LabelClass<Item>>;
}

/**
 * From labels to selectors to items. Items are kept in classes of equal labels; selectors are found
 * by the label and value that they require. A change of one item evaluates the selectors that its
 * old or new labels can match, a new selector the classes of the namespaces that it can match.
 */
export class LabelIndex<Item extends LabelledItem> {
	readonly #listener: LabelIndexListener<Item>;
	/** The labels of each are the `own` of its class: one object, by which the class is found. */
	readonly #items = new Map<string, Item>();
	readonly #byOwn = new Map<Labels, LabelClass<Item>>();
	/** Most classes match nothing: they share this one. */
	readonly #noMatch: Set<Subscription<Item>> = new Set();
	readonly #classes = new Map<string, LabelClass<Item>>();
	/** Classes with labels of their own that look like those of a namespace; hardly ever any. */
	readonly #ownPrefixed = new Set<LabelClass<Item>>();
	/** By namespace; `undefined`: without one. */
	readonly #byNamespace = new Map<string | undefined, Set<LabelClass<Item>>>();
	/** Labels of parents: `NAMESPACE` and `NAMESPACE/ACCOUNT`, prefixed already. */
	readonly #inherited = new Map<string, Labels>();
	readonly #subscriptions = new Map<string, Subscription<Item>>();
	readonly #byValue = new Map<string, Map<string, Set<Subscription<Item>>>>();
	readonly #byLabel = new Map<string, Set<Subscription<Item>>>();
	readonly #unrestricted = new Set<Subscription<Item>>();

	constructor(listener: LabelIndexListener<Item>) {
		this.#listener = listener;
	}

	get itemCount(): number {
		return this.#items.size;
	}

	get classCount(): number {
		return this.#classes.size;
	}

	/** By key. */
	item(key: string): Item | undefined {
		return this.#items.get(key);
	}

	/** One item of each class. */
	*representatives(): Iterable<Item> {
		for (const { items } of this.#classes.values()) {
			const [first] = items;
			if (first !== undefined) yield first;
		}
	}

	/** Items that match a selector that is not in the index. */
	*matching(selector: Selector): Iterable<Item> {
		for (const one of this.#classes.values()) if (this.#holds(selector, one)) yield* one.items;
	}

	/** Ids of the selectors that an item matches. */
	*matchesOf(key: string): Iterable<string> {
		const item = this.#items.get(key);
		if (item !== undefined) for (const { id } of this.#classOf(item).matched) yield id;
	}

	/** Items that a selector matches. */
	*itemsOf(id: string): Iterable<Item> {
		for (const { items } of this.#subscriptions.get(id)?.classes ?? []) yield* items;
	}

	/** At least one item matches the selector. */
	matchesAny(id: string): boolean {
		return (this.#subscriptions.get(id)?.classes.size ?? 0) > 0;
	}

	/** Effective labels of an item that is not in the index: a hypothetical one. */
	effectiveLabels(item: LabelledItem): Labels {
		return this.#effective(item.labels, item.namespace, item.serviceAccount, item.orchestrated === true);
	}

	/** Adds an item or replaces the one with the same key. */
	put(given: Item): void {
		const before = this.#items.get(given.key);
		const source = before === undefined ? undefined : this.#classOf(before);
		const target = this.#classFor(given);
		const item = { ...given, labels: target.own };
		this.#items.set(item.key, item);
		target.items.add(item);
		if (before === undefined || source === undefined) {
			for (const { id } of target.matched) this.#listener.joined(id, item);
			return;
		}
		source.items.delete(before);
		if (source === target) {
			for (const { id } of target.matched) this.#listener.replaced(id, before, item);
			return;
		}
		for (const subscription of source.matched)
			if (!target.matched.has(subscription)) this.#listener.left(subscription.id, before);
		for (const subscription of target.matched) {
			if (source.matched.has(subscription)) this.#listener.replaced(subscription.id, before, item);
			else this.#listener.joined(subscription.id, item);
		}
		this.#dropIfEmpty(source);
	}

	delete(key: string): void {
		const item = this.#items.get(key);
		if (item === undefined) return;
		const source = this.#classOf(item);
		this.#items.delete(key);
		source.items.delete(item);
		for (const { id } of source.matched) this.#listener.left(id, item);
		this.#dropIfEmpty(source);
	}

	#classOf(item: Item): LabelClass<Item> {
		const found = this.#byOwn.get(item.labels);
		if (found === undefined) throw new Error(`the item ${item.key} has no class`);
		return found;
	}

	#match(one: LabelClass<Item>, subscription: Subscription<Item>): void {
		if (one.matched === this.#noMatch) one.matched = new Set();
		one.matched.add(subscription);
		subscription.classes.add(one);
	}

	/** Labels of a namespace, or of a service account of it; `undefined`: it is gone. */
	setParent(namespace: string, serviceAccount: string | undefined, labels: Labels | undefined): void {
		const key = parentKey(namespace, serviceAccount);
		if (labels === undefined) this.#inherited.delete(key);
		else {
			const prefix = serviceAccount === undefined ? systemLabels.namespacePrefix : systemLabels.serviceAccountPrefix;
			this.#inherited.set(
				key,
				Object.fromEntries(Object.entries(labels).map(([label, value]) => [prefix + label, value])),
			);
		}
		for (const one of this.#byNamespace.get(namespace) ?? [])
			if (serviceAccount === undefined || one.serviceAccount === serviceAccount) this.#relabel(one);
	}

	/** Adds a selector; its matches are reported as joined. The id must not be in use. */
	subscribe(id: string, selector: Selector): void {
		const subscription: Subscription<Item> = {
			id,
			selector,
			restriction: restrictionOf(selector),
			classes: new Set(),
		};
		this.#subscriptions.set(id, subscription);
		for (const bucket of this.#buckets(subscription)) bucket.add(subscription);
		for (const one of this.#classesFor(subscription)) {
			if (!this.#holds(selector, one)) continue;
			this.#match(one, subscription);
			for (const item of one.items) this.#listener.joined(id, item);
		}
	}

	/** Removes a selector without reporting its matches as left. */
	unsubscribe(id: string): void {
		const subscription = this.#subscriptions.get(id);
		if (subscription === undefined) return;
		this.#subscriptions.delete(id);
		for (const bucket of this.#buckets(subscription)) bucket.delete(subscription);
		for (const one of subscription.classes) one.matched.delete(subscription);
	}

	#buckets({ restriction }: Subscription<Item>): Set<Subscription<Item>>[] {
		if (restriction === undefined) return [this.#unrestricted];
		const { label, values } = restriction;
		if (values === undefined) return [entry(this.#byLabel, label, () => new Set())];
		const byValue = entry(this.#byValue, label, () => new Map<string, Set<Subscription<Item>>>());
		return [...values].map((value) => entry(byValue, value, () => new Set()));
	}

	/** Classes that a new selector can match. */
	*#classesFor({ restriction }: Subscription<Item>): Iterable<LabelClass<Item>> {
		if (restriction?.values === undefined) yield* this.#classes.values();
		else if (restriction.label === systemLabels.namespace)
			for (const namespace of restriction.values) yield* this.#byNamespace.get(namespace) ?? [];
		else if (restriction.label.startsWith(systemLabels.namespacePrefix) && this.#ownPrefixed.size === 0) {
			const { label, values } = restriction;
			for (const [namespace, classes] of this.#byNamespace) {
				const value =
					namespace === undefined || label === namespaceName
						? namespace
						: valueIn(this.#inherited.get(parentKey(namespace, undefined)), label);
				if (value !== undefined && values.has(value)) yield* classes;
			}
		} else yield* this.#classes.values();
	}

	/** Selectors that a set of labels can match. */
	*#candidates(labels: Labels): Iterable<Subscription<Item>> {
		yield* this.#unrestricted;
		for (const label of Object.keys(labels)) {
			const byValue = this.#byValue.get(label)?.get(labels[label] ?? '');
			if (byValue !== undefined) yield* byValue;
			const byLabel = this.#byLabel.get(label);
			if (byLabel !== undefined) yield* byLabel;
		}
	}

	#classFor(item: Item): LabelClass<Item> {
		const key = classKey(item);
		const existing = this.#classes.get(key);
		if (existing !== undefined) return existing;
		const { namespace, serviceAccount } = item;
		const own = { ...item.labels };
		const orchestrated = item.orchestrated === true;
		const made: LabelClass<Item> = {
			key,
			namespace,
			serviceAccount,
			own,
			orchestrated,
			items: new Set(),
			matched: this.#noMatch,
		};
		this.#classes.set(key, made);
		this.#byOwn.set(own, made);
		if (Object.keys(own).some((label) => label.startsWith(systemLabels.namespacePrefix))) this.#ownPrefixed.add(made);
		entry(this.#byNamespace, namespace, () => new Set<LabelClass<Item>>()).add(made);
		for (const subscription of this.#candidates(this.#labelsOf(made)))
			if (this.#holds(subscription.selector, made)) this.#match(made, subscription);
		return made;
	}

	#relabel(one: LabelClass<Item>): void {
		const matched = new Set<Subscription<Item>>();
		for (const subscription of this.#candidates(this.#labelsOf(one)))
			if (this.#holds(subscription.selector, one)) matched.add(subscription);
		for (const subscription of one.matched) {
			if (matched.has(subscription)) continue;
			one.matched.delete(subscription);
			subscription.classes.delete(one);
			for (const item of one.items) this.#listener.left(subscription.id, item);
		}
		for (const subscription of matched) {
			if (one.matched.has(subscription)) continue;
			this.#match(one, subscription);
			for (const item of one.items) this.#listener.joined(subscription.id, item);
		}
	}

	#dropIfEmpty(one: LabelClass<Item>): void {
		if (one.items.size > 0) return;
		this.#classes.delete(one.key);
		this.#byOwn.delete(one.own);
		this.#ownPrefixed.delete(one);
		for (const subscription of one.matched) subscription.classes.delete(one);
		const siblings = this.#byNamespace.get(one.namespace);
		siblings?.delete(one);
		if (siblings?.size === 0) this.#byNamespace.delete(one.namespace);
	}

	/**
	 * Does a selector hold for own and inherited labels? A new selector is evaluated for each class
	 * of the cluster, thus without an object of all labels: those were gigabytes at a start.
	 */
	#holds(selector: Selector, one: LabelClass<Item>): boolean {
		return evaluateBy(selector, (label) => this.#valueOf(one, label));
	}

	/** The value of a label in `#effective`. */
	#valueOf({ own, namespace, serviceAccount, orchestrated }: LabelClass<Item>, label: string): string | undefined {
		if (label === systemLabels.namespace) return namespace;
		if (namespace !== undefined) {
			if (label === systemLabels.orchestrator && orchestrated) return 'k8s';
			if (label === systemLabels.serviceAccount && serviceAccount !== undefined) return serviceAccount;
		}
		if (Object.hasOwn(own, label)) return own[label];
		if (namespace === undefined) return undefined;
		if (serviceAccount !== undefined && label.startsWith(systemLabels.serviceAccountPrefix)) {
			if (label === accountName) return serviceAccount;
			return valueIn(this.#inherited.get(parentKey(namespace, serviceAccount)), label);
		}
		if (!label.startsWith(systemLabels.namespacePrefix)) return undefined;
		if (label === namespaceName) return namespace;
		return valueIn(this.#inherited.get(parentKey(namespace, undefined)), label);
	}

	/**
	 * Own and inherited labels. Made when they are needed: kept, they were the largest part of the
	 * index.
	 */
	#labelsOf({ own, namespace, serviceAccount, orchestrated }: LabelClass<Item>): Labels {
		return this.#effective(own, namespace, serviceAccount, orchestrated);
	}

	#effective(
		own: Labels,
		namespace: string | undefined,
		serviceAccount: string | undefined,
		orchestrated: boolean,
	): Labels {
		if (namespace === undefined) return withoutNamespace(own);
		const labels: Record<string, string> = {
			...this.#inherited.get(parentKey(namespace, undefined)),
			[namespaceName]: namespace,
		};
		if (serviceAccount !== undefined) {
			Object.assign(labels, this.#inherited.get(parentKey(namespace, serviceAccount)));
			labels[accountName] = serviceAccount;
		}
		// Labels of its own win over inherited ones, except those that say where it belongs: a user
		// must not forge them.
		Object.assign(labels, own);
		labels[systemLabels.namespace] = namespace;
		if (orchestrated) labels[systemLabels.orchestrator] = 'k8s';
		if (serviceAccount !== undefined) labels[systemLabels.serviceAccount] = serviceAccount;
		return labels;
	}
}

/** A user must not make something global look like part of a namespace. */
function withoutNamespace(own: Labels): Labels {
	if (!Object.hasOwn(own, systemLabels.namespace)) return own;
	return Object.fromEntries(Object.entries(own).filter(([label]) => label !== systemLabels.namespace));
}

/** Labels of a parent with its name. */
const namespaceName = `${systemLabels.namespacePrefix}${systemLabels.name}`;
const accountName = `${systemLabels.serviceAccountPrefix}${systemLabels.name}`;

const valueIn = (labels: Labels | undefined, label: string): string | undefined =>
	labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined;

const parentKey = (namespace: string, serviceAccount: string | undefined): string =>
	serviceAccount === undefined ? namespace : `${namespace}/${serviceAccount}`;

/** Equal for equal labels in any order. */
function classKey({ labels, namespace, serviceAccount, orchestrated }: LabelledItem): string {
	const own = Object.keys(labels)
		.sort()
		.map((label) => `${label}=${labels[label]}`)
		.join('\n');
	return `${namespace ?? ''}\n${serviceAccount ?? ''}\n${orchestrated === true ? 'k8s' : ''}\n${own}`;
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
	const existing = map.get(key);
	if (existing !== undefined) return existing;
	const made = make();
	map.set(key, made);
	return made;
}
