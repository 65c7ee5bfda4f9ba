/** A policy in a tier of an endpoint. */
export interface PolicyReferenceView {
	/** `NetworkPolicy prod/web`, with `(staged)` where it is only counted. */
	readonly policy: string;
	readonly staged: boolean;
	readonly rules: number;
	/** Packets that it allowed and denied since its rules were written; absent: not enforced. */
	readonly allowedPackets?: number;
	readonly deniedPackets?: number;
}

/** What an endpoint meets in one direction at one stage. */
export interface PolicyStackView {
	/** `workload`; of host endpoints `normal`, `forward`, `pre-dnat` or `untracked`. */
	readonly stage: 'workload' | 'normal' | 'forward' | 'pre-dnat' | 'untracked';
	readonly direction: 'ingress' | 'egress';
	readonly tiers: readonly {
		readonly tier: string;
		/** When nothing in the tier matched. */
		readonly defaultAction: 'deny' | 'pass';
		readonly policies: readonly PolicyReferenceView[];
	}[];
	readonly profiles: readonly string[];
	/** When nothing decided. */
	readonly otherwise: 'deny' | 'allow' | 'continue';
}

/** A pod or an interface of this node, and what applies to it. */
export interface PolicyEndpointView {
	readonly type: 'pod' | 'host-endpoint';
	readonly name: string;
	readonly interface: string;
	readonly addresses: readonly string[];
	readonly stacks: readonly PolicyStackView[];
}

export interface PolicyEndpointsView {
	readonly endpoints: readonly PolicyEndpointView[];
}

/** One check that a packet meets. */
export interface TraceStepView {
	readonly side: 'sender' | 'receiver';
	readonly node: string;
	readonly stage: string;
	readonly direction: 'ingress' | 'egress';
	readonly endpoint?: string;
	readonly action: 'allow' | 'deny' | 'continue';
	/** `rule`, `tier-default`, `profile`, `end`: what decided; absent: the node itself. */
	readonly decidedBy?: string;
	readonly tier?: string;
	readonly policy?: string;
	/** Where in the policy: `ingress[0].from[1]`. */
	readonly rule?: string;
	/** Rules of staged policies that would have decided. */
	readonly staged: readonly { readonly policy: string; readonly rule: string; readonly action: string }[];
}

/** What becomes of the first packet of a connection. */
export interface TraceView {
	readonly from: { readonly name: string; readonly address: string; readonly node?: string };
	readonly to: { readonly name: string; readonly address: string; readonly node?: string };
	readonly protocol: string;
	readonly port: number;
	readonly allowed: boolean;
	readonly steps: readonly TraceStepView[];
	readonly notes: readonly string[];
}

/** A connection that a plan would change. */
export interface PlannedChangeView {
	readonly from: string;
	readonly to: string;
	readonly protocol: string;
	readonly port: number;
	readonly before: 'allowed' | 'denied';
	readonly after: 'allowed' | 'denied';
}

/** A connection that exists on this node and that a plan would decide differently. */
export interface PlannedConnectionView extends PlannedChangeView {
	/** 0 where the protocol has none. */
	readonly sourcePort: number;
}

export interface PlanView {
	/**
	 * Entries of this node's connection table; absent: it cannot be read. `looked`: an end of the
	 * cluster, at most 50,000.
	 */
	readonly connections?: {
		readonly total: number;
		readonly looked: number;
		readonly changed: number;
		/** At most 200. */
		readonly changes: readonly PlannedConnectionView[];
	};
	/** Between pods; one stands for all with the same labels, namespace and service account. */
	readonly changes: readonly PlannedChangeView[];
	readonly changed: number;
	readonly kindsOfPods: number;
	readonly kindsCompared: number;
	readonly problems: readonly PolicyProblemView[];
	readonly notes: readonly string[];
}

/** Something in a resource that is not enforced as written. */
export interface PolicyProblemView {
	/** `NetworkPolicy prod/web`. */
	readonly subject: string;
	readonly type: 'refused' | 'fails-closed' | 'warning';
	readonly field: string;
	readonly problem: string;
}

/** A policy of the cluster at this node. */
export interface PolicyStatusView {
	readonly policy: string;
	readonly tier: string;
	/** Absent: after all with an order. */
	readonly order?: number;
	readonly generation: number;
	readonly staged: boolean;
	/** Endpoints of this node that it selects. */
	readonly localEndpoints: number;
	readonly allowedPackets?: number;
	readonly deniedPackets?: number;
	/** Absent: not of the cluster, or the other nodes are not known. */
	readonly rollout?: PolicyRolloutView;
}

/** A generation of a policy on the nodes of the cluster. */
export interface PolicyRolloutView {
	/** Nodes whose kernel has this generation, of `nodes` that report. */
	readonly enforcedOn: number;
	readonly nodes: number;
	/** ISO 8601; when the last of them got it. Absent: not listed any more by all of them. */
	readonly since?: string;
	/** Names of the other ones, at most 20. */
	readonly lagging: readonly string[];
}

export interface PolicyOverviewView {
	/** `enforced`; `off`: computed only; `refused`: another engine is on this node. */
	readonly mode: 'enforced' | 'off' | 'refused';
	/** Why it is refused, and what to do. */
	readonly refusal?: { readonly engine: string; readonly seen: readonly string[]; readonly hint: string };
	/** What judges packets of pods; absent: nothing does. */
	readonly dataplane?: 'nftables' | 'ebpf';
	/** Why eBPF, which was asked for, is not in use. */
	readonly dataplaneProblem?: string;
	readonly inSync: boolean;
	readonly waitingFor: readonly string[];
	/** ISO 8601; of the last write to the kernel that succeeded. */
	readonly programmedAt?: string;
	/** What the kernel refused last. */
	readonly failure?: string;
	readonly workloads: number;
	readonly hostEndpoints: number;
	readonly sets: number;
	readonly policies: readonly PolicyStatusView[];
	readonly problems: readonly PolicyProblemView[];
	/** Why it is not known what other nodes enforce. */
	readonly othersUnknown?: string;
	/**
	 * Nodes of the cluster that report nothing: their daemon does not run, or does not enforce
	 * policies. At most 20.
	 */
	readonly silentNodes?: readonly string[];
}

/** A packet that policy dropped or logged on this node, or that began a connection. */
export interface PolicyDropEvent {
	/** ISO 8601. */
	readonly at: string;
	/** `allow` among flows alone. */
	readonly action: 'deny' | 'log' | 'allow';
	readonly direction: 'ingress' | 'egress';
	readonly stage: string;
	/** Pods by name, everything else by address. */
	readonly from: string;
	readonly to: string;
	readonly protocol: string;
	readonly sourcePort?: number;
	readonly port?: number;
	/** `NetworkPolicy prod/web ingress[0]`, `tier default`, `end`. */
	readonly decidedBy: string;
}

/** The eBPF programs of this node. */
export interface EbpfView {
	/** What judges packets of pods. */
	readonly dataplane: 'nftables' | 'ebpf';
	/** Why eBPF, which was asked for, is not in use. */
	readonly problem?: string;
	/** Absent: eBPF is not in use. */
	readonly attachment?: 'tcx' | 'clsact';
	readonly pinDirectory: string;
	/** Interfaces whose programs translate services from outside; absent: nftables does. */
	readonly outside?: {
		readonly interfaces: readonly string[];
		/**
		 * A host endpoint for whose preDNAT or doNotTrack policy nftables translates new connections.
		 */
		readonly leftFor?: string;
	};
	/** Direct server return of these; absent: nftables translates. */
	readonly directReturn?: EbpfDirectView;
	/**
	 * Do packets between pods go from interface to interface? Else why not. Absent: eBPF is not in
	 * use.
	 */
	readonly podRedirect?: { readonly isOn: boolean; readonly reason?: string };
	readonly pods: readonly EbpfPodView[];
	/** Host endpoints at interfaces, and those that nftables judges. */
	readonly hosts: readonly EbpfHostView[];
	readonly maps: readonly EbpfMapView[];
	readonly counters: readonly EbpfCounterView[];
}

/** Direct server return at this node. */
export interface EbpfDirectView {
	/** Packets of other nodes are taken, and announced to be. */
	readonly isOn: boolean;
	readonly reason?: string;
	/** Other nodes that get packets; absent: what an earlier process wrote is still in force. */
	readonly nodes?: readonly string[];
	/** Connections whose packets go to other nodes, and come from them. */
	readonly sent: number;
	readonly arrived: number;
}

/** Exactly one of `interface` and `leftFor` is given. */
export interface EbpfHostView {
	readonly endpoint: string;
	/** Programs judge at this interface. */
	readonly interface?: string;
	/** Those of doNotTrack and preDNAT policy among them, by name. Absent: there are none. */
	readonly early?: readonly string[];
	/** Why nftables judges this endpoint. */
	readonly leftFor?: string;
}

export interface EbpfPodView {
	readonly pod: string;
	readonly interface: string;
	/** Instructions of the program in each direction. */
	readonly instructions: { readonly ingress: number; readonly egress: number };
}

export interface EbpfMapView {
	readonly name: string;
	readonly type: string;
	/** Elements; absent: the map has no keys to count. */
	readonly used?: number;
	/** Counting ended at `used`; there may be more. */
	readonly more?: true;
	/** Most elements, or bytes. */
	readonly most: number;
}

/** First packets of connections, and single packets, that a decision has decided. */
export interface EbpfCounterView {
	readonly direction: 'ingress' | 'egress';
	readonly action: 'allow' | 'deny';
	readonly decidedBy: string;
	readonly packets: number;
}
