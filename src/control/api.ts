import type { ExplanationView, FibView, PeerView } from '../core/index.ts';
import type { Line } from './answer.ts';
import type { AddressGrantsView, CniStatusView, ReleasedView } from './cni-views.ts';
import type { AddressView, BlocksView, GarbageView, IpamCheckView, PoolsView } from './ipam-views.ts';
import type { Producing } from './json-text.ts';
import type { LintView } from './lint-views.ts';
import type {
	EbpfView,
	PlanView,
	PolicyDropEvent,
	PolicyEndpointsView,
	PolicyOverviewView,
	TraceView,
} from './policy-views.ts';
import type { ServicesView, TakeoverView } from './services-views.ts';
import type {
	ConfigView,
	MonitorEvent,
	PeerActionView,
	PeersView,
	PlanesView,
	ReloadView,
	RoutesView,
	StatusView,
} from './views.ts';

/** How a parameter is written in a query and what it is in TypeScript. */
interface ParameterTypes {
	text: string;
	number: number;
	flag: boolean;
	/** Only in a body. */
	json: unknown;
}
export type ParameterType = keyof ParameterTypes;
export type Parameters = Readonly<Record<string, ParameterType>>;

/**
 * `listing`: JSON with one list of any length, sent while it is produced; `stream`: one JSON value
 * a line, until either side ends.
 */
export type AnswerKind = 'json' | 'listing' | 'stream';

/**
 * One row of the table: server and client are both typed from it. `:name` in the path is a required
 * parameter.
 */
export interface Endpoint<
	P extends Parameters = Parameters,
	A = unknown,
	K extends AnswerKind = AnswerKind,
	L extends string | undefined = string | undefined,
> {
	readonly method: 'GET' | 'POST';
	readonly path: string;
	/** Optional ones; in the query of a GET, in the JSON body of a POST. */
	readonly parameters: P;
	readonly answer: K;
	/** The key of a listing's list. */
	readonly list: L;
	readonly description: string;
	/** Never set: it carries the type of the answer. */
	readonly type?: A;
}

const get = <A>() => rowMaker<A, 'json', undefined>('GET', 'json', undefined);
const post = <A>() => rowMaker<A, 'json', undefined>('POST', 'json', undefined);
const stream = <A>() => rowMaker<A, 'stream', undefined>('GET', 'stream', undefined);
const listing = <A>() => ({
	get: <const L extends keyof A & string>(list: L) => rowMaker<A, 'listing', L>('GET', 'listing', list),
	post: <const L extends keyof A & string>(list: L) => rowMaker<A, 'listing', L>('POST', 'listing', list),
});

function rowMaker<A, K extends AnswerKind, L extends string | undefined>(method: 'GET' | 'POST', answer: K, list: L) {
	return <const Path extends string, const P extends Parameters>(
		path: Path,
		parameters: P,
		description: string,
	): Endpoint<P, A, K, L> & { readonly path: Path } => ({
		method,
		path,
		parameters,
		answer,
		list,
		description,
	});
}

/** Everything that the control socket answers. */
export const endpoints = {
	status: get<StatusView>()('/v1/status', {}, 'the daemon in one screen'),
	peers: listing<PeersView>().get('peers')('/v1/peers', {}, 'all neighbours'),
	peer: get<PeerView>()('/v1/peers/:peer', {}, 'one neighbour, by name or address'),
	peerEnable: post<PeerActionView>()('/v1/peers/:peer/enable', {}, 'let a disabled neighbour connect again'),
	peerDisable: post<PeerActionView>()(
		'/v1/peers/:peer/disable',
		{ text: 'text' },
		'end the session (CEASE 6/2) and keep it down; `text` is sent to the peer (RFC 9003)',
	),
	peerReset: post<PeerActionView>()(
		'/v1/peers/:peer/reset',
		{ soft: 'flag', text: 'text' },
		'start the session again (CEASE 6/4), or with `soft` only exchange all routes again',
	),
	peerRefresh: post<PeerActionView>()(
		'/v1/peers/:peer/refresh',
		{},
		'ask the neighbour for all its routes again (RFC 2918)',
	),
	routes: listing<RoutesView>().get('routes')(
		'/v1/routes',
		{
			family: 'text',
			prefix: 'text',
			covered: 'flag',
			address: 'text',
			received: 'text',
			advertised: 'text',
			limit: 'number',
		},
		'paths of the Loc-RIB; of one prefix, of everything inside it (`covered`), towards an ' +
			'address; as received from or advertised to a neighbour; `limit` 0 is all',
	),
	explanation: listing<ExplanationView>().get('paths')(
		'/v1/explanation',
		{ target: 'text' },
		'why the best path to a prefix, or to an address, is the best',
	),
	fib: listing<FibView>().get('routes')('/v1/fib', {}, 'our routes in the kernel beside those that should be there'),
	planes: get<PlanesView>()(
		'/v1/planes',
		{},
		'what this node keeps in its kernel, by data plane: desired, installed, refused',
	),
	config: get<ConfigView>()('/v1/config', {}, 'the running configuration, defaults filled in'),
	reload: listing<ReloadView>().post('changes')(
		'/v1/reload',
		{ dryRun: 'flag' },
		'read the configuration file again and apply what differs; with `dryRun` only say it',
	),
	cniAdd: post<AddressGrantsView>()(
		'/v1/cni/add',
		{ request: 'json' },
		'addresses for a container (CNI ADD): `request` is a CniAddRequest',
	),
	cniDelete: post<ReleasedView>()(
		'/v1/cni/del',
		{ request: 'json' },
		'release what a container was given (CNI DEL): `request` is a CniAttachment',
	),
	cniCheck: post<AddressGrantsView>()(
		'/v1/cni/check',
		{ request: 'json' },
		'does a container still hold its addresses (CNI CHECK): `request` is a CniCheckRequest',
	),
	cniCollect: post<ReleasedView>()(
		'/v1/cni/gc',
		{ request: 'json' },
		'release what this node gave to containers that are gone (CNI GC): `request` is a CniCollectRequest',
	),
	cniStatus: get<CniStatusView>()(
		'/v1/cni/status',
		{},
		'can addresses be given now (CNI STATUS); 503 with the reason when not',
	),
	pools: listing<PoolsView>().get('pools')('/v1/pools', {}, 'how full each address pool is'),
	ipamBlocks: listing<BlocksView>().get('blocks')(
		'/v1/ipam/blocks',
		{ node: 'text' },
		'how full each block of addresses is, and whose; of one `node`',
	),
	ipamAddress: get<AddressView>()('/v1/ipam/addresses/:address', {}, 'whose an address is'),
	ipamCheck: listing<IpamCheckView>().get('problems')(
		'/v1/ipam/check',
		{},
		'blocks, claims, handles, pools, pods and what is announced, held against each other',
	),
	ipamFix: listing<IpamCheckView>().post('problems')('/v1/ipam/check', {}, 'the same, and mend what may be mended'),
	ipamRelease: post<ReleasedView>()(
		'/v1/ipam/release',
		{ address: 'text', handle: 'text' },
		'release one address, or all of a handle',
	),
	services: listing<ServicesView>().get('services')(
		'/v1/services',
		{ name: 'text' },
		'Services at this node: frontends, endpoints and why one is not used, where they are ' +
			'announced; by name, NAMESPACE/NAME or address',
	),
	servicesTakeover: post<TakeoverView>()(
		'/v1/services/takeover',
		{ dryRun: 'flag', force: 'flag' },
		'program Services beside what another proxy left, then remove that; refused while the other ' +
			'one runs, unless `force`',
	),
	policy: listing<PolicyOverviewView>().get('policies')(
		'/v1/policy',
		{},
		'network policy at this node: is it enforced, what is waited for, each policy and the ' +
			'endpoints that it selects here',
	),
	policyEndpoints: listing<PolicyEndpointsView>().get('endpoints')(
		'/v1/policy/endpoints',
		{ name: 'text' },
		'pods and host endpoints of this node with the tiers, policies and profiles that apply, in order; by name',
	),
	policyTrace: get<TraceView>()(
		'/v1/policy/trace',
		{ from: 'text', to: 'text', protocol: 'text', port: 'number' },
		'what each side does to a new connection and which rule decides; ends are NAMESPACE/POD, ' +
			'NAMESPACE{label=value}, node/NAME or an address',
	),
	policyPlan: post<PlanView>()(
		'/v1/policy/plan',
		{ resources: 'text' },
		'which connections between pods would change with the policies in a YAML or JSON text; nothing is changed',
	),
	policyDrops: stream<PolicyDropEvent>()(
		'/v1/policy/drops',
		{},
		'packets that policy drops or logs on this node, as they happen, within a rate',
	),
	policyFlows: stream<PolicyDropEvent>()(
		'/v1/policy/flows',
		{},
		'connections of pods as they begin, with the verdict and the deciding rule; needs the eBPF data plane',
	),
	ebpf: get<EbpfView>()('/v1/ebpf', {}, 'the eBPF programs of this node, their maps, and packets by decision'),
	lint: listing<LintView>().get('findings')('/v1/lint', {}, "what contradicts itself in the cluster's resources"),
	ipamGarbage: get<GarbageView>()(
		'/v1/ipam/garbage',
		{},
		'addresses, blocks and handles that look abandoned, and who takes them back; nothing is touched',
	),
	ipamCollect: post<GarbageView>()(
		'/v1/ipam/garbage',
		{},
		'a round of collection now, on the node that collects: what has looked abandoned for the ' +
			'whole grace period is taken back',
	),
	monitor: stream<MonitorEvent>()(
		'/v1/monitor',
		{ routes: 'flag' },
		'events as they happen, one JSON object a line; with `routes` also best-route changes',
	),
} as const;

export type Endpoints = typeof endpoints;
export type EndpointName = keyof Endpoints;

type PathParameters<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
	? Name | PathParameters<`/${Rest}`>
	: P extends `${string}:${infer Name}`
		? Name
		: never;

/** The parameters of a request: those of the path, and the optional ones. */
export type RequestOf<N extends EndpointName> = { readonly [K in PathParameters<Endpoints[N]['path']>]: string } & {
	readonly [K in keyof Endpoints[N]['parameters']]?: Endpoints[N]['parameters'][K] extends ParameterType
		? ParameterTypes[Endpoints[N]['parameters'][K]]
		: never;
};
/** What it answers; of a stream, one line. */
export type AnswerOf<N extends EndpointName> = NonNullable<Endpoints[N]['type']>;

type NameOf<K extends AnswerKind> = {
	[N in EndpointName]: Endpoints[N]['answer'] extends K ? N : never;
}[EndpointName];
export type StreamName = NameOf<'stream'>;
export type ListingName = NameOf<'listing'>;
/** One element of a listing's list. */
export type ListedBy<N extends ListingName> = AnswerOf<N>[Endpoints[N]['list'] &
	keyof AnswerOf<N>] extends readonly (infer R)[]
	? R
	: never;

type Given<N extends EndpointName> = N extends ListingName ? Producing<AnswerOf<N>, Endpoints[N]['list']> : AnswerOf<N>;

/**
 * What the daemon does for each row. Lists may be produced while they are sent; streams go on until
 * `signal` aborts.
 */
export type Handlers = {
	readonly [N in EndpointName as N extends StreamName ? never : N]: (
		request: RequestOf<N>,
	) => Given<N> | Promise<Given<N>>;
} & {
	readonly [N in StreamName]: (
		request: RequestOf<N>,
		signal: AbortSignal,
	) => AsyncIterable<readonly Line<AnswerOf<N>>[]>;
};

/** Details of a refusal for programs: each code has its own. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * A refusal, as it goes over the socket: `{ "error": { "code", "message", "hint", "details" } }`.
 */
export class ControlError extends Error {
	override readonly name = 'ControlError';
	/** HTTP status. */
	readonly status: number;
	/** For programs: `no-such-peer`, `bad-request`, `config-invalid`, ... */
	readonly code: string;
	/** What a person can do about it. */
	readonly hint: string | undefined;
	readonly details: ErrorDetails | undefined;

	constructor(status: number, code: string, message: string, hint?: string, details?: ErrorDetails) {
		super(message);
		this.status = status;
		this.code = code;
		this.hint = hint;
		this.details = details;
	}
}

/** The error's JSON. */
export interface ErrorAnswer {
	readonly error: {
		readonly code: string;
		readonly message: string;
		readonly hint?: string;
		readonly details?: ErrorDetails;
	};
}

/** A refusal as JSON. */
export const errorAnswer = ({
	code,
	message,
	hint,
	details,
}: Pick<ControlError, 'code' | 'message' | 'hint' | 'details'>): ErrorAnswer => ({
	error: { code, message, ...(hint === undefined ? {} : { hint }), ...(details === undefined ? {} : { details }) },
});
