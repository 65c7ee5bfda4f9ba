import { type Prefix, parseAddress, parsePrefix, prefixContains } from '../../core/index.ts';
import type { PeerOptions, PeerRangeOptions } from '../session/options.ts';

/** The ranges that dynamic neighbours come from, and how many of them are here. */
export class Ranges {
	#ranges: readonly { readonly options: PeerRangeOptions; readonly prefix: Prefix }[] = [];
	/** Neighbours by their address: the name of the range that let them in. */
	readonly #members = new Map<string, string>();
	readonly #counts = new Map<string, number>();

	/** The options as they were given. */
	get options(): readonly PeerRangeOptions[] {
		return this.#ranges.map(({ options }) => options);
	}

	replace(ranges: readonly PeerRangeOptions[]): void {
		this.#ranges = ranges.map((options) => ({ options, prefix: parsePrefix(options.prefix, 'clear') }));
	}

	/** The most specific range that holds an address. */
	find(address: string): PeerRangeOptions | undefined {
		const parsed = parseAddress(address);
		let found: { readonly options: PeerRangeOptions; readonly prefix: Prefix } | undefined;
		for (const range of this.#ranges) {
			if (prefixContains(range.prefix, parsed) && (found === undefined || range.prefix.length > found.prefix.length)) found = range;
		}
		return found?.options;
	}

	isFull({ name, limit }: PeerRangeOptions): boolean {
		return (this.#counts.get(name) ?? 0) >= limit;
	}

	joined(address: string, { name }: PeerRangeOptions): void {
		this.left(address);
		this.#members.set(address, name);
		this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
	}

	left(address: string): void {
		const name = this.#members.get(address);
		if (name === undefined) return;
		this.#members.delete(address);
		this.#counts.set(name, (this.#counts.get(name) ?? 1) - 1);
	}
}

/** The options of one neighbour of a range: called by its address, never connected to. */
export function dynamicPeerOptions({ peer }: PeerRangeOptions, address: string): PeerOptions {
	return { ...peer, name: address, address, port: 179, passive: true, enabled: true };
}
