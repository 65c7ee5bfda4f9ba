import type { RouteQuery } from '../bgp/index.ts';
import {
	type ConfigView,
	ControlError,
	type Handlers,
	type LintView,
	type PeerActionView,
	type ReloadView,
	type RequestOf,
	type StatusView,
} from '../control/index.ts';
import { AddressError, canonicalAddress, type Family, type FibRefusal, type PeerView, prefixKey } from '../core/index.ts';
import { noAddressService } from './cluster/address-service.ts';
import { untouchedView } from './kernel-side.ts';
import type { MonitorHub } from './monitor.ts';
import type { Rooms } from './rooms.ts';

/** What the endpoints are answered from. */
export interface HandlerSources {
	/** @throws ControlError while the daemon starts or stops */
	readonly rooms: () => Rooms;
	readonly hub: MonitorHub;
	readonly status: () => StatusView;
	readonly config: () => ConfigView;
	readonly reload: (dryRun: boolean) => Promise<ReloadView>;
}

/** The daemon's side of the table of endpoints. */
export function createHandlers({ rooms, hub, status, config, reload }: HandlerSources): Handlers {
	const act = (name: string, action: PeerActionView['action'], does: (rooms: Rooms, peer: PeerView) => unknown): PeerActionView => {
		const here = rooms();
		const peer = findPeer(here, name);
		// What is not done says why.
		const refusal = does(here, peer);
		return typeof refusal !== 'string' ? { peer: peer.name, action, done: true } : { peer: peer.name, action, done: false, reason: refusal };
	};
	const addresses = () => rooms().cluster?.addresses ?? noAddressService('this node gives no addresses: its datastore is not kubernetes');
	return {
		status,
		peers: () => ({ peers: rooms().speaker.peers() }),
		peer: ({ peer }) => findPeer(rooms(), peer),
		peerEnable: ({ peer }) => act(peer, 'enable', ({ speaker }, { name }) => speaker.enable(name)),
		peerDisable: ({ peer, text }) => act(peer, 'disable', ({ speaker }, { name }) => speaker.disable(name, shutdownText(text))),
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
				return state === 'established' ? 'the neighbour did not announce the route refresh capability' : `the session is not established, it is ${state}`;
			}),
		routes: (request) => {
			const { limit = defaultLimit } = request;
			const here = rooms();
			const query = routeQuery(here, request);
			const routes = here.rib.routes(limit === 0 ? query : { ...query, limit: limit + 1 });
			const truncated = limit > 0 && routes.length > limit;
			return { routes: truncated ? routes.slice(0, limit) : routes, truncated };
		},
		explanation: ({ target }) => explain(rooms(), target),
		fib: () => rooms().kernel?.fib.view() ?? untouchedView,
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
			if (cluster === undefined) throw new ControlError(409, 'no-cluster', 'there are no resources to look at: the datastore is none');
			return withRefusal(cluster.lint(), rooms().kernel?.fib.refusal);
		},
		monitor: ({ routes }, send, signal) => hub.join(routes === true, send, signal),
	};
}

const defaultLimit = 1000;

/** Who else programs this node's routes stands beside what the resources say. */
async function withRefusal(view: Promise<LintView>, refusal: FibRefusal | undefined): Promise<LintView> {
	const { checked, findings } = await view;
	const seen: LintView['findings'] =
		refusal === undefined
			? []
			: [{ severity: 'error', rule: 'other-programmer', subject: 'this node', problem: `no route is written: ${refusal.reason}`, hint: refusal.hint }];
	return { checked, findings: [...seen, ...findings] };
}

function findPeer({ speaker }: Rooms, name: string): PeerView {
	const peer = speaker.peer(name) ?? speaker.peers().find(({ address }) => address === canonical(name));
	if (peer === undefined) throw new ControlError(404, 'no-such-peer', `no peer has the name or address '${name}'`, 'bgpmesh peers lists them');
	return peer;
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
		throw new ControlError(400, 'bad-request', `the text is ${Buffer.byteLength(text)} bytes long`, 'at most 255 can be sent (RFC 9003)');
	return text;
}

function routeQuery(here: Rooms, { family, prefix, covered, address, received, advertised }: RequestOf<'routes'>): RouteQuery {
	if (received !== undefined && advertised !== undefined) throw new ControlError(400, 'bad-request', 'received and advertised exclude each other');
	return {
		...(family === undefined ? {} : { family: familyOf(family) }),
		...(prefix === undefined ? {} : { prefix: checked(() => prefixKey(prefix, covered === true ? 'clear' : 'refuse')) }),
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

function explain({ rib }: Rooms, target: string | undefined): ReturnType<Rooms['rib']['explain']> {
	if (target === undefined) throw new ControlError(400, 'bad-request', 'explain what?', 'target: a prefix or an address');
	if (target.includes('/')) return rib.explain(checked(() => prefixKey(target)));
	const address = checked(() => canonicalAddress(target));
	const [route] = rib.routes({ address, limit: 1 });
	if (route === undefined) throw new ControlError(404, 'no-route', `there is no route to ${address}`);
	return rib.explain(route.prefix);
}

function checked<T>(read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (error instanceof AddressError) throw new ControlError(400, 'bad-request', error.message);
		throw error;
	}
}
