import { formatAddress } from '../core/index.ts';
import { type DecodedNextHop, type NextHopObject, Rtnetlink } from '../linux/index.ts';

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
export const fewestSharedHops = 64;

/** The next hop of a route: gateway as text, interface index. */
export interface SharedHop {
	readonly via: string;
	readonly gateway: Uint8Array;
	readonly outInterface: number;
	readonly onlink: boolean;
}

interface KnownObject {
	readonly id: number;
	readonly outInterface: number;
	readonly onlink: boolean;
}

/** Our next hop objects in the kernel. */
export class NextHopObjects {
	readonly #netlink: Pick<Rtnetlink, 'nextHopObjects' | 'addNextHopObjects' | 'removeNextHopObjects'>;
	#protocol: number;
	#former: number | undefined;
	/** By gateway: the same address behind several interfaces is rare. */
	readonly #ids = new Map<string, readonly KnownObject[]>();
	readonly #taken = new Set<number>();
	#next = firstId;
	#known = false;

	constructor(
		netlink: Pick<Rtnetlink, 'nextHopObjects' | 'addNextHopObjects' | 'removeNextHopObjects'>,
		protocol: number,
	) {
		this.#netlink = netlink;
		this.#protocol = protocol;
	}

	/** Sets the protocol number of our objects; `former`: the one before. */
	setProtocol(protocol: number, former: number | undefined): void {
		this.#protocol = protocol;
		this.#former = former;
	}

	/** True without objects of ours. */
	get isEmpty(): boolean {
		return this.#ids.size === 0;
	}

	/** The object ID of a hop; 0: none. */
	idOf(via: string, outInterface: number, onlink: boolean): number {
		const all = this.#ids.get(via);
		if (all === undefined) return 0;
		for (const known of all) if (known.outInterface === outInterface && known.onlink === onlink) return known.id;
		return 0;
	}

	/** Creates missing objects. If the kernel refuses an object, routes use the gateway. */
	async ensure(hops: Iterable<SharedHop>): Promise<void> {
		if (!this.#known) await this.learn();
		const made: { readonly via: string; readonly object: NextHopObject & KnownObject }[] = [];
		for (const { via, gateway, outInterface, onlink } of hops) {
			if (this.idOf(via, outInterface, onlink) !== 0) continue;
			const object = { id: this.#freeId(), protocol: this.#protocol, gateway, outInterface, onlink };
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

	#file(via: string, { id, outInterface, onlink }: KnownObject): void {
		this.#ids.set(via, [...(this.#ids.get(via) ?? []), { id, outInterface, onlink }]);
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
