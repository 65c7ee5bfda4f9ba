/**
 * The prefixes that this node announces for pods: its confirmed blocks, and host prefixes of
 * addresses in other nodes' blocks that are in use here (Calico borrows addresses, too). Each
 * prefix becomes a blackhole route in the kernel, so each of them is validated. Pure.
 */
import {
	AddressError,
	hostPrefix,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixCovers,
} from '../core/index.ts';
import { unroutable } from '../ipam/index.ts';

export interface OwnPrefixInput {
	/** Blocks of confirmed affinities, or with `host-local` the ranges of the Node. */
	readonly blocks: readonly PrefixKey[];
	/**
	 * Existing pools, and pools that this process has seen earlier. `undefined`: blocks need not
	 * lie in a pool.
	 */
	readonly pools: readonly PrefixKey[] | undefined;
	/** The addresses of this node. */
	readonly nodeAddresses: readonly string[];
	/** Addresses in use on this node, in any block. */
	readonly addresses: Iterable<string>;
}

export interface OwnPrefixes {
	readonly prefixes: readonly PrefixKey[];
	/** Those of `addresses` that are in no block of this node. */
	readonly borrowed: readonly PrefixKey[];
	readonly problems: readonly string[];
}

/** The reason against the announcement of a block; `undefined`: none. */
function blockProblem(
	cidr: PrefixKey,
	{ pools, nodeAddresses }: Pick<OwnPrefixInput, 'pools' | 'nodeAddresses'>,
): string | undefined {
	const block = parsePrefix(cidr);
	if (block.length === 0) return 'it is the default route';
	const never = unroutable(cidr);
	if (never !== undefined) return never;
	const own = nodeAddresses.find((address) => prefixContains(block, parseAddress(address)));
	if (own !== undefined) return `it holds ${own}, an address of this node itself`;
	if (pools !== undefined && !pools.some((pool) => prefixCovers(parsePrefix(pool), block))) return 'it lies in no pool';
	return undefined;
}

/** The prefixes to announce, and the reasons against the others. */
export function ownPrefixes(input: OwnPrefixInput): OwnPrefixes {
	const problems: string[] = [];
	const blocks = input.blocks.filter((cidr) => {
		const problem = blockProblem(cidr, input);
		if (problem !== undefined) problems.push(`block ${cidr} of this node is not announced: ${problem}`);
		return problem === undefined;
	});
	const parsed = blocks.map((cidr) => parsePrefix(cidr));
	const borrowed = new Set<PrefixKey>();
	for (const text of input.addresses) {
		const prefix = hostPrefixOf(text);
		if (prefix === undefined || parsed.some((block) => prefixCovers(block, parsePrefix(prefix)))) continue;
		// An address outside all pools does not belong to IPAM: it is skipped without a message.
		if (blockProblem(prefix, input) === undefined) borrowed.add(prefix);
	}
	return { prefixes: [...blocks, ...borrowed], borrowed: [...borrowed], problems };
}

function hostPrefixOf(text: string): PrefixKey | undefined {
	try {
		return hostPrefix(text);
	} catch (error) {
		if (error instanceof AddressError) return undefined;
		throw error;
	}
}
