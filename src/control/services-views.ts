/** One address or node port of a Service on this node. */
export interface ServiceFrontendView {
	readonly type: 'cluster-ip' | 'external-ip' | 'load-balancer-ip' | 'node-port';
	/** Absent: the node's own addresses. */
	readonly address?: string;
	readonly protocol: 'tcp' | 'udp' | 'sctp';
	readonly port: number;
	/**
	 * What happens to a new connection, by where it comes from: `to 3 endpoints`, `reject`, `drop`.
	 */
	readonly actions: Readonly<Record<'pod' | 'node' | 'outside', string>>;
	readonly sourceRanges?: readonly string[];
	/** Another Service has the address and port: which. */
	readonly takenBy?: string;
	/**
	 * New connections on this node since the frontend exists, those that `sourceRanges` refuse left
	 * out. Absent in a list, and where this node programs nothing.
	 */
	readonly newConnections?: number;
}

/** One endpoint of a Service port, and why it is or is not used on this node. */
export interface ServiceEndpointView {
	readonly address: string;
	readonly port: number;
	/** The name of the node, where the slice has one. */
	readonly node?: string;
	readonly local: boolean;
	readonly zone?: string;
	/** `used`, or why not. */
	readonly use: string;
	/**
	 * Connections of this node that exist. Absent in a list, and where this node programs nothing.
	 */
	readonly connections?: number;
}

/** A port of a Service in one family, with its endpoints. */
export interface ServicePortView {
	readonly name: string;
	readonly port: number;
	readonly protocol: 'tcp' | 'udp' | 'sctp';
	readonly family: 'ipv4' | 'ipv6';
	/** Hints that restrict the endpoints of this node. */
	readonly topology: 'none' | 'node' | 'zone';
	readonly endpoints: readonly ServiceEndpointView[];
}

/**
 * Packets of connections that this node does not know are given to other nodes, because the nodes
 * of the Service have changed.
 */
export interface ServiceHandoverView {
	readonly address: string;
	readonly port: number;
	/** Addresses of the other nodes. */
	readonly peers: readonly string[];
	readonly secondsLeft: number;
}

/** A prefix that this node announces for Services. */
export interface ServiceAnnouncementView {
	readonly prefix: string;
	readonly kind: 'range' | 'cluster-ip' | 'external-ip' | 'load-balancer-ip';
	/** `draining`: with GRACEFUL_SHUTDOWN and LOCAL_PREF 0. */
	readonly state: 'ready' | 'draining';
	readonly services: readonly string[];
}

/** A Service at this node. */
export interface ServiceView {
	readonly namespace: string;
	readonly name: string;
	readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
	readonly internalTrafficPolicy: 'Cluster' | 'Local';
	readonly externalTrafficPolicy: 'Cluster' | 'Local';
	/** Seconds of `sessionAffinity: ClientIP`. */
	readonly affinitySeconds?: number;
	/** The kernel has it as the cluster has it. */
	readonly programmed: boolean;
	readonly frontends: readonly ServiceFrontendView[];
	readonly ports: readonly ServicePortView[];
	readonly announcements: readonly ServiceAnnouncementView[];
	readonly healthCheck?: { readonly port: number; readonly localEndpoints: number };
	/** Open windows; absent: none. */
	readonly handover?: readonly ServiceHandoverView[];
	/** What has no effect or is not what it seems, in words. */
	readonly problems: readonly string[];
}

/** What `services takeover` has done, or would do. */
export interface TakeoverView {
	readonly dryRun: boolean;
	/** This node programs Services now. */
	readonly programmed: boolean;
	/** What was removed of the other proxy, one text per object. */
	readonly removed: readonly string[];
}

/** The Services of the cluster at this node. */
export interface ServicesView {
	/** `proxy`: this node programs Services; `follow`: it only announces them; `off`: neither. */
	readonly mode: 'proxy' | 'follow' | 'off';
	/** Present: this node is configured to program Services and does not. */
	readonly refusal?: { readonly seen: readonly string[]; readonly hint: string };
	/** The copies of Services and EndpointSlices are complete. */
	readonly inSync: boolean;
	/** Announced whether or not there is a Service. */
	readonly ranges: readonly ServiceAnnouncementView[];
	readonly services: readonly ServiceView[];
}
