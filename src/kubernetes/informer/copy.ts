import { inOnePiece } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import { type Resource, toResource } from '../model/resource.ts';

/** A change of one object. */
export interface ResourceChange {
	readonly type: 'added' | 'changed' | 'removed';
	readonly resource: Resource;
}

/** What a copy holds of each object. */
export interface CopyDependencies {
	/** Removes unused fields. Not for objects that are written back whole. */
	readonly prune?: (object: JsonObject) => JsonObject;
	/** Changes have whole objects; the copy has only names and versions. For very large kinds. */
	readonly keep?: 'versions';
}

/** An object of a list with an older version than the copy's: the server was restored. */
export interface StepBack {
	readonly object: string;
	readonly from: string;
	readonly to: string;
}

/** The result of a list. */
export interface Listed {
	readonly resourceVersion: string;
	/** Those that are not reported yet. */
	readonly changes: readonly ResourceChange[];
	readonly stepsBack: readonly StepBack[];
}

/** The key of an object: `name`, or `namespace/name`. */
export const resourceKey = ({ namespace, name }: Pick<Resource, 'namespace' | 'name'>): string =>
	namespace === undefined ? name : `${namespace}/${name}`;

/** Shared by all objects of which only the version is kept. */
const nothing: Readonly<Record<string, never>> = {};

/**
 * The objects of one kind by key. Lists, events and our own writes arrive in any order: of two
 * versions of an object the newer one stays. Every method gives the differences.
 */
export class ResourceCopy {
	readonly #dependencies: CopyDependencies;
	readonly #items = new Map<string, Resource>();
	/** During a list: versions of our own writes and removals that the list may lack. */
	#meanwhile: Map<string, string> | undefined;

	constructor(dependencies: CopyDependencies) {
		this.#dependencies = dependencies;
	}

	/** By `resourceKey`. */
	get items(): ReadonlyMap<string, Resource> {
		return this.#items;
	}

	/** The objects of a previous run. */
	restore(objects: readonly JsonObject[]): void {
		for (const object of objects) {
			const resource = this.toResource(object);
			this.#items.set(resourceKey(resource), resource);
		}
	}

	/** Adds the response of our own write, unless the copy is newer. */
	absorb(object: JsonObject): { readonly resource: Resource; readonly change: ResourceChange | undefined } {
		const resource = this.toResource(object);
		const key = resourceKey(resource);
		const known = this.#items.get(key);
		if (known !== undefined && !isNewer(resource.resourceVersion, known.resourceVersion))
			return { resource: known, change: undefined };
		this.#items.set(key, resource);
		this.#meanwhile?.set(key, resource.resourceVersion);
		return { resource, change: { type: known === undefined ? 'added' : 'changed', resource } };
	}

	/** Records our own successful removal of an object at this version. */
	forget(key: string, resourceVersion: string): ResourceChange | undefined {
		const known = this.#items.get(key);
		if (known?.resourceVersion !== resourceVersion) return undefined;
		this.#items.delete(key);
		this.#meanwhile?.set(key, resourceVersion);
		return { type: 'removed', resource: known };
	}

	/**
	 * As `replace`, for a copy that keeps only versions: each object that `request` passes on is
	 * compared at once, and its difference goes to `report`. Removals follow when the list is
	 * complete. A list that breaks off leaves what it brought.
	 */
	async replaceInPlace(
		request: (
			take: (object: JsonObject) => void,
		) => Promise<{ readonly items: readonly JsonObject[]; readonly resourceVersion: string }>,
		report: (change: ResourceChange) => void,
	): Promise<Listed> {
		const meanwhile = new Map<string, string>();
		this.#meanwhile = meanwhile;
		const listed = new Set<string>();
		const stepsBack: StepBack[] = [];
		const take = (object: JsonObject): void => {
			const resource = toResource(object);
			const key = resourceKey(resource);
			listed.add(key);
			if (meanwhile.has(key)) return;
			const change = difference(key, this.#items.get(key), resource, stepsBack);
			if (change === undefined) return;
			this.#keep(key, resource);
			report(change);
		};
		const { items, resourceVersion } = await request(take).finally(() => (this.#meanwhile = undefined));
		items.forEach(take);
		for (const [key, resource] of this.#items) {
			if (listed.has(key) || meanwhile.has(key)) continue;
			this.#items.delete(key);
			report({ type: 'removed', resource });
		}
		return { resourceVersion, changes: [], stepsBack };
	}

	/**
	 * Replaces the content by a list that `request` gets; our own writes meanwhile are kept, if the
	 * list is older.
	 */
	async replace(
		request: () => Promise<{ readonly items: readonly JsonObject[]; readonly resourceVersion: string }>,
	): Promise<Listed> {
		const meanwhile = new Map<string, string>();
		this.#meanwhile = meanwhile;
		const { items, resourceVersion } = await request().finally(() => (this.#meanwhile = undefined));
		const listed = new Map<string, Resource>();
		for (const object of items) {
			const resource = toResource(object);
			listed.set(resourceKey(resource), resource);
		}
		for (const [key, version] of meanwhile) {
			const known = this.#items.get(key);
			if (known === undefined && listed.get(key)?.resourceVersion === version) listed.delete(key);
			else if (known !== undefined && isNewer(version, resourceVersion)) listed.set(key, known);
		}
		const changes: ResourceChange[] = [];
		const stepsBack: StepBack[] = [];
		for (const [key, resource] of this.#items) if (!listed.has(key)) changes.push({ type: 'removed', resource });
		for (const [key, resource] of listed) {
			const change = difference(key, this.#items.get(key), resource, stepsBack);
			if (change !== undefined) changes.push(change);
		}
		this.#items.clear();
		for (const [key, resource] of listed) this.#keep(key, resource);
		return { resourceVersion, changes, stepsBack };
	}

	/** Applies an event of a watch; `undefined`: the copy is as new, or newer. */
	apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', resource: Resource): ResourceChange | undefined {
		const key = resourceKey(resource);
		const known = this.#items.get(key);
		if (type === 'DELETED') {
			// The object left the selection, but the copy is as new or newer: `absorb` came first.
			if (known !== undefined && !isNewer(resource.resourceVersion, known.resourceVersion)) return undefined;
			this.#items.delete(key);
			return { type: 'removed', resource };
		}
		if (
			known?.resourceVersion === resource.resourceVersion ||
			(known !== undefined && !isNewer(resource.resourceVersion, known.resourceVersion))
		)
			return undefined;
		this.#keep(key, resource);
		return { type: known === undefined ? 'added' : 'changed', resource };
	}

	toResource(object: JsonObject): Resource {
		return toResource(this.#dependencies.prune?.(object) ?? object);
	}

	#keep(key: string, resource: Resource): void {
		if (this.#dependencies.keep !== 'versions') this.#items.set(key, resource);
		else {
			const kept = new KeptVersion(resource);
			this.#items.set(kept.key, kept);
		}
	}
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A UUID as its 16 bytes, which are characters; any other text as it is, and never of 16. */
function packedUid(uid: string): string {
	if (uuid.test(uid)) return Buffer.from(uid.replaceAll('-', ''), 'hex').toString('latin1');
	return inOnePiece(uid.length === 16 ? `${uid} ` : uid);
}

function unpackedUid(packed: string): string {
	if (packed.length !== 16) return packed.trimEnd();
	const hex = Buffer.from(packed, 'latin1').toString('hex');
	return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** What is kept of an object of a very large kind: as little as makes a `Resource`. */
class KeptVersion implements Resource {
	/** `resourceKey`. */
	readonly key: string;
	readonly #uid: string;
	readonly #version: string | number;

	constructor(resource: Resource) {
		this.key = inOnePiece(resourceKey(resource));
		this.#uid = packedUid(resource.uid);
		const version = Number(resource.resourceVersion);
		this.#version = String(version) === resource.resourceVersion ? version : inOnePiece(resource.resourceVersion);
	}

	get uid(): string {
		return unpackedUid(this.#uid);
	}

	get resourceVersion(): string {
		return String(this.#version);
	}

	get name(): string {
		return this.key.slice(this.key.indexOf('/') + 1);
	}

	get namespace(): string | undefined {
		const end = this.key.indexOf('/');
		return end < 0 ? undefined : this.key.slice(0, end);
	}

	get terminating(): boolean {
		return false;
	}

	get labels(): Resource['labels'] {
		return nothing;
	}

	get annotations(): Resource['annotations'] {
		return nothing;
	}

	get raw(): JsonObject {
		return nothing;
	}
}

/** What a listed object changes; an older version than the known one goes to `stepsBack`. */
function difference(
	key: string,
	known: Resource | undefined,
	resource: Resource,
	stepsBack: StepBack[],
): ResourceChange | undefined {
	if (known === undefined) return { type: 'added', resource };
	if (known.resourceVersion === resource.resourceVersion && known.uid === resource.uid) return undefined;
	if (!isNewer(resource.resourceVersion, known.resourceVersion) && known.uid === resource.uid)
		stepsBack.push({ object: key, from: known.resourceVersion, to: resource.resourceVersion });
	return { type: 'changed', resource };
}

/**
 * Versions are decimal numbers of any size; Kubernetes guarantees that they are comparable
 * (KEP-5504).
 */
export function isNewer(left: string, right: string): boolean {
	return left.length === right.length ? left > right : left.length > right.length;
}
