import type { ExplanationView, FibView, PeerView } from '../core/index.ts';
import type { AddressGrantsView, CniStatusView, ReleasedView } from './cni-views.ts';
import type { AddressView, BlocksView, GarbageView, IpamCheckView, PoolsView } from './ipam-views.ts';
import type { LintView } from './lint-views.ts';
import type { ConfigView, MonitorEvent, PeerActionView, PeersView, ReloadView, RoutesView, StatusView } from './views.ts';

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

export type AnswerKind = 'json' | 'stream';

/** One row of the table: server and client are both typed from it. `:name` in the path is a required parameter. */
export interface Endpoint<P extends Parameters = Parameters, A = unknown, K extends AnswerKind = AnswerKind> {
	readonly method: 'GET' | 'POST';
	readonly path: string;
	/** Optional ones; in the query of a GET, in the JSON body of a POST. */
	readonly parameters: P;
	/** `stream`: one JSON value a line, until either side ends. */
	readonly answer: K;
	readonly description: string;
	/** Never set: it carries the type of the answer. */
	readonly type?: A;
}

const get = <A>() => rowMaker<A, 'json'>('GET', 'json');
const post = <A>() => rowMaker<A, 'json'>('POST', 'json');
const stream = <A>() => rowMaker<A, 'stream'>('GET', 'stream');

function rowMaker<A, K extends AnswerKind>(method: 'GET' | 'POST', answer: K) {
	return <const Path extends string, const P extends Parameters>(
		path: Path,
		parameters: P,
		description: string,
	): Endpoint<P, A, K> & { readonly path: Path } => ({
		method,
		path,
		parameters,
		answer,
		description,
	});
}

/** Everything that the control socket answers. */
export const endpoints = {
	status: get<StatusView>()('/v1/status', {}, 'the daemon in one screen'),
	peers: get<PeersView>()('/v1/peers', {}, 'all neighbours'),
	peer: get<PeerView>()('/v1/peers/:peer', {}, 'one neighbour, by name or address'),
	peerEnable: post<PeerActionView>()('/v1/peers/:peer/enable', {}, 'let a disabled neighbour connect again'),
	peerDisable: post<PeerActionView>()(
		'/v1/peers/:peer/disable',
		{ text: 'text' },
		'end the session (CEASE 6/2) and keep it down; `text` is told to the neighbour (RFC 9003)',
	),
	peerReset: post<PeerActionView>()(
		'/v1/peers/:peer/reset',
		{ soft: 'flag', text: 'text' },
		'start the session again (CEASE 6/4), or with `soft` only exchange all routes again',
	),
	peerRefresh: post<PeerActionView>()('/v1/peers/:peer/refresh', {}, 'ask the neighbour for all its routes again (RFC 2918)'),
	routes: get<RoutesView>()(
		'/v1/routes',
		{ family: 'text', prefix: 'text', covered: 'flag', address: 'text', received: 'text', advertised: 'text', limit: 'number' },
		'paths of the Loc-RIB; of one prefix, of everything inside it (`covered`), towards an address; as received from or advertised to a neighbour; `limit` 0 is all',
	),
	explanation: get<ExplanationView>()('/v1/explanation', { target: 'text' }, 'why the best path to a prefix, or to an address, is the best'),
	fib: get<FibView>()('/v1/fib', {}, 'our routes in the kernel beside those that should be there'),
	config: get<ConfigView>()('/v1/config', {}, 'the running configuration, defaults filled in'),
	reload: post<ReloadView>()('/v1/reload', { dryRun: 'flag' }, 'read the configuration file again and apply what differs; with `dryRun` only say it'),
	cniAdd: post<AddressGrantsView>()('/v1/cni/add', { request: 'json' }, 'addresses for a container (CNI ADD): `request` is a CniAddRequest'),
	cniDelete: post<ReleasedView>()('/v1/cni/del', { request: 'json' }, 'release what a container was given (CNI DEL): `request` is a CniAttachment'),
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
	cniStatus: get<CniStatusView>()('/v1/cni/status', {}, 'can addresses be given now (CNI STATUS); 503 with the reason when not'),
	pools: get<PoolsView>()('/v1/pools', {}, 'how full each address pool is'),
	ipamBlocks: get<BlocksView>()('/v1/ipam/blocks', { node: 'text' }, 'how full each block of addresses is, and whose; of one `node`'),
	ipamAddress: get<AddressView>()('/v1/ipam/addresses/:address', {}, 'whose an address is'),
	ipamCheck: get<IpamCheckView>()('/v1/ipam/check', {}, 'blocks, claims, handles, pools, pods and what is announced, held against each other'),
	ipamFix: post<IpamCheckView>()('/v1/ipam/check', {}, 'the same, and mend what may be mended'),
	ipamRelease: post<ReleasedView>()('/v1/ipam/release', { address: 'text', handle: 'text' }, 'release one address, or all of a handle'),
	lint: get<LintView>()('/v1/lint', {}, "what contradicts itself in the cluster's resources"),
	ipamGarbage: get<GarbageView>()('/v1/ipam/garbage', {}, 'addresses, blocks and handles that look abandoned, and who takes them back; nothing is touched'),
	ipamCollect: post<GarbageView>()(
		'/v1/ipam/garbage',
		{},
		'a round of collection now, on the node that collects: what has looked abandoned for the whole grace period is taken back',
	),
	monitor: stream<MonitorEvent>()('/v1/monitor', { routes: 'flag' }, 'events as they happen, one JSON object a line; with `routes` also best-route changes'),
} as const;

export type Endpoints = typeof endpoints;
export type EndpointName = keyof Endpoints;

type PathParameters<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
	? Name | PathParameters<`/${Rest}`>
	: P extends `${string}:${infer Name}`
		? Name
		: never;

/** What an endpoint is asked with: its path parameters, and the optional ones. */
export type RequestOf<N extends EndpointName> = { readonly [K in PathParameters<Endpoints[N]['path']>]: string } & {
	readonly [K in keyof Endpoints[N]['parameters']]?: Endpoints[N]['parameters'][K] extends ParameterType
		? ParameterTypes[Endpoints[N]['parameters'][K]]
		: never;
};
/** What it answers; of a stream, one line. */
export type AnswerOf<N extends EndpointName> = NonNullable<Endpoints[N]['type']>;

type StreamName = { [N in EndpointName]: Endpoints[N]['answer'] extends 'stream' ? N : never }[EndpointName];

/** What the daemon does for each row. Streams send until `signal` aborts. */
export type Handlers = {
	readonly [N in EndpointName as N extends 'monitor' ? never : N]: (request: RequestOf<N>) => AnswerOf<N> | Promise<AnswerOf<N>>;
} & {
	readonly monitor: (request: RequestOf<'monitor'>, send: (event: MonitorEvent) => void, signal: AbortSignal) => void;
};
export type { StreamName };

/** What a refusal says to programs beside its words: each code has its own. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** A refusal, as it goes over the socket: `{ "error": { "code", "message", "hint", "details" } }`. */
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
	readonly error: { readonly code: string; readonly message: string; readonly hint?: string; readonly details?: ErrorDetails };
}

/** A refusal as JSON. */
export const errorAnswer = ({ code, message, hint, details }: Pick<ControlError, 'code' | 'message' | 'hint' | 'details'>): ErrorAnswer => ({
	error: { code, message, ...(hint === undefined ? {} : { hint }), ...(details === undefined ? {} : { details }) },
});
