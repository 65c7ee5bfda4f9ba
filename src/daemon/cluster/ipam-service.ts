import { ControlError, type Handlers, type IpamCheckView } from '../../control/index.ts';
import { AddressError, type Clock, canonicalAddress, type PrefixKey } from '../../core/index.ts';
import {
	type AddressBook,
	type Allocator,
	affinityName,
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
} from '../../ipam/index.ts';
import { type ApiClient, ApiError, coreKinds, textAt } from '../../kubernetes/index.ts';
import { podFacts } from './pod-facts.ts';
import { readOnlyError } from './server-errors.ts';
import type { AddressMode } from './state.ts';

export interface IpamServiceOptions {
	readonly allocator: Allocator;
	readonly store: IpamStore;
	/** Asked for the pods. */
	readonly client: Pick<ApiClient, 'list'>;
	readonly mode: AddressMode;
	readonly clock: Clock;
	/** What BGP announces of this node's own. */
	readonly announced: () => ReadonlySet<PrefixKey>;
	readonly node: string;
}

export type IpamHandlers = Pick<Handlers, 'pools' | 'ipamBlocks' | 'ipamAddress' | 'ipamCheck' | 'ipamFix' | 'ipamRelease'>;

/** Two looks with this between them: what differs only once was a request on its way. */
const lookAgainMs = 1000;

/** What people ask of addresses, answered from the cluster itself rather than from a copy. */
export function ipamService(options: IpamServiceOptions): IpamHandlers {
	const { allocator, store } = options;
	const blocks = async () => {
		const { items, unreadable } = await store.blocks.list();
		return { all: valuesOf({ items }), closed: cidrsOf(unreadable) };
	};
	return {
		async pools() {
			const { all, closed } = await blocks();
			return { pools: (await store.pools()).map((pool) => defined(reportPool(pool, all, options.clock.wallMs(), closed))) };
		},
		async ipamBlocks({ node }) {
			const reports = (await blocks()).all.map(reportBlock);
			return { blocks: reports.filter((report) => node === undefined || report.node === node).map(defined) };
		},
		async ipamAddress({ address }) {
			const { all, closed } = await blocks();
			return defined(reportAddress(all, checkedAddress(address), closed));
		},
		ipamCheck: () => check(options),
		ipamFix: async () => {
			const view = await check(options);
			const problems = [];
			for (const problem of view.problems) problems.push(problem.fix === undefined ? problem : { ...problem, fixed: await mend(options, problem) });
			return { ...view, problems };
		},
		async ipamRelease({ address, handle }) {
			if ((address === undefined) === (handle === undefined)) throw new ControlError(400, 'bad-request', 'release what?', 'either address or handle');
			const outcome = handle === undefined ? await allocator.releaseAddress(checkedAddress(address ?? '')) : await allocator.release(handle);
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
				throw new ControlError(409, 'in-use', `${outcome.address} was given to somebody else meanwhile`, undefined, {
					address: outcome.address,
					reason: outcome.reason,
				});
			return { addresses: outcome.addresses };
		},
	};
}

async function book(store: IpamStore): Promise<Required<AddressBook>> {
	const [pools, blocks, affinities, handles] = await Promise.all([store.pools(), store.blocks.list(), store.affinities.list(), store.handles.list()]);
	const unreadable = { blocks: blocks.unreadable, affinities: affinities.unreadable, handles: handles.unreadable };
	return { pools, blocks: valuesOf(blocks), affinities: valuesOf(affinities), handles: valuesOf(handles), unreadable };
}

/** What there is at one moment; the pods last, so that one that came meanwhile is known when its address is judged. */
async function look({ store, client, mode, announced, node, clock }: IpamServiceOptions) {
	const all = await book(store);
	const { cooldownSeconds } = await store.config();
	const blocks = all.blocks.map((block) => endCooldowns(block, cooldownSeconds, clock.wallMs()));
	const pods = await podAddresses(client);
	const own = ownClaims(all.affinities, node);
	const closed = cidrsOf(all.unreadable.blocks);
	// With `host-local` addresses are in no block, and ranges are announced without a claim.
	const isBlocks = mode === 'blocks';
	return {
		all,
		pods,
		problems: [
			...store.unreadable().map(({ kind, name, problem }) => ({ kind, subject: name, problem: `it can not be read: ${problem}`, fix: undefined })),
			...findInconsistencies({ ...all, blocks }),
			...(isBlocks && pods !== undefined ? findPodInconsistencies(all.pools, blocks, pods, closed) : []),
			...(isBlocks ? findOriginInconsistencies(all.pools, announced(), own.confirmed) : []),
		],
	};
}

async function check(options: IpamServiceOptions): Promise<IpamCheckView> {
	const first = await look(options);
	const suspected = new Set(first.problems.map(textOf));
	if (suspected.size > 0) await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
	const { all, pods, problems } = suspected.size > 0 ? await look(options) : first;
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

/** Pods with a network of their own that have not finished; `undefined`: they may not be listed. */
async function podAddresses(client: Pick<ApiClient, 'list'>): Promise<readonly PodAddresses[] | undefined> {
	try {
		const { items } = await client.list(coreKinds.pods);
		return items.flatMap((pod) => {
			const { addresses, finished, hostNetwork } = podFacts(pod);
			return finished || hostNetwork ? [] : [{ name: `${textAt(pod, 'metadata', 'namespace') ?? ''}/${textAt(pod, 'metadata', 'name') ?? ''}`, addresses }];
		});
	} catch (error) {
		if (error instanceof ApiError && error.code === 403) return undefined;
		throw error;
	}
}

const textOf = ({ kind, subject, problem }: Inconsistency): string => `${kind} ${subject} ${problem}`;

/** Removes a handle nobody knows of, or a claim to nothing, if it is so still. `false`: it is gone, or in order, by now. */
async function mend({ store }: IpamServiceOptions, { subject, fix }: IpamCheckView['problems'][number]): Promise<boolean> {
	const reason = await store.readOnlyReason();
	if (reason !== undefined) throw readOnlyError(reason);
	if (fix === 'remove-handle') {
		// Before the blocks: a handle that is used later than this is written anew, and stays.
		const seen = await store.handles.read(handleName(subject), 'fresh');
		if (seen === undefined) return false;
		for (const cidr of blocksOf(seen.value)) {
			const block = await store.blocks.read(blockName(cidr), 'fresh');
			if (block !== undefined && ordinalsOfHandle(block.value, sanitizeHandle(subject)).length > 0) return false;
		}
		return removeAsSeen(store.handles, handleName(subject), seen);
	}
	const [node = '', text = ''] = subject.split(' ');
	// The subject was made from a claim: its CIDR is canonical.
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

/** Without the members that are `undefined`: JSON has none. */
function defined<T extends object>(value: T): Defined<T> {
	return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;
}
