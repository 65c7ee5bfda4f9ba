import type { Rtnetlink } from '../linux/index.ts';

/** Interfaces by name and index, as far as known: read as a list, then kept by events. */
export class Links {
	readonly #names = new Map<number, string>();
	readonly #indexes = new Map<string, number>();

	/** Reads all interfaces. */
	async read(netlink: Pick<Rtnetlink, 'links'>): Promise<void> {
		const links = await netlink.links();
		this.#names.clear();
		this.#indexes.clear();
		for (const { index, name } of links) this.set(index, name);
	}

	/** The interface exists, or has a new name. */
	set(index: number, name: string): void {
		this.remove(index);
		this.#names.set(index, name);
		this.#indexes.set(name, index);
	}

	remove(index: number): void {
		const name = this.#names.get(index);
		this.#names.delete(index);
		if (name !== undefined && this.#indexes.get(name) === index) this.#indexes.delete(name);
	}

	has(name: string): boolean {
		return this.#indexes.has(name);
	}

	/** `undefined`: there is no interface of that name. */
	indexOf(name: string): number | undefined {
		return this.#indexes.get(name);
	}

	/** `interface 7` for an index without a known name. */
	nameOf(index: number): string {
		return this.#names.get(index) ?? `interface ${index}`;
	}
}
