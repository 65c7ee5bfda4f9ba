import { formatAddress } from '../../src/core/index.ts';
import { DumpInterruptedError, type Link, type LinkAddress, type LinkKernel } from '../../src/linux/index.ts';

/**
 * Interfaces as in a kernel: a new tunnel device is down, with the usual MTU and no address; an
 * existing name is refused.
 */
export class FakeLinkKernel implements LinkKernel {
	#links: Link[] = [];
	#addresses: LinkAddress[] = [];
	#onChange: (() => void) | undefined;
	/** Changes that were applied. */
	changes = 0;
	/** If set, no interface can be created, as in a kernel without ipip. */
	refusal: Error | undefined;
	/**
	 * Number of upcoming reads that are interrupted, as while other programs create and remove
	 * interfaces.
	 */
	interrupted = 0;

	async links(): Promise<readonly Link[]> {
		if (this.interrupted > 0) {
			this.interrupted--;
			throw new DumpInterruptedError('the table changed during each of 5 dumps');
		}
		return [...this.#links];
	}

	async addresses(): Promise<readonly LinkAddress[]> {
		return [...this.#addresses];
	}

	async addLink({ name, kind }: { readonly name: string; readonly kind: string }): Promise<void> {
		if (this.refusal !== undefined) throw this.refusal;
		this.changes++;
		this.#links.push({
			index: 100 + this.#links.length,
			name,
			kind,
			mtuBytes: 1480,
			up: false,
			running: false,
			loopback: false,
			master: undefined,
		});
	}

	async changeLink({
		index,
		up,
		mtuBytes,
	}: {
		readonly index: number;
		readonly up?: boolean;
		readonly mtuBytes?: number;
	}): Promise<void> {
		this.changes++;
		this.#links = this.#links.map((link) =>
			link.index === index ? { ...link, up: up ?? link.up, mtuBytes: mtuBytes ?? link.mtuBytes } : link,
		);
	}

	async changeAddress(verb: 'add' | 'remove', address: LinkAddress): Promise<void> {
		this.changes++;
		const same = (other: LinkAddress) =>
			other.interfaceIndex === address.interfaceIndex &&
			other.length === address.length &&
			formatAddress(other.address) === formatAddress(address.address);
		if ((verb === 'add') === this.#addresses.some(same)) throw new Error(verb === 'add' ? 'EEXIST' : 'EADDRNOTAVAIL');
		this.#addresses = verb === 'add' ? [...this.#addresses, address] : this.#addresses.filter((other) => !same(other));
	}

	watch(onChange: () => void): void {
		this.#onChange = onChange;
	}

	close(): void {
		this.#onChange = undefined;
	}

	/** Another program changes the interface. */
	set(links: readonly Link[], addresses: readonly LinkAddress[]): void {
		this.#links = [...links];
		this.#addresses = [...addresses];
		this.#onChange?.();
	}
}
