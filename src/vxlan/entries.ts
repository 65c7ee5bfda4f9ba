import { type Family, formatAddress, parseAddress } from '../core/index.ts';
import type { Neighbour, NeighbourChangeRequest } from '../linux/index.ts';
import { macText } from './mac.ts';

/** The other end of the tunnel to one node, in one family. Addresses are canonical text. */
export interface RemoteEnd {
	readonly node: string;
	readonly family: Family;
	readonly nodeAddress: string;
	/** `undefined`: its MAC is all that packets need, and there is no neighbour. */
	readonly tunnelAddress: string | undefined;
	/** 6 bytes. */
	readonly mac: Uint8Array;
}

/** An entry by its key in the kernel: a forwarding entry by MAC, a neighbour by its address. */
export type Entries = ReadonlyMap<string, Neighbour>;

/** A change, and the entry's key. */
export interface EntryChange extends NeighbourChangeRequest {
	readonly key: string;
}

/** The key of an entry among those of one device. */
export function entryKey({ table, mac, address }: Neighbour): string {
	return table === 'forwarding' ? `fdb ${macText(mac)}` : `neigh ${formatAddress(address)}`;
}

/**
 * The entries that lead to remote nodes, on the device with this index. Where two nodes have one
 * MAC or one tunnel address (a copied node name), the first by name counts, on every node alike.
 * Pure.
 */
export function remoteEntries(
	remotes: readonly RemoteEnd[],
	family: Family,
	interfaceIndex: number,
): Map<string, Neighbour> {
	const entries = new Map<string, Neighbour>();
	const ofFamily = remotes.filter((remote) => remote.family === family);
	for (const { nodeAddress, tunnelAddress, mac } of ofFamily.sort((a, b) => (a.node < b.node ? -1 : 1))) {
		const pair: readonly Neighbour[] = [
			{ table: 'forwarding', interfaceIndex, address: parseAddress(nodeAddress).bytes, mac },
			...(tunnelAddress === undefined
				? []
				: [{ table: family, interfaceIndex, address: parseAddress(tunnelAddress).bytes, mac }]),
		];
		if (pair.some((entry) => entries.has(entryKey(entry)))) continue;
		for (const entry of pair) entries.set(entryKey(entry), entry);
	}
	return entries;
}

const sameEntry = (left: Neighbour, right: Neighbour): boolean =>
	left.interfaceIndex === right.interfaceIndex &&
	Buffer.compare(left.mac, right.mac) === 0 &&
	Buffer.compare(left.address, right.address) === 0;

/** The changes from what the kernel has to what it should have; what is set comes first. Pure. */
export function diffEntries(wanted: Entries, actual: Entries): EntryChange[] {
	const changes: EntryChange[] = [];
	for (const [key, neighbour] of wanted) {
		const there = actual.get(key);
		if (there !== undefined && sameEntry(there, neighbour)) continue;
		changes.push({ verb: 'set', neighbour, key });
	}
	for (const [key, neighbour] of actual) if (!wanted.has(key)) changes.push({ verb: 'remove', neighbour, key });
	return changes;
}
