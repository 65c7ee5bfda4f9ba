import { formatAddress } from '../core/index.ts';
import { type DecodedNextHop, type NextHopObject, Rtnetlink } from '../linux/index.ts';
import type { KernelRoute } from './kernel.ts';
import type { Links } from './links.ts';

/**
 * The first of our object IDs, so that they rarely collide with those of other programs. IDs in use
 * are read from the kernel.
 */
const firstId = 0x0b670000;

/**
 * From this number of next hops in one batch, routes use next hop objects. For each new route the
 * kernel searches the next hops of its interface; with an object it does not (5,000 alternating
 * next hops: 20 times faster).
 */
const fewestSharedHops = 64;

/** A change of a route, as far as its next hop matters. */
interface Step {
	readonly type: 'add' | 'replace' | 'append' | 'remove';
	readonly route: KernelRoute;
}

interface KnownObject {
	readonly id: number;
	readonly outInterface: number;
	readonly onlink: boolean;
	/** The last batch that contained it: counts distinct next hops without a set of them. */
	seenIn: number;
}

type Netlink = Pick<Rtnetlink, 'nextHopObjects' | 'addNextHopObjects' | 'removeNextHopObjects'>;

/** Our next hop objects in the kernel. */
export class NextHopObjects {
	readonly #netlink: Netlink;
	readonly #links: Pick<Links, 'indexOf'>;
	readonly #bytesOf: (address: string) => Uint8Array;
	#protocol: number;
	#former: number | undefined;
	/** By gateway: the same address behind several interfaces is rare. */
	readonly #ids = new Map<string, readonly KnownObject[]>();
	readonly #taken = new Set<number>();
	#next = firstId;
	#known = false;
	/** The number of the present batch, for `seenIn`. */
	#batch = 0;

	/** `bytesOf`: the octets of an address. */
	constructor(
		netlink: Netlink,
		protocol: number,
		links: Pick<Links, 'indexOf'>,
		bytesOf: (address: string) => Uint8Array,
	) {
		this.#netlink = netlink;
		this.#protocol = protocol;
		this.#links = links;
		this.#bytesOf = bytesOf;
	}

	/** Sets the protocol number of our objects; `former`: the one before. */
	setProtocol(protocol: number, former: number | undefined): void {
		this.#protocol = protocol;
		this.#former = former;
	}

	/**
	 * The object of each change's next hop, by position; 0: the change names gateway and interface.
	 * Creates missing objects if the batch has many next hops; routes use the gateway where the
	 * kernel refuses an object.
	 *
	 * The kernel removes a route by its object or by its gateway, as it was written. A next hop with
	 * an object mostly has it in all routes, so a removal names it; `idOf` helps with the others.
	 */
	async idsOf(steps: readonly Step[]): Promise<Uint32Array> {
		const ids = new Uint32Array(steps.length);
		const missing = new Map<string, KernelRoute>();
		const isShared = this.#lookUp(steps, ids, missing) + missing.size >= fewestSharedHops;
		if (isShared && missing.size > 0) await this.#make(missing.values());
		let position = -1;
		for (const { type, route } of steps) {
			position++;
			if (!isShared && type !== 'remove') ids[position] = 0;
			else if (missing.size > 0 && ids[position] === 0) ids[position] = this.idOf(route);
		}
		return ids;
	}

	/**
	 * Fills in the known objects, and collects the next hops of new routes that have none. Returns
	 * the number of different objects of new routes.
	 */
	#lookUp(steps: readonly Step[], ids: Uint32Array, missing: Map<string, KernelRoute>): number {
		const batch = ++this.#batch;
		let present = 0;
		let last: KernelRoute | undefined;
		let known: KnownObject | undefined;
		let noted: KernelRoute | undefined;
		let position = -1;
		for (const { type, route } of steps) {
			position++;
			// Changes are grouped by next hop where that is worth it.
			if (last === undefined || !sameHop(last, route)) known = this.#objectOf(route);
			last = route;
			if (known !== undefined) ids[position] = known.id;
			if (type === 'remove') continue;
			if (known === undefined) {
				if (noted !== undefined && sameHop(noted, route)) continue;
				noted = route;
				const { via, device, others } = route;
				if (via !== undefined && device !== undefined && others === undefined) missing.set(via, route);
			} else if (known.seenIn !== batch) {
				known.seenIn = batch;
				present++;
			}
		}
		return present;
	}

	/** The object ID of a route's next hop; 0: none. */
	idOf(route: KernelRoute): number {
		return this.#objectOf(route)?.id ?? 0;
	}

	#objectOf({ via, device, onlink, others }: KernelRoute): KnownObject | undefined {
		if (via === undefined || device === undefined || others !== undefined) return undefined;
		const all = this.#ids.get(via);
		if (all === undefined) return undefined;
		const outInterface = this.#links.indexOf(device);
		for (const known of all) if (known.outInterface === outInterface && known.onlink === onlink) return known;
		return undefined;
	}

	/** Creates the objects of these routes' next hops. */
	async #make(routes: Iterable<KernelRoute>): Promise<void> {
		if (!this.#known) await this.learn();
		const made: { readonly via: string; readonly object: NextHopObject & Omit<KnownObject, 'seenIn'> }[] = [];
		for (const route of routes) {
			const { via, device, onlink } = route;
			const outInterface = device === undefined ? undefined : this.#links.indexOf(device);
			if (via === undefined || outInterface === undefined || this.#objectOf(route) !== undefined) continue;
			const object = {
				id: this.#freeId(),
				protocol: this.#protocol,
				gateway: this.#bytesOf(via),
				outInterface,
				onlink,
			};
			made.push({ via, object });
		}
		if (made.length === 0) return;
		const refused = await this.#netlink.addNextHopObjects(made.map(({ object }) => object));
		for (const [index, { via, object }] of made.entries()) if (!refused.has(index)) this.#file(via, object);
	}

	/** Reads the objects; with `used`, removes our unused ones. */
	async learn(used?: ReadonlySet<number>): Promise<void> {
		// Without routes by objects, and without objects of this process, an audit has nothing to
		// read.
		if (used?.size === 0 && !this.#known) return;
		const objects = await this.#netlink.nextHopObjects();
		this.#known = true;
		const unused = used === undefined ? [] : objects.filter((object) => this.#isOurs(object) && !used.has(object.id));
		if (unused.length > 0) await this.#netlink.removeNextHopObjects(unused.map(({ id }) => id));
		const gone = new Set(unused.map(({ id }) => id));
		this.#ids.clear();
		this.#taken.clear();
		for (const object of objects) {
			if (gone.has(object.id)) continue;
			this.#taken.add(object.id);
			const { gateway, outInterface, onlink } = object;
			if (this.#isOurs(object) && gateway !== undefined && outInterface !== undefined)
				this.#file(formatAddress(gateway), { id: object.id, outInterface, onlink: onlink === true });
		}
	}

	#file(via: string, { id, outInterface, onlink }: Omit<KnownObject, 'seenIn'>): void {
		this.#ids.set(via, [...(this.#ids.get(via) ?? []), { id, outInterface, onlink, seenIn: 0 }]);
	}

	#isOurs({ id, protocol }: DecodedNextHop): boolean {
		return (protocol === this.#protocol || protocol === this.#former) && id >= firstId;
	}

	#freeId(): number {
		while (this.#taken.has(this.#next)) this.#next++;
		this.#taken.add(this.#next);
		return this.#next++;
	}
}

const sameHop = (left: KernelRoute, right: KernelRoute): boolean =>
	left.via === right.via &&
	left.device === right.device &&
	left.onlink === right.onlink &&
	left.others === undefined &&
	right.others === undefined;

/**
 * Removes all our next hop objects, and thereby the routes that use them. @throws SystemCallError
 */
export async function removeNextHopObjects(protocol: number): Promise<void> {
	const netlink = new Rtnetlink();
	try {
		const ours = (await netlink.nextHopObjects()).filter((each) => each.protocol === protocol && each.id >= firstId);
		if (ours.length > 0) await netlink.removeNextHopObjects(ours.map(({ id }) => id));
	} finally {
		netlink.close();
	}
}
