/** Does everything that is written about addresses agree? Pure, on what blocks, claims, handles, pools and pods say. */
import { AddressError, canonicalAddress, type PrefixKey, parseAddress, parsePrefix, prefixContains, prefixCovers } from '../core/index.ts';
import { ordinalToAddress } from './addresses.ts';
import { blockProblems, ordinalsOfHandle } from './block.ts';
import { affinityName, handleName, sanitizeHandle } from './names.ts';
import { cidrsOf, type Unreadable, type UnreadableResource } from './store.ts';
import { type Affinity, type AllocationAttribute, type Block, type Handle, hostAffinity, isConfirmed, type Pool } from './values.ts';

/** Everything written about addresses at one moment. */
export interface AddressBook {
	readonly pools: readonly Pool[];
	readonly blocks: readonly Block[];
	readonly affinities: readonly Affinity[];
	readonly handles: readonly Handle[];
	/** By kind, what is there and can't be read: of what it may say nothing is said. */
	readonly unreadable?: Readonly<Record<'blocks' | 'affinities' | 'handles', readonly Unreadable[]>>;
}

/** A contradiction; `fix` says what would mend it, where a program may. */
export interface Inconsistency {
	readonly kind: UnreadableResource['kind'] | 'pod' | 'origin';
	readonly subject: string;
	readonly problem: string;
	readonly fix: 'remove-handle' | 'release-claim' | undefined;
}

const allReadable = { blocks: [], affinities: [], handles: [] };

/** Holds blocks, claims, handles and pools against each other. Some differences are there for a moment while a request is on its way: look twice. */
export function findInconsistencies({ pools, blocks, affinities, handles, unreadable = allReadable }: AddressBook): Inconsistency[] {
	const closed = new Set(cidrsOf(unreadable.blocks));
	const closedClaims = new Set(unreadable.affinities.map(({ name }) => name));
	const byCidr = new Map(blocks.map((block) => [block.cidr, block]));
	const found: Inconsistency[] = [];
	const claimed = new Set<string>();
	for (const block of blocks) for (const problem of blockProblems(block)) found.push({ kind: 'block', subject: block.cidr, problem, fix: undefined });
	for (const block of blocks) {
		if (!pools.some((pool) => prefixCovers(parsePrefix(pool.cidr), parsePrefix(block.cidr))))
			found.push({ kind: 'pool', subject: block.cidr, problem: 'the block lies in no pool', fix: undefined });
	}
	for (const { node, cidr, state } of affinities) {
		claimed.add(`${hostAffinity(node)} ${cidr}`);
		if (closed.has(cidr)) continue;
		const block = byCidr.get(cidr);
		if (isConfirmed(state) && block === undefined)
			found.push({ kind: 'claim', subject: `${node} ${cidr}`, problem: 'the claim is confirmed, and there is no such block', fix: 'release-claim' });
		else if (isConfirmed(state) && block?.affinity !== hostAffinity(node))
			found.push({
				kind: 'claim',
				subject: `${node} ${cidr}`,
				problem: `the claim is confirmed, and the block is ${block?.affinity ?? 'nobody'}'s`,
				fix: 'release-claim',
			});
	}
	for (const { cidr, affinity } of blocks) {
		const isKnown = affinity?.startsWith('host:') !== true || claimed.has(`${affinity} ${cidr}`);
		if (!isKnown && !closedClaims.has(affinityName(affinity.slice('host:'.length), cidr)))
			found.push({ kind: 'claim', subject: cidr, problem: `the block is ${affinity}'s, who has no claim to it`, fix: undefined });
	}
	return [...found, ...handleInconsistencies({ handles, blocks, unreadable }, byCidr, closed)];
}

function handleInconsistencies(
	{ handles, blocks, unreadable }: Required<Pick<AddressBook, 'handles' | 'blocks' | 'unreadable'>>,
	byCidr: ReadonlyMap<string, Block>,
	closed: ReadonlySet<string>,
): Inconsistency[] {
	const known = new Set([...handles.map(({ handleId }) => handleName(handleId)), ...unreadable.handles.map(({ name }) => name)]);
	const found: Inconsistency[] = [];
	for (const { handleId, blocks: counts } of handles) {
		const held = Object.keys(counts).map((cidr) => {
			const block = byCidr.get(cidr);
			return { cidr, held: block === undefined ? 0 : ordinalsOfHandle(block, sanitizeHandle(handleId)).length };
		});
		if (held.every((entry) => entry.held === 0 && !closed.has(entry.cidr)))
			found.push({ kind: 'handle', subject: handleId, problem: 'no block knows of it', fix: 'remove-handle' });
		else
			for (const { cidr, held: number } of held.filter((entry) => entry.held !== counts[entry.cidr] && !closed.has(entry.cidr)))
				found.push({ kind: 'handle', subject: handleId, problem: `it says ${counts[cidr]} of ${cidr}, the block says ${number}`, fix: undefined });
	}
	for (const block of blocks) {
		for (const [index, { handleId, releasedAt }] of block.attributes.entries()) {
			if (handleId === undefined || releasedAt !== undefined || known.has(handleName(sanitizeHandle(handleId)))) continue;
			const ordinal = block.allocations.indexOf(index);
			found.push({
				kind: 'handle',
				subject: handleId,
				problem: `${ordinalToAddress(block.cidr, Math.max(0, ordinal))} is held by it, and there is no such handle`,
				fix: undefined,
			});
		}
	}
	return found;
}

/** A pod that runs, or is about to. */
export interface PodAddresses {
	/** `namespace/name`. */
	readonly name: string;
	/** As its status says; empty while none is known. */
	readonly addresses: readonly string[];
}

/**
 * Holds blocks and pods against each other. `pods`: those with a network of their own that have not finished, read after the blocks.
 * `unreadable`: blocks of which nobody knows what they hold. What has gone wrong here is mended by nobody's guess: a pod keeps the address that it has.
 */
export function findPodInconsistencies(
	pools: readonly Pool[],
	blocks: readonly Block[],
	pods: readonly PodAddresses[],
	unreadable: readonly PrefixKey[] = [],
): Inconsistency[] {
	const holders = holdersByAddress(blocks);
	const byName = new Map(pods.map((pod) => [pod.name, pod]));
	const users = new Map<string, string[]>();
	for (const { name, addresses } of pods) for (const address of addresses.flatMap(canonical)) users.set(address, [...(users.get(address) ?? []), name]);
	const found: Inconsistency[] = [];
	const say = (subject: string, problem: string) => found.push({ kind: 'pod', subject, problem, fix: undefined });
	for (const [address, names] of users) {
		if (!pools.some(({ cidr }) => prefixContains(parsePrefix(cidr), parseAddress(address)))) continue;
		if (names.length > 1) say(address, `several pods have it: ${[...names].sort().join(', ')}`);
		const holder = holders.get(address);
		if (holder === undefined && unreadable.some((cidr) => prefixContains(parsePrefix(cidr), parseAddress(address)))) continue;
		if (holder === undefined) for (const name of names) say(name, `it has ${address}, which is not allocated: the next pod may get it, too`);
		else for (const name of names) if (ownerOf(holder) !== undefined && ownerOf(holder) !== name) say(name, `it has ${address}, which is ${ownerOf(holder)}'s`);
	}
	// A container with several interfaces: all of a handle are in use, or none is, as for the collector.
	const inUse = new Set([...holders].flatMap(([address, holder]) => (users.get(address)?.includes(ownerOf(holder) ?? '') ? [keyOf(address, holder)] : [])));
	for (const [address, holder] of holders) {
		const owner = ownerOf(holder);
		// A virtual machine's address outlives its pods.
		if (owner === undefined || holder.secondary?.['vmi-name'] !== undefined) continue;
		const pod = byName.get(owner);
		if (pod === undefined) say(address, `it is ${owner}'s, which does not run (ipam gc takes it back)`);
		else if (pod.addresses.length > 0 && !inUse.has(keyOf(address, holder)))
			say(address, `it is ${owner}'s, which has ${pod.addresses.join(', ')} (ipam gc takes it back)`);
	}
	return found;
}

const keyOf = (address: string, { handleId }: AllocationAttribute): string => (handleId === undefined ? address : sanitizeHandle(handleId));

function holdersByAddress(blocks: readonly Block[]): ReadonlyMap<string, AllocationAttribute> {
	const holders = new Map<string, AllocationAttribute>();
	for (const block of blocks)
		for (const [ordinal, index] of block.allocations.entries()) {
			const attribute = index === null ? undefined : block.attributes[index];
			if (attribute !== undefined && attribute.releasedAt === undefined) holders.set(ordinalToAddress(block.cidr, ordinal), attribute);
		}
	return holders;
}

/** `namespace/name` of the pod that an address was given to, where it was given to one. */
function ownerOf({ secondary }: AllocationAttribute): string | undefined {
	const { pod, namespace } = secondary ?? {};
	return pod === undefined || namespace === undefined ? undefined : `${namespace}/${pod}`;
}

/** An address as blocks have it; nothing for what is none. */
function canonical(text: string): readonly string[] {
	try {
		return [canonicalAddress(text)];
	} catch (error) {
		if (error instanceof AddressError) return [];
		throw error;
	}
}

/** Is `prefix` announced by this node without a claim to it, although it lies in a pool? And the other way round. `announced`, `confirmed`: of this node. */
export function findOriginInconsistencies(pools: readonly Pool[], announced: ReadonlySet<PrefixKey>, confirmed: readonly PrefixKey[]): Inconsistency[] {
	const say = (subject: string, problem: string): Inconsistency => ({ kind: 'origin', subject, problem, fix: undefined });
	const claimed = new Set(confirmed);
	const inPool = (prefix: PrefixKey) => pools.some(({ cidr }) => prefixCovers(parsePrefix(cidr), parsePrefix(prefix)));
	return [
		...confirmed.filter((cidr) => !announced.has(cidr)).map((cidr) => say(cidr, 'this node has the block, and does not announce it')),
		...[...announced].filter((cidr) => !claimed.has(cidr) && inPool(cidr)).map((cidr) => say(cidr, 'this node announces it, and has no confirmed claim to it')),
	];
}
