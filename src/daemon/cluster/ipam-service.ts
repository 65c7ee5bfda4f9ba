import { ControlError, type Handlers, type IpamCheckView } from '../../control/index.ts';
import { AddressError, formatAddress, type PrefixKey, parseAddress } from '../../core/index.ts';
import {
	type AddressBook,
	type Allocator,
	affinityName,
	compareAndSwap,
	findInconsistencies,
	handleName,
	type Inconsistency,
	type IpamStore,
	type Retry,
	reportAddress,
	reportBlock,
	reportPool,
} from '../../ipam/index.ts';

export interface IpamServiceOptions {
	readonly allocator: Allocator;
	readonly store: IpamStore;
	readonly retry: Retry;
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
	const blocks = async () => (await store.blocks.list()).map(({ value }) => value);
	return {
		async pools() {
			const all = await blocks();
			return { pools: (await store.pools()).map((pool) => defined(reportPool(pool, all, Date.now()))) };
		},
		async ipamBlocks({ node }) {
			const reports = (await blocks()).map(reportBlock);
			return { blocks: reports.filter((report) => node === undefined || report.node === node).map(defined) };
		},
		async ipamAddress({ address }) {
			return defined(reportAddress(await blocks(), checkedAddress(address)));
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
			if (outcome.type === 'locked') throw new ControlError(503, 'read-only', outcome.reason);
			if (outcome.type === 'refused' && outcome.reason === 'gateway')
				throw new ControlError(
					409,
					'in-use',
					`${outcome.address} is the gateway of its block, which has other addresses in use`,
					'it goes when they have gone',
				);
			if (outcome.type === 'refused') throw new ControlError(409, 'in-use', `${outcome.address} was given to somebody else meanwhile`);
			return { addresses: outcome.addresses };
		},
	};
}

async function book(store: IpamStore): Promise<AddressBook> {
	const [pools, blocks, affinities, handles] = await Promise.all([store.pools(), store.blocks.list(), store.affinities.list(), store.handles.list()]);
	const values = <T>(entries: readonly { readonly value: T }[]) => entries.map(({ value }) => value);
	return { pools, blocks: values(blocks), affinities: values(affinities), handles: values(handles) };
}

async function check({ store, announced, node }: IpamServiceOptions): Promise<IpamCheckView> {
	const first = await book(store);
	const suspected = new Set(findInconsistencies(first).map(textOf));
	if (suspected.size > 0) await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
	const second = suspected.size > 0 ? await book(store) : first;
	const problems = findInconsistencies(second).filter((problem) => suspected.has(textOf(problem)));
	const own = second.affinities.filter((affinity) => affinity.node === node && (affinity.state === 'confirmed' || affinity.state === ''));
	const silent = own
		.filter(({ cidr }) => !announced().has(cidr))
		.map(({ cidr }) => ({ kind: 'origin', subject: cidr, problem: 'this node has the block, and does not announce it' }));
	return {
		checked: { pools: second.pools.length, blocks: second.blocks.length, claims: second.affinities.length, handles: second.handles.length },
		problems: [...problems.map(defined), ...silent],
	};
}

const textOf = ({ kind, subject, problem }: Inconsistency): string => `${kind} ${subject} ${problem}`;

/** Removes a handle nobody knows of, or a claim to nothing. `false`: it is gone already. */
async function mend({ store, retry }: IpamServiceOptions, { subject, fix }: IpamCheckView['problems'][number]): Promise<boolean> {
	if (fix === 'remove-handle')
		return compareAndSwap(
			store.handles,
			handleName(subject),
			(handle) => (handle === undefined ? { type: 'leave', result: false } : { type: 'remove', result: true }),
			retry,
		);
	const [node = '', cidr = ''] = subject.split(' ');
	// The subject was made from a claim: its CIDR is canonical.
	return compareAndSwap(
		store.affinities,
		affinityName(node, cidr as PrefixKey),
		(claim) => (claim === undefined ? { type: 'leave', result: false } : { type: 'remove', result: true }),
		retry,
	);
}

function checkedAddress(text: string): string {
	try {
		return formatAddress(parseAddress(text).bytes);
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
