import { changedOptions, type RouteQuery } from '../bgp/index.ts';
import {
	type ConfigView,
	ControlError,
	type Handlers,
	type LintView,
	type PeerActionView,
	type Producing,
	type ReloadView,
	type RequestOf,
	type RoutesView,
	type StatusView,
} from '../control/index.ts';
import {
	AddressError,
	aFew,
	canonicalAddress,
	type Family,
	type PeerView,
	prefixKey,
	type RouteView,
} from '../core/index.ts';
import { isContradiction, type Problem } from '../health/index.ts';
import { explain } from './explain.ts';
import type { MonitorHub } from './monitor.ts';
import { problemsOfPeers, withProblems } from './peer-problems.ts';
import type { OpenedPolicy } from './policy/open.ts';
import type { Rooms } from './rooms.ts';
import type { OpenedServices } from './services/open.ts';
import { untouchedView } from './untouched-view.ts';

/** The data sources of the endpoints. */
export interface HandlerDependencies {
	/** @throws ControlError while the daemon starts or stops */
	readonly rooms: () => Rooms;
	readonly hub: MonitorHub;
	readonly status: () => Promise<StatusView>;
	readonly problems: () => Promise<readonly Problem[]>;
	readonly config: () => ConfigView;
	readonly reload: (dryRun: boolean) => Promise<Producing<ReloadView, 'changes'>>;
}

// Loaded with the first request: a node without policies does not need this code.
const policyQuestions = () => import('./policy/questions.ts');
const policyView = () => import('./policy/view.ts');
const ebpfViews = () => import('./policy/ebpf-view.ts');

function noAddresses(): never {
	throw new ControlError(
		503,
		'no-addresses',
		'this node gives no addresses: its datastore is not kubernetes',
		'datastore in the configuration of bgpmeshd',
	);
}

/** The daemon's side of the table of endpoints. */
export function createHandlers({ rooms, hub, status, problems, config, reload }: HandlerDependencies): Handlers {
	const act = (
		name: string,
		action: PeerActionView['action'],
		does: (rooms: Rooms, peer: PeerView) => unknown,
	): PeerActionView => {
		const here = rooms();
		const peer = findPeer(here, name);
		// A refusal has a reason.
		const refusal = does(here, peer);
		return typeof refusal !== 'string'
			? { peer: peer.name, action, done: true }
			: { peer: peer.name, action, done: false, reason: refusal };
	};
	const addresses = () => rooms().addresses ?? noAddresses();
	const serviceRoom = (): OpenedServices => {
		const { services } = rooms();
		if (services !== undefined) return services;
		throw new ControlError(409, 'no-cluster', 'there are no Services: the datastore is none');
	};
	const policyRoom = (): OpenedPolicy => {
		const { policy } = rooms();
		if (policy !== undefined) return policy;
		throw new ControlError(
			409,
			'no-policy',
			'this node does not follow network policies',
			'set networkPolicy.enforce: true in its configuration and restart bgpmeshd',
		);
	};
	const policyCounts = async (policy: OpenedPolicy) => {
		const counters = await policy.counters();
		return counters === undefined ? undefined : (await policyView()).countsOf(counters);
	};
	return {
		status,
		peers: () => {
			const here = rooms();
			const problemsOf = problemsOfPeers(here);
			const views = function* () {
				for (const peer of here.speaker.eachPeer()) yield withProblems(peer, problemsOf);
			};
			return { peers: views() };
		},
		peer: ({ peer }) => {
			const here = rooms();
			const view = withProblems(findPeer(here, peer), problemsOfPeers(here));
			const options = here.speaker.peerOptions(view.name);
			return options === undefined ? view : { ...view, options: changedOptions(options) };
		},
		peerEnable: ({ peer }) => act(peer, 'enable', ({ speaker }, { name }) => speaker.enable(name)),
		peerDisable: ({ peer, text }) =>
			act(peer, 'disable', ({ speaker }, { name }) => speaker.disable(name, shutdownText(text))),
		peerReset: ({ peer, soft, text }) =>
			act(peer, soft === true ? 'soft-reset' : 'reset', ({ speaker }, { name, state, enabled }) => {
				if (!enabled) return `it is disabled: bgpmesh peer enable ${name} starts it`;
				if (soft === true && state !== 'established') return `the session is not established, it is ${state}`;
				speaker.reset(name, soft === true ? 'soft' : 'hard', shutdownText(text));
				return undefined;
			}),
		peerRefresh: ({ peer }) =>
			act(peer, 'refresh', ({ speaker }, { name, state }) => {
				if (speaker.refresh(name)) return undefined;
				return state === 'established'
					? 'the neighbour did not announce the route refresh capability'
					: `the session is not established, it is ${state}`;
			}),
		routes: (request) => {
			const { limit = defaultLimit } = request;
			const here = rooms();
			return limited(here.rib.eachRoute(routeQuery(here, request)), limit);
		},
		explanation: ({ target }) => explain(rooms(), target),
		fib: () => {
			const { kernel } = rooms();
			return kernel === undefined ? untouchedView : { ...kernel.fib.summary(), routes: kernel.fib.eachRoute() };
		},
		planes: async () => ({ planes: await rooms().planes.views() }),
		config,
		reload: ({ dryRun }) => reload(dryRun === true),
		pools: (request) => addresses().pools(request),
		ipamBlocks: (request) => addresses().ipamBlocks(request),
		ipamGarbage: (request) => addresses().ipamGarbage(request),
		ipamCollect: (request) => addresses().ipamCollect(request),
		ipamAddress: (request) => addresses().ipamAddress(request),
		ipamCheck: (request) => addresses().ipamCheck(request),
		ipamFix: (request) => addresses().ipamFix(request),
		ipamRelease: (request) => addresses().ipamRelease(request),
		cniAdd: (request) => addresses().cniAdd(request),
		cniDelete: (request) => addresses().cniDelete(request),
		cniCheck: (request) => addresses().cniCheck(request),
		cniCollect: (request) => addresses().cniCollect(request),
		cniStatus: (request) => addresses().cniStatus(request),
		lint: () => {
			const { cluster } = rooms();
			if (cluster === undefined)
				throw new ControlError(409, 'no-cluster', 'there are no resources to look at: the datastore is none');
			return problems().then((found) => withNode(cluster.lint(), found));
		},
		policy: async () => {
			const policy = policyRoom();
			const { clusterReports, overviewView } = await policyView();
			const [counts, reports] = await Promise.all([policyCounts(policy), clusterReports(policy)]);
			return overviewView(policy, counts, reports);
		},
		policyEndpoints: async ({ name }) => {
			const policy = policyRoom();
			return { endpoints: (await policyView()).endpointViews(policy, await policyCounts(policy), name) };
		},
		policyTrace: async (request) => (await policyQuestions()).trace(policyRoom(), request, policyRoom().uplink),
		policyPlan: async ({ resources }) =>
			(await policyQuestions()).planView(policyRoom(), resources ?? '', policyRoom().uplink),
		policyDrops: (_, signal) => policyRoom().drops.follow(signal),
		policyFlows: (_, signal) => followFlows(policyRoom(), signal),
		ebpf: async () => (await ebpfViews()).ebpfView(policyRoom()),
		services: ({ name }) => serviceRoom().view(name),
		servicesTakeover: ({ dryRun, force }) => serviceRoom().takeover({ dryRun: dryRun === true, force: force === true }),
		monitor: ({ routes }, signal) => hub.follow(routes === true, signal),
	};
}

async function* followFlows(policy: OpenedPolicy, signal: AbortSignal) {
	yield* (await ebpfViews()).flowsOf(policy, signal);
}

const defaultLimit = 1000;

/** At most `limit` routes, 0 for all. The end of the iteration shows whether there are more. */
function limited(routes: Iterable<RouteView | undefined>, limit: number): Producing<RoutesView, 'routes'> {
	let truncated = false;
	const some = function* () {
		let count = 0;
		for (const route of routes) {
			truncated = route !== undefined && limit > 0 && count === limit;
			if (truncated) return;
			if (route !== undefined) count++;
			yield route;
		}
	};
	return {
		routes: some(),
		get truncated() {
			return truncated;
		},
	};
}

/**
 * Errors of this node, and contradictions of its configuration, precede contradictions of the
 * resources.
 */
async function withNode(view: Promise<LintView>, problems: readonly Problem[]): Promise<LintView> {
	const { checked, findings } = await view;
	const ofNode = problems
		.filter(({ id, severity }) => severity === 'error' || isContradiction(id))
		.map(({ id, severity, subject, text, reason, remedy }) => ({
			severity,
			rule: id,
			subject: subject === '' ? 'this node' : `this node, ${subject}`,
			problem: `${text} ${reason}`,
			hint: remedy,
		}));
	return { checked, findings: [...ofNode, ...findings] };
}

function findPeer({ speaker }: Rooms, name: string): PeerView {
	const peer = speaker.peer(name) ?? speaker.peerAt(canonical(name)) ?? describedAs(speaker, name);
	if (peer === undefined)
		throw new ControlError(
			404,
			'no-such-peer',
			`no peer has the name or address '${name}'`,
			'bgpmesh peers lists them',
		);
	return peer;
}

/** The only peer of a cluster's resource: `BGPPeer tor`, `Node worker-2`, or just the names. */
function describedAs(speaker: Rooms['speaker'], name: string): PeerView | undefined {
	const meant = new Set([name, `BGPPeer ${name}`, `Node ${name}`]);
	const found: string[] = [];
	for (const { name: peer, description } of speaker.eachPeerOptions())
		if (description?.split(', ').some((part) => meant.has(part)) === true) found.push(peer);
	if (found.length > 1)
		throw new ControlError(
			409,
			'ambiguous-peer',
			`'${name}' has ${found.length} sessions`,
			`one of ${aFew(found, 10)}`,
		);
	return found[0] === undefined ? undefined : speaker.peer(found[0]);
}

function canonical(name: string): string {
	try {
		return canonicalAddress(name);
	} catch (error) {
		if (error instanceof AddressError) return name;
		throw error;
	}
}

/** RFC 9003 §2: at most 255 octets. */
function shutdownText(text: string | undefined): string | undefined {
	if (text !== undefined && Buffer.byteLength(text) > 255)
		throw new ControlError(
			400,
			'bad-request',
			`the text is ${Buffer.byteLength(text)} bytes long`,
			'at most 255 can be sent (RFC 9003)',
		);
	return text;
}

function routeQuery(
	here: Rooms,
	{ family, prefix, covered, address, received, advertised }: RequestOf<'routes'>,
): RouteQuery {
	if (received !== undefined && advertised !== undefined)
		throw new ControlError(400, 'bad-request', 'received and advertised exclude each other');
	return {
		...(family === undefined ? {} : { family: familyOf(family) }),
		...(prefix === undefined
			? {}
			: { prefix: checked(() => prefixKey(prefix, covered === true ? 'clear' : 'refuse')) }),
		...(covered === undefined ? {} : { covered }),
		...(address === undefined ? {} : { address: checked(() => canonicalAddress(address)) }),
		...(received === undefined ? {} : { received: findPeer(here, received).name }),
		...(advertised === undefined ? {} : { advertised: findPeer(here, advertised).name }),
	};
}

function familyOf(text: string): Family {
	if (text === 'ipv4' || text === 'ipv6') return text;
	throw new ControlError(400, 'bad-request', `'${text}' is no address family`, 'ipv4 or ipv6');
}

function checked<T>(read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (error instanceof AddressError) throw new ControlError(400, 'bad-request', error.message);
		throw error;
	}
}
