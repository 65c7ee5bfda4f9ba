/**
 * Checks that all address resources agree. Pure, on blocks, affinities, handles, pools and pods.
 */
import {
	AddressError,
	canonicalAddress,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixCovers,
} from '../core/index.ts';
import { addressToOrdinal, ordinalToAddress } from './addresses.ts';
import { attributeOf, blockProblems, isHeld, ordinalsOfHandle } from './block.ts';
import { affinityName, handleName, sanitizeHandle } from './names.ts';
import { overlappingPairs } from './overlaps.ts';
import { cidrsOf, type Unreadable, type UnreadableResource } from './store.ts';
import {
	type Affinity,
	type AllocationAttribute,
	type Block,
	type Handle,
	hostAffinity,
	isConfirmed,
	type Pool,
} from './values.ts';

/** All address resources at one moment. */
export interface AddressBook {
	readonly pools: readonly Pool[];
	readonly blocks: readonly Block[];
	readonly affinities: readonly Affinity[];
	readonly handles: readonly Handle[];
	/** Unreadable resources by kind: the addresses that they may cover are not judged. */
	readonly unreadable?: Readonly<Record<'blocks' | 'affinities' | 'handles', readonly Unreadable[]>>;
}

/** A contradiction. `fix` is the repair, if a program can make it. */
export interface Inconsistency {
	readonly kind: UnreadableResource['kind'] | 'pod' | 'origin';
	readonly subject: string;
	readonly problem: string;
	readonly fix: 'remove-handle' | 'release-claim' | undefined;
}

const allReadable = { blocks: [], affinities: [], handles: [] };

/**
 * Compares blocks, affinities, handles and pools. Some differences exist for a moment while a
 * request is in progress: confirm with a second check.
 */
export function findInconsistencies({
	pools,
	blocks,
	affinities,
	handles,
	unreadable = allReadable,
}: AddressBook): Inconsistency[] {
	const closed = new Set(cidrsOf(unreadable.blocks));
	const closedClaims = new Set(unreadable.affinities.map(({ name }) => name));
	const byCidr = new Map(blocks.map((block) => [block.cidr, block]));
	const found: Inconsistency[] = [];
	const claimed = new Set<string>();
	for (const block of blocks)
		for (const problem of blockProblems(block))
			found.push({ kind: 'block', subject: block.cidr, problem, fix: undefined });
	found.push(...overlapInconsistencies(blocks, [...closed]));
	for (const block of blocks) {
		if (!pools.some((pool) => prefixCovers(parsePrefix(pool.cidr), parsePrefix(block.cidr))))
			found.push({ kind: 'pool', subject: block.cidr, problem: 'the block lies in no pool', fix: undefined });
	}
	for (const { node, cidr, state } of affinities) {
		claimed.add(`${hostAffinity(node)} ${cidr}`);
		if (closed.has(cidr)) continue;
		const block = byCidr.get(cidr);
		if (isConfirmed(state) && block === undefined)
			found.push({
				kind: 'claim',
				subject: `${node} ${cidr}`,
				problem: 'the claim is confirmed, and there is no such block',
				fix: 'release-claim',
			});
		else if (isConfirmed(state) && block?.affinity !== hostAffinity(node))
			found.push({
				kind: 'claim',
				subject: `${node} ${cidr}`,
				problem: `the claim is confirmed, and the block is ${block?.affinity ?? 'no node'}'s`,
				fix: 'release-claim',
			});
	}
	for (const { cidr, affinity } of blocks) {
		const isKnown = affinity?.startsWith('host:') !== true || claimed.has(`${affinity} ${cidr}`);
		if (!isKnown && !closedClaims.has(affinityName(affinity.slice('host:'.length), cidr)))
			found.push({
				kind: 'claim',
				subject: cidr,
				problem: `the block is ${affinity}'s, who has no claim to it`,
				fix: undefined,
			});
	}
	return [...found, ...handleInconsistencies({ handles, blocks, unreadable }, byCidr, closed)];
}

/** Blocks that overlap, and addresses assigned in two of them. */
function overlapInconsistencies(blocks: readonly Block[], unreadable: readonly PrefixKey[]): Inconsistency[] {
	const byCidr = new Map(blocks.map((block) => [block.cidr, block]));
	return overlappingPairs([...byCidr.keys(), ...unreadable]).flatMap(([outer, inner]) => {
		const one = byCidr.get(outer);
		const other = byCidr.get(inner);
		const twice =
			one === undefined || other === undefined
				? []
				: other.allocations.flatMap((_, ordinal) => {
						const address = ordinalToAddress(inner, ordinal);
						return isHeld(other, ordinal) && isHeld(one, addressToOrdinal(outer, address) ?? -1) ? [address] : [];
					});
		return [
			{
				kind: 'block' as const,
				subject: inner,
				problem: `it overlaps block ${outer}: neither gives addresses any more`,
				fix: undefined,
			},
			...twice.map((address) => ({
				kind: 'block' as const,
				subject: address,
				problem:
					`it is given twice, in block ${outer} to ${ownerText(one, outer, address)} and in block ` +
					`${inner} to ${ownerText(other, inner, address)}`,
				fix: undefined,
			})),
		];
	});
}

function ownerText(block: Block | undefined, cidr: PrefixKey, address: string): string {
	const attribute = block && attributeOf(block, addressToOrdinal(cidr, address) ?? -1);
	const { pod, namespace } = attribute?.secondary ?? {};
	return pod === undefined ? (attribute?.handleId ?? 'an unknown owner') : `${namespace ?? ''}/${pod}`;
}

function handleInconsistencies(
	{ handles, blocks, unreadable }: Required<Pick<AddressBook, 'handles' | 'blocks' | 'unreadable'>>,
	byCidr: ReadonlyMap<string, Block>,
	closed: ReadonlySet<string>,
): Inconsistency[] {
	const known = new Set([
		...handles.map(({ handleId }) => handleName(handleId)),
		...unreadable.handles.map(({ name }) => name),
	]);
	const found: Inconsistency[] = [];
	for (const { handleId, blocks: counts } of handles) {
		const held = Object.keys(counts).map((cidr) => {
			const block = byCidr.get(cidr);
			return { cidr, held: block === undefined ? 0 : ordinalsOfHandle(block, sanitizeHandle(handleId)).length };
		});
		if (held.every((entry) => entry.held === 0 && !closed.has(entry.cidr)))
			found.push({ kind: 'handle', subject: handleId, problem: 'no block has an address of it', fix: 'remove-handle' });
		else
			for (const { cidr, held: number } of held.filter(
				(entry) => entry.held !== counts[entry.cidr] && !closed.has(entry.cidr),
			))
				found.push({
					kind: 'handle',
					subject: handleId,
					problem: `it counts ${counts[cidr]} of ${cidr}, the block has ${number}`,
					fix: undefined,
				});
	}
	for (const block of blocks) {
		for (const [index, { handleId, releasedAt }] of block.attributes.entries()) {
			if (handleId === undefined || releasedAt !== undefined || known.has(handleName(sanitizeHandle(handleId))))
				continue;
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

/** A pod that runs or is about to run. */
export interface PodAddresses {
	/** `namespace/name`. */
	readonly name: string;
	/** From the pod's status; empty if not known yet. */
	readonly addresses: readonly string[];
	/** True while the pod is being deleted. */
	readonly terminating?: boolean;
}

/**
 * Compares blocks and pods. `pods`: those with their own network namespace that have not finished,
 * read after the blocks. `unreadable`: blocks whose contents are unknown. There is no automatic
 * repair here: a pod keeps its address.
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
	// A pod that is being deleted may have released its addresses while its status still lists
	// them.
	for (const { name, addresses } of pods.filter(({ terminating }) => terminating !== true))
		for (const address of addresses.flatMap(canonical)) users.set(address, [...(users.get(address) ?? []), name]);
	const found: Inconsistency[] = [];
	const say = (subject: string, problem: string) => found.push({ kind: 'pod', subject, problem, fix: undefined });
	for (const [address, names] of users) {
		if (!pools.some(({ cidr }) => prefixContains(parsePrefix(cidr), parseAddress(address)))) continue;
		const holder = holders.get(address);
		// While a virtual machine migrates, the pod that it leaves and the new one have its address.
		const migrates = holder?.alternate !== undefined && names.every((name) => ownersOf(holder).includes(name));
		if (names.length > 1 && !migrates) say(address, `several pods have it: ${[...names].sort().join(', ')}`);
		if (holder === undefined && unreadable.some((cidr) => prefixContains(parsePrefix(cidr), parseAddress(address))))
			continue;
		if (holder === undefined)
			for (const name of names) say(name, `it has ${address}, which is not allocated: the next pod may get it, too`);
		else {
			const owners = ownersOf(holder);
			for (const name of names)
				if (owners.length > 0 && !owners.includes(name)) say(name, `it has ${address}, which is ${owners[0]}'s`);
		}
	}
	// A container with several interfaces: the addresses of a handle count together, as in the
	// garbage collector.
	const inUse = new Set(
		[...holders].flatMap(([address, holder]) =>
			ownersOf(holder).some((owner) => users.get(address)?.includes(owner)) ? [keyOf(address, holder)] : [],
		),
	);
	for (const [address, holder] of holders) {
		const [owner, second] = ownersOf(holder);
		// The address of a virtual machine outlives its pods.
		if (owner === undefined || second !== undefined || isOfMachine(holder)) continue;
		const pod = byName.get(owner);
		if (pod === undefined) say(address, `it is ${owner}'s, which does not run (ipam gc takes it back)`);
		else if (pod.terminating !== true && pod.addresses.length > 0 && !inUse.has(keyOf(address, holder)))
			say(address, `it is ${owner}'s, which has ${pod.addresses.join(', ')} (ipam gc takes it back)`);
	}
	return found;
}

const keyOf = (address: string, { handleId }: AllocationAttribute): string =>
	handleId === undefined ? address : sanitizeHandle(handleId);

function holdersByAddress(blocks: readonly Block[]): ReadonlyMap<string, AllocationAttribute> {
	const holders = new Map<string, AllocationAttribute>();
	for (const block of blocks)
		for (const [ordinal, index] of block.allocations.entries()) {
			const attribute = index === null ? undefined : block.attributes[index];
			if (attribute !== undefined && attribute.releasedAt === undefined)
				holders.set(ordinalToAddress(block.cidr, ordinal), attribute);
		}
	return holders;
}

/**
 * `namespace/name` of the pods that own an address: one, or two while a virtual machine migrates.
 */
const ownersOf = ({ secondary, alternate }: AllocationAttribute): readonly string[] =>
	[secondary, alternate].flatMap(({ pod, namespace } = {}) =>
		pod === undefined || namespace === undefined ? [] : [`${namespace}/${pod}`],
	);

const isOfMachine = ({ secondary, alternate }: AllocationAttribute): boolean =>
	secondary?.['vmi-name'] !== undefined || alternate?.['vmi-name'] !== undefined;

/** An address in canonical form; empty for text that is no address. */
function canonical(text: string): readonly string[] {
	try {
		return [canonicalAddress(text)];
	} catch (error) {
		if (error instanceof AddressError) return [];
		throw error;
	}
}

/**
 * Compares this node's announced prefixes with its confirmed claims, in both directions. Only
 * prefixes inside a pool count. `announced`, `confirmed`: of this node.
 */
export function findOriginInconsistencies(
	pools: readonly Pool[],
	announced: ReadonlySet<PrefixKey>,
	confirmed: readonly PrefixKey[],
): Inconsistency[] {
	const say = (subject: string, problem: string): Inconsistency => ({
		kind: 'origin',
		subject,
		problem,
		fix: undefined,
	});
	const claimed = new Set(confirmed);
	const inPool = (prefix: PrefixKey) => pools.some(({ cidr }) => prefixCovers(parsePrefix(cidr), parsePrefix(prefix)));
	return [
		...confirmed
			.filter((cidr) => !announced.has(cidr))
			.map((cidr) => say(cidr, 'this node has the block, and does not announce it')),
		...[...announced]
			.filter((cidr) => !claimed.has(cidr) && inPool(cidr))
			.map((cidr) => say(cidr, 'this node announces it, and has no confirmed claim to it')),
	];
}
