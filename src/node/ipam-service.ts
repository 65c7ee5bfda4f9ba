import { ControlError, type Handlers, type IpamCheckView } from '../control/index.ts';
import { AddressError, type Clock, canonicalAddress, type PrefixKey } from '../core/index.ts';
import {
	type AddressBook,
	type Allocator,
	affinityName,
	type Block,
	blockName,
	blocksOf,
	cidrsOf,
	endCooldowns,
	findInconsistencies,
	findOriginInconsistencies,
	findPodInconsistencies,
	handleName,
	hostAffinity,
	type Inconsistency,
	type IpamStore,
	ordinalsOfHandle,
	ownClaims,
	type PodAddresses,
	removeAsSeen,
	reportAddress,
	reportBlock,
	reportPool,
	sanitizeHandle,
	valuesOf,
} from '../ipam/index.ts';
import { type ApiClient, ApiError } from '../kubernetes/index.ts';
import { listPodFacts } from './pod-facts.ts';
import { readOnlyError } from './server-errors.ts';
import type { AddressMode } from './state.ts';

export interface IpamServiceDependencies {
	readonly allocator: Allocator;
	readonly store: IpamStore;
	/** Lists the pods. */
	readonly client: Pick<ApiClient, 'list'>;
	readonly mode: AddressMode;
	readonly clock: Clock;
	/** The node's own prefixes in BGP. */
	readonly announced: () => ReadonlySet<PrefixKey>;
	readonly node: string;
}

export type IpamHandlers = Pick<
	Handlers,
	'pools' | 'ipamBlocks' | 'ipamAddress' | 'ipamCheck' | 'ipamFix' | 'ipamRelease'
>;

/**
 * Delay between two checks, in milliseconds: a difference that appears only once was a request in
 * progress.
 */
const lookAgainMs = 1000;

/** The address endpoints for operators. They read the cluster itself instead of a copy. */
export function ipamService(dependencies: IpamServiceDependencies): IpamHandlers {
	const { allocator, store } = dependencies;
	const blocks = async () => {
		const { items, unreadable } = await store.blocks.list();
		return { all: valuesOf({ items }), closed: cidrsOf(unreadable) };
	};
	return {
		async pools() {
			const { all, closed } = await blocks();
			return {
				pools: (await store.pools()).map((pool) => defined(reportPool(pool, all, dependencies.clock.wallMs(), closed))),
			};
		},
		async ipamBlocks({ node }) {
			const reports = (await blocks()).all.map(reportBlock);
			return { blocks: reports.filter((report) => node === undefined || report.node === node).map(defined) };
		},
		async ipamAddress({ address }) {
			const { all, closed } = await blocks();
			return defined(reportAddress(all, checkedAddress(address), closed));
		},
		ipamCheck: () => check(dependencies),
		ipamFix: async () => {
			const view = await check(dependencies);
			const problems = [];
			for (const problem of view.problems)
				problems.push(problem.fix === undefined ? problem : { ...problem, fixed: await mend(dependencies, problem) });
			return { ...view, problems };
		},
		async ipamRelease({ address, handle }) {
			if ((address === undefined) === (handle === undefined))
				throw new ControlError(400, 'bad-request', 'release what?', 'either address or handle');
			const outcome =
				handle === undefined
					? await allocator.releaseAddress(checkedAddress(address ?? ''))
					: await allocator.release(handle);
			if (outcome.type === 'locked') throw readOnlyError(outcome.reason);
			if (outcome.type === 'refused' && outcome.reason === 'gateway')
				throw new ControlError(
					409,
					'in-use',
					`${outcome.address} is the gateway of its block, which has other addresses in use`,
					'it goes when they have gone',
					{ address: outcome.address, reason: outcome.reason },
				);
			if (outcome.type === 'refused')
				throw new ControlError(409, 'in-use', `${outcome.address} was given to another owner meanwhile`, undefined, {
					address: outcome.address,
					reason: outcome.reason,
				});
			return { addresses: outcome.addresses };
		},
	};
}

async function book(store: IpamStore): Promise<Required<AddressBook>> {
	const [pools, blocks, affinities, handles] = await Promise.all([
		store.pools(),
		store.blocks.list(),
		store.affinities.list(),
		store.handles.list(),
	]);
	const unreadable = { blocks: blocks.unreadable, affinities: affinities.unreadable, handles: handles.unreadable };
	return { pools, blocks: valuesOf(blocks), affinities: valuesOf(affinities), handles: valuesOf(handles), unreadable };
}

/**
 * Reads all address resources. The pods are read last, so that a pod that starts meanwhile is known
 * when its address is examined.
 */
async function look({ store, client, mode, announced, node, clock }: IpamServiceDependencies) {
	const all = await book(store);
	const { cooldownSeconds } = await store.config();
	const blocks = all.blocks.map((block) => endCooldowns(block, cooldownSeconds, clock.wallMs()));
	const pods = await podAddresses(client);
	const own = ownClaims(all.affinities, node);
	const closed = cidrsOf(all.unreadable.blocks);
	// With `host-local`, addresses are in no block, and ranges are announced without a claim.
	const isBlocks = mode === 'blocks';
	return {
		all,
		pods,
		problems: [
			...store.unreadable().map(({ kind, name, problem }) => ({
				kind,
				subject: name,
				problem: `it can not be read: ${problem}`,
				fix: undefined,
			})),
			...findInconsistencies({ ...all, blocks }),
			...(isBlocks && pods !== undefined ? findPodInconsistencies(all.pools, blocks, pods, closed) : []),
			...(isBlocks ? findOriginInconsistencies(all.pools, withoutBorrowed(announced(), blocks), own.confirmed) : []),
		],
	};
}

/** Removes host prefixes of addresses in use: borrowed addresses are announced one by one. */
function withoutBorrowed(announced: ReadonlySet<PrefixKey>, blocks: readonly Block[]): ReadonlySet<PrefixKey> {
	const isHost = (cidr: PrefixKey) => cidr.endsWith(cidr.includes(':') ? '/128' : '/32');
	const isInUse = (cidr: PrefixKey) => reportAddress(blocks, cidr.slice(0, cidr.indexOf('/'))).state === 'used';
	return new Set([...announced].filter((cidr) => !(isHost(cidr) && isInUse(cidr))));
}

async function check(dependencies: IpamServiceDependencies): Promise<IpamCheckView> {
	const first = await look(dependencies);
	const suspected = new Set(first.problems.map(textOf));
	if (suspected.size > 0) await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
	const { all, pods, problems } = suspected.size > 0 ? await look(dependencies) : first;
	return {
		checked: {
			pools: all.pools.length,
			blocks: all.blocks.length,
			claims: all.affinities.length,
			handles: all.handles.length,
			...(pods === undefined ? {} : { pods: pods.length }),
		},
		problems: problems.filter((problem) => suspected.has(textOf(problem))).map(defined),
	};
}

/**
 * Pods with their own network namespace that have not finished; `undefined`: no permission to list
 * pods.
 */
async function podAddresses(client: Pick<ApiClient, 'list'>): Promise<readonly PodAddresses[] | undefined> {
	try {
		return [...(await listPodFacts(client))].flatMap(([name, { addresses, finished, hostNetwork, terminating }]) =>
			finished || hostNetwork ? [] : [{ name, addresses, ...(terminating ? { terminating: true } : {}) }],
		);
	} catch (error) {
		if (error instanceof ApiError && error.code === 403) return undefined;
		throw error;
	}
}

const textOf = ({ kind, subject, problem }: Inconsistency): string => `${kind} ${subject} ${problem}`;

/**
 * Removes a handle without addresses, or a claim without a block, after a new check. `false`: it is
 * gone or valid by now.
 */
async function mend(
	{ store }: IpamServiceDependencies,
	{ subject, fix }: IpamCheckView['problems'][number],
): Promise<boolean> {
	const reason = await store.readOnlyReason();
	if (reason !== undefined) throw readOnlyError(reason);
	if (fix === 'remove-handle') {
		// Read before the blocks: a handle used later is written again and is then kept.
		const seen = await store.handles.read(handleName(subject), 'fresh');
		if (seen === undefined) return false;
		for (const cidr of blocksOf(seen.value)) {
			const block = await store.blocks.read(blockName(cidr), 'fresh');
			if (block !== undefined && ordinalsOfHandle(block.value, sanitizeHandle(subject)).length > 0) return false;
		}
		return removeAsSeen(store.handles, handleName(subject), seen);
	}
	const [node = '', text = ''] = subject.split(' ');
	// The subject was derived from an affinity: its CIDR is canonical.
	const cidr = text as PrefixKey;
	const claim = await store.affinities.read(affinityName(node, cidr), 'fresh');
	const block = await store.blocks.read(blockName(cidr), 'fresh');
	if (claim === undefined || block?.value.affinity === hostAffinity(node)) return false;
	return removeAsSeen(store.affinities, affinityName(node, cidr), claim);
}

function checkedAddress(text: string): string {
	try {
		return canonicalAddress(text);
	} catch (error) {
		if (error instanceof AddressError) throw new ControlError(400, 'bad-request', error.message);
		throw error;
	}
}

type Defined<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> };

/** Removes `undefined` members, which JSON can not represent. */
function defined<T extends object>(value: T): Defined<T> {
	return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;
}
