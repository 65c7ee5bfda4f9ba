import type { Family } from '../../core/index.ts';
import type { Frontend, ServiceKey } from '../model.ts';
import type { EndpointSlice } from '../resources/endpoint-slice.ts';
import type { AnnouncedService } from './eligible.ts';

/** An external address and TCP port of a Service with external policy Local. */
export interface HandoverFrontend {
	readonly family: Family;
	/** Canonical text. */
	readonly address: string;
	readonly port: number;
}

/**
 * Routers have moved, or will move, connections of this frontend between nodes. A packet of a
 * connection that this node does not know is given to each of the other nodes.
 */
export interface HandoverWindow extends HandoverFrontend {
	/** Addresses of the other nodes. */
	readonly peers: readonly string[];
}

/** A window that is open. */
export interface OpenHandoverWindow extends HandoverWindow {
	readonly secondsLeft: number;
}

/** Packets of handed over connections, from the first write on. */
export interface HandoverPackets {
	/** Of connections that this node does not know: given to the other nodes. */
	readonly given: number;
	/** That other nodes gave to this one, and it does not know either. */
	readonly unknown: number;
}

/** The kernel side. Each call is one transaction. */
export interface HandoverKernel {
	/**
	 * All frontends: a packet that another node has given here, of an unknown connection, ends here.
	 */
	keep(frontends: readonly HandoverFrontend[]): Promise<void>;
	/** Opens windows, or those that are open once more, for so many seconds. */
	open(windows: readonly HandoverWindow[], seconds: number): Promise<void>;
}

/** A node that a router may choose, as far as handing over depends on it. */
export interface HandoverNode {
	/** Reached without a router: packets go to its MAC address. */
	readonly addresses: Readonly<Partial<Record<Family, string>>>;
	/** Excluded from load balancers. */
	readonly excluded: boolean;
}

/** A Service with its frontends. */
export interface HandoverService extends AnnouncedService {
	readonly compiled: { readonly frontends: readonly Frontend[] };
}

/** What `handoverStep` compares with. */
export interface HandoverState {
	/** By Service and family: the names of the nodes that routers may choose, with their state. */
	readonly owners: ReadonlyMap<string, ReadonlyMap<string, string>>;
	readonly frontends: readonly HandoverFrontend[];
}

export const emptyHandover: HandoverState = { owners: new Map(), frontends: [] };

/** More nodes get no copies: then connections that move break, as they do without this. */
const mostPeers = 8;

/** What handing over takes from one Service, by family. */
interface HandoverPart {
	/** `NAMESPACE/NAME FAMILY`. */
	readonly key: string;
	readonly family: Family;
	readonly frontends: readonly HandoverFrontend[];
	readonly owners: ReadonlyMap<string, string>;
}

/** Parts by Service, for the same nodes. A Service that changes is another object. */
export type HandoverMemo = WeakMap<HandoverService, readonly HandoverPart[]>;

/**
 * The frontends of Services with policy Local, and windows for those whose nodes have changed: then
 * an ECMP router distributes connections anew, also those between nodes that stay. The first look
 * at a Service counts as a change: this node may be about to get its share.
 */
export function handoverStep(
	before: HandoverState,
	node: string,
	services: Iterable<HandoverService>,
	nodes: ReadonlyMap<string, HandoverNode>,
	memo: HandoverMemo = new WeakMap(),
): { readonly state: HandoverState; readonly windows: readonly HandoverWindow[] } {
	const owners = new Map<string, ReadonlyMap<string, string>>();
	const frontends: HandoverFrontend[] = [];
	const windows: HandoverWindow[] = [];
	for (const service of services) {
		if (!service.spec.externalLocal) continue;
		let parts = memo.get(service);
		if (parts === undefined) {
			parts = partsOf(service, nodes);
			memo.set(service, parts);
		}
		for (const { key, family, frontends: own, owners: now } of parts) {
			frontends.push(...own);
			owners.set(key, now);
			const old = before.owners.get(key) ?? new Map<string, string>();
			if (old === now || sameOwners(old, now)) continue;
			const peers = [...new Set([...old.keys(), ...now.keys()])].flatMap((name) => {
				const address = name === node ? undefined : nodes.get(name)?.addresses[family];
				return address === undefined ? [] : [address];
			});
			if (peers.length === 0 || peers.length > mostPeers) continue;
			windows.push(...own.map((frontend) => ({ ...frontend, peers })));
		}
	}
	// The same list where nothing has changed, for a cheap comparison.
	const isSame =
		frontends.length === before.frontends.length &&
		frontends.every((frontend, index) => frontend === before.frontends[index]);
	return { state: { owners, frontends: isSame ? before.frontends : frontends }, windows };
}

const partsOf = (
	{ spec, slices, compiled }: HandoverService,
	nodes: ReadonlyMap<string, HandoverNode>,
): readonly HandoverPart[] =>
	(['ipv4', 'ipv6'] as const).flatMap((family) => {
		const frontends = frontendsOf(compiled.frontends, family);
		if (frontends.length === 0) return [];
		return [{ key: ownersKey(spec.key, family), family, frontends, owners: ownersOf(slices, family, nodes) }];
	});

const ownersKey = (service: ServiceKey, family: Family): string => `${service} ${family}`;

const frontendsOf = (frontends: readonly Frontend[], family: Family): HandoverFrontend[] =>
	frontends.flatMap((frontend) =>
		(frontend.type === 'external-ip' || frontend.type === 'load-balancer-ip') &&
		frontend.protocol === 'tcp' &&
		frontend.family === family
			? [{ family, address: frontend.address, port: frontend.port }]
			: [],
	);

/** Nodes with an endpoint that is ready, or serves until it ends. */
function ownersOf(
	slices: readonly EndpointSlice[],
	family: Family,
	nodes: ReadonlyMap<string, HandoverNode>,
): ReadonlyMap<string, string> {
	const owners = new Map<string, string>();
	for (const slice of slices) {
		if (slice.family !== family) continue;
		for (const { node, ready, serving } of slice.endpoints) {
			if (node === undefined || (!ready && !serving)) continue;
			const state = nodes.get(node)?.excluded === true ? 'excluded' : ready ? 'ready' : 'terminating';
			if (owners.get(node) !== 'ready') owners.set(node, state);
		}
	}
	return owners;
}

const sameOwners = (left: ReadonlyMap<string, string>, right: ReadonlyMap<string, string>): boolean =>
	left.size === right.size && [...left].every(([name, state]) => right.get(name) === state);
