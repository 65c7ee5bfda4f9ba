import type { Family, PrefixKey } from '../core/index.ts';

/** Transport protocols of a service port. */
export type ServiceProtocol = 'tcp' | 'udp' | 'sctp';

/** Numbers of IANA's protocol registry. */
export const serviceProtocolNumber = { tcp: 6, udp: 17, sctp: 132 } as const satisfies Record<ServiceProtocol, number>;

/** `NAMESPACE/NAME` of a Service. */
export type ServiceKey = string;

/**
 * One port of one Service in one family: `NAMESPACE/NAME:PORT/PROTOCOL@FAMILY`. Session affinity is
 * kept per service port.
 */
export type ServicePortKey = string;

/** A service port's key and the policy of the set: `SERVICE-PORT-KEY#cluster` or `#local`. */
export type PoolKey = string;

/** One endpoint address and port that connections are translated to. */
export interface Backend {
	/** Canonical text. */
	readonly address: string;
	readonly port: number;
	/** The endpoint runs on this node. */
	readonly local: boolean;
	/** The name of its node, where direct server return is on and the endpoint has one. */
	readonly node?: string;
}

/**
 * A set of backends from which each new connection takes one, uniformly at random. The place of a
 * backend in the list is its number, from 0, without gaps. Numbers are stable: a backend that stays
 * keeps its number as long as the set does not shrink below it. A new backend gets the next number;
 * a removed one is replaced by the one with the highest number. A pool that is listed has at least
 * one backend.
 */
export interface Pool {
	readonly key: PoolKey;
	readonly servicePort: ServicePortKey;
	readonly family: Family;
	readonly protocol: ServiceProtocol;
	readonly backends: readonly Backend[];
	/**
	 * Session affinity ClientIP: a new connection of the same client address to the same service port
	 * takes the backend of the previous one, if that backend is still in the pool and the previous
	 * one began less than this many seconds ago. Absent: no affinity.
	 */
	readonly affinityTimeoutSeconds?: number;
}

/** What happens to the first packet of a connection to a frontend. */
export type FrontendAction =
	| {
			/** Translate destination address and port to a backend of the pool. */
			readonly type: 'dnat';
			readonly pool: PoolKey;
			/**
			 * Replace the source address by the node's, too. Beside it, a connection whose backend has
			 * the source address of the packet (hairpin) is always masqueraded.
			 */
			readonly masquerade: boolean;
	  }
	/**
	 * Answer at once: TCP RST, ICMP port unreachable for the others. No endpoint is usable anywhere.
	 */
	| { readonly type: 'reject' }
	/**
	 * Silence. Endpoints exist, but not for this policy on this node: a load balancer retries at
	 * another node.
	 */
	| { readonly type: 'drop' };

/**
 * Where the first packet of a connection comes from, tested in this order: a source in the pod
 * ranges; an address of this node; everything else. Without local detection (`podRanges` undefined)
 * no packet has the origin `pod`.
 */
export type Origin = 'pod' | 'node' | 'outside';

/**
 * `ADDRESS|PROTOCOL|PORT`, or `node-port-FAMILY|PROTOCOL|PORT` for a node port. Unique in a model.
 */
export type FrontendKey = string;

interface FrontendCommon {
	readonly key: FrontendKey;
	readonly servicePort: ServicePortKey;
	readonly service: ServiceKey;
	readonly family: Family;
	readonly protocol: ServiceProtocol;
	readonly port: number;
	/** The action by origin of the packet. All pools named here are in the model. */
	readonly actions: Readonly<Record<Origin, FrontendAction>>;
	/**
	 * Direct server return: the pool of this node's own endpoints, for connections that other nodes
	 * send here untranslated. Absent: it is off, or not for this frontend, or there is no endpoint.
	 */
	readonly directPool?: PoolKey;
}

/** An address of a service with one port. */
export interface AddressFrontend extends FrontendCommon {
	readonly type: 'cluster-ip' | 'external-ip' | 'load-balancer-ip';
	/** Canonical text. */
	readonly address: string;
	/**
	 * `loadBalancerSourceRanges`, on load balancer addresses only: a packet whose original source
	 * lies in none of them is dropped before any translation, for every origin, also when the action
	 * is `reject`. Absent: every source passes.
	 */
	readonly sourceRanges?: readonly PrefixKey[];
}

/**
 * A port on the node's own addresses (`ServicesSettings.nodePortAddresses`). Frontends with an
 * address are looked up first.
 */
export interface NodePortFrontend extends FrontendCommon {
	readonly type: 'node-port';
}

/** An address and port, or a node port, that packets are sent to. */
export type Frontend = AddressFrontend | NodePortFrontend;

/** The addresses of the node at which node ports answer, per family. */
export type NodePortAddresses =
	/** These alone. An empty list: no node ports in this family. */
	| { readonly type: 'addresses'; readonly addresses: readonly string[] }
	/** Every address of the node, loopback (127.0.0.0/8, ::1) excepted. */
	| { readonly type: 'all-local' };

/** What holds for all services of this node. A backend renders it once; a change is rare. */
export interface ServicesSettings {
	/**
	 * Sources in these prefixes are pods. `undefined`: local detection is off, and no source is a
	 * pod.
	 */
	readonly podRanges: readonly PrefixKey[] | undefined;
	/**
	 * Masquerade every connection to a cluster IP. Already resolved in the actions; here for the
	 * view.
	 */
	readonly masqueradeAll: boolean;
	/** Ranges of cluster IPs. A packet to an address in them that no service has is dropped. */
	readonly serviceRanges: readonly PrefixKey[];
	readonly nodePortAddresses: Readonly<Record<Family, NodePortAddresses>>;
	/**
	 * Direct server return: connections from outside to node ports, external and load balancer
	 * addresses with policy Cluster keep their source, and the node of the endpoint answers the
	 * client itself. Absent: off.
	 */
	readonly directReturn?: DirectReturn;
}

/** How direct server return is used. */
export interface DirectReturn {
	/** Clients in these prefixes are masqueraded, as without it. Calico: `bpfDSROptoutCIDRs`. */
	readonly optOut: readonly PrefixKey[];
}

/**
 * `healthCheckNodePort` of a Service with `externalTrafficPolicy: Local`: HTTP 200 while
 * `localEndpoints` is above 0 and the plane is healthy, else 503.
 */
export interface HealthCheck {
	readonly service: ServiceKey;
	/** TCP port on the node's addresses. */
	readonly port: number;
	/**
	 * Distinct addresses of local ready endpoints; terminating ones do not count
	 * (kubernetes/enhancements 3174).
	 */
	readonly localEndpoints: number;
}

/** All services as one node sees them. */
export interface ServicesModel {
	readonly settings: ServicesSettings;
	readonly pools: ReadonlyMap<PoolKey, Pool>;
	readonly frontends: ReadonlyMap<FrontendKey, Frontend>;
	/**
	 * Addresses of live cluster IPs; a packet to one of them that matches no frontend is rejected.
	 */
	readonly clusterIps: ReadonlySet<string>;
	/** By Service. */
	readonly healthChecks: ReadonlyMap<ServiceKey, HealthCheck>;
}

/** No settings: no local detection, no service range, no node ports. */
export const emptySettings: ServicesSettings = {
	podRanges: undefined,
	masqueradeAll: false,
	serviceRanges: [],
	nodePortAddresses: { ipv4: { type: 'addresses', addresses: [] }, ipv6: { type: 'addresses', addresses: [] } },
};

/** A model without a service. */
export const emptyModel: ServicesModel = {
	settings: emptySettings,
	pools: new Map(),
	frontends: new Map(),
	clusterIps: new Set(),
	healthChecks: new Map(),
};

/** The key of a frontend with an address in canonical text. */
export const addressFrontendKey = (address: string, protocol: ServiceProtocol, port: number): FrontendKey =>
	`${address}|${protocol}|${port}`;

/** The key of a node port. */
export const nodePortFrontendKey = (family: Family, protocol: ServiceProtocol, port: number): FrontendKey =>
	`node-port-${family}|${protocol}|${port}`;

/** `10.0.1.1:80`, `[fd00::1]:80`. */
export const formatBackend = ({ address, port }: Pick<Backend, 'address' | 'port'>): string =>
	address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
