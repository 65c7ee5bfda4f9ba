import type { PrefixKey } from '../core/index.ts';

/**
 * The representation of network policy: what Kubernetes' and Calico's resources become, and what
 * every data plane renders. It has one meaning, `evaluate`. All of it is plain data; keys are text
 * and stable over restarts.
 */

/** Seen from the endpoint: `ingress` is towards it. */
export type Direction = 'ingress' | 'egress';

/**
 * `allow` and `deny` end the evaluation, `pass` goes to the next tier, `log` records the packet and
 * goes on.
 */
export type RuleAction = 'allow' | 'deny' | 'pass' | 'log';

/** IP protocol numbers that rules and probes name. IANA protocol numbers. */
export const ProtocolNumber = {
	ICMP: 1,
	IPIP: 4,
	TCP: 6,
	UDP: 17,
	ICMPv6: 58,
	SCTP: 132,
	UDPLite: 136,
} as const;

/** Protocols whose packets carry ports. */
export const portProtocols: ReadonlySet<number> = new Set([
	ProtocolNumber.TCP,
	ProtocolNumber.UDP,
	ProtocolNumber.SCTP,
	ProtocolNumber.UDPLite,
]);

/**
 * Key of a set: `s` and 20 hexadecimal digits. A function of the meaning of the set, thus equal on
 * every node and after a restart, and short enough for the name of an nftables set with a family
 * suffix (31 characters on old kernels).
 */
export type SetId = string;

/** Key of a policy or profile, e.g. `kubernetes-network-policy/prod/web`; see `policyKey`. */
export type PolicyKey = string;

/**
 * Members of a set of type `address-ports`: `ADDRESS,PROTOCOL,PORT`, e.g. `10.1.2.3,6,8080` or
 * `fd00::1,17,53`. `formatAddressPort` and `parseAddressPort` convert.
 */
export type AddressPortMember = string;

/** A set shared by all rules with the same meaning. */
export interface IpSet {
	readonly id: SetId;
	readonly type: 'nets' | 'address-ports';
	/**
	 * What the set contains, for people and for `policy show`: a selector, a named port, a service.
	 */
	readonly meaning: string;
	/**
	 * `nets`: prefixes of both families, canonical, always with a length (`10.1.2.3/32`). They may
	 * overlap (network sets); a backend with intervals merges or splits them. `address-ports`:
	 * `AddressPortMember`.
	 */
	readonly members: ReadonlySet<string>;
}

/** Ports, both ends included. */
export interface PortRange {
	readonly first: number;
	readonly last: number;
}

/** Ports by number or by name; one is enough. */
export interface PortMatch {
	readonly ranges: readonly PortRange[];
	/**
	 * Named ports: sets of type `address-ports`; the address, protocol and port of this side of the
	 * packet are a member. An unknown name is an empty set, which matches nothing.
	 */
	readonly sets: readonly SetId[];
}

/** What a rule requires of the source or of the destination. Everything that is given must hold. */
export interface SideMatch {
	/** The address is in one of them. Never empty; a rule for the other family has no match here. */
	readonly nets?: readonly PrefixKey[];
	/** The address is in none of them. */
	readonly notNets?: readonly PrefixKey[];
	/** The address is in every one of these sets of type `nets` (one per selector). */
	readonly sets?: readonly SetId[];
	/** The address is in none of these sets of type `nets`. */
	readonly notSets?: readonly SetId[];
	/** A port matches. Given only together with a `protocol` of `portProtocols`. */
	readonly ports?: PortMatch;
	/** No port matches. Given only together with a `protocol` of `portProtocols`. */
	readonly notPorts?: PortMatch;
	/**
	 * Services: (address, protocol, port) of this side is a member of every one of these sets of type
	 * `address-ports`. The rule has no `protocol` of its own then; the members name it.
	 */
	readonly addressPortSets?: readonly SetId[];
}

/** ICMP or ICMPv6 type, and code where it matters. */
export interface IcmpMatch {
	readonly type: number;
	readonly code?: number;
}

/**
 * One rule: all that is given must hold, then the action. A rule without matches matches every
 * packet.
 */
export interface Rule {
	readonly action: RuleAction;
	/** 4 or 6: only packets of this version match. */
	readonly ipVersion?: 4 | 6;
	/** IP protocol number; 1 is ICMP for IPv4, 58 ICMPv6. */
	readonly protocol?: number;
	readonly notProtocol?: number;
	/** Given only together with `protocol` 1 or 58. */
	readonly icmp?: IcmpMatch;
	/** Type (and code, if given) are not these. Given only together with `protocol` 1 or 58. */
	readonly notIcmp?: IcmpMatch;
	readonly source: SideMatch;
	readonly destination: SideMatch;
	/**
	 * Where the rule stands in its resource, e.g. `ingress[0].from[1]`; several rules may come from
	 * one place.
	 */
	readonly origin: string;
}

/** Kinds of resources that hold rules; the first part of a `PolicyKey`. */
export type PolicyKind =
	| 'kubernetes-network-policy'
	| 'network-policy'
	| 'global-network-policy'
	| 'cluster-network-policy'
	| 'admin-network-policy'
	| 'baseline-admin-network-policy'
	| 'staged-network-policy'
	| 'staged-global-network-policy'
	| 'staged-kubernetes-network-policy'
	| 'profile';

/**
 * The rules of one policy or profile, shared by all endpoints that it selects. Within a direction
 * the first rule that matches decides. A rule list that is empty matches nothing (the end of the
 * tier decides).
 */
export interface Policy {
	readonly key: PolicyKey;
	readonly kind: PolicyKind;
	/** Absent for cluster-scoped kinds. */
	readonly namespace?: string;
	readonly name: string;
	/** Counted only: its rules never decide and its presence never ends a tier. */
	readonly staged: boolean;
	readonly ingress: readonly Rule[];
	readonly egress: readonly Rule[];
}

/**
 * The policies of a tier that select an endpoint in one direction. At least one, staged ones
 * included.
 */
export interface TierPolicies {
	readonly tier: string;
	/**
	 * When no rule of the enforced policies matched: `deny`, or `pass` to the next tier. It applies
	 * only if at least one policy of the list is enforced (not staged); a tier with staged policies
	 * only is counted and left.
	 */
	readonly defaultAction: 'deny' | 'pass';
	/** In the order of evaluation; staged ones stand where they would be enforced. */
	readonly policies: readonly PolicyKey[];
}

/** All that applies to one endpoint in one direction, in order: tiers, profiles, `otherwise`. */
export interface DirectionPolicy {
	/**
	 * `d` and 20 hexadecimal digits, a function of all other fields: endpoints with the same policies
	 * have the same id, so that a backend needs one chain or program for all of them.
	 */
	readonly id: string;
	readonly direction: Direction;
	readonly tiers: readonly TierPolicies[];
	/**
	 * After the last tier: rules of these profiles in order; `pass` there goes on to the next
	 * profile.
	 */
	readonly profiles: readonly PolicyKey[];
	/**
	 * When nothing decided. `deny`: workloads and traffic that ends at a host endpoint. `allow`:
	 * forwarded traffic of a host endpoint. `continue`: no verdict at this stage (doNotTrack,
	 * preDNAT), later stages decide.
	 */
	readonly otherwise: 'deny' | 'allow' | 'continue';
}

/** A pod of this node. */
export interface WorkloadEndpoint {
	readonly type: 'workload';
	/** `NAMESPACE/NAME` of the pod. */
	readonly key: string;
	/** The host's end of the pod's veth pair, e.g. `cali0d7763386da`. */
	readonly interfaceName: string;
	/** Addresses of the pod, canonical: what it may send from. */
	readonly addresses: readonly string[];
	readonly ingress: DirectionPolicy;
	readonly egress: DirectionPolicy;
}

/**
 * An interface of this host. Four stages, each in the tiers' order:
 * - `untracked` (doNotTrack; before conntrack): verdicts of both directions; `continue` goes on.
 *   Allowed: no conntrack, and the `normal` stage is not asked. Not for `interfaceName` `*`;
 *   packets from workloads skip it.
 * - `preDnat` (ingress only, before DNAT; sees node ports): `deny` drops, `allow` skips `normal`
 *   and `forward` of host endpoints, never a workload's policy.
 * - `normal`: packets that end at this host or start from it. Failsafe ports are allowed before.
 * - `forward` (applyOnForward): packets that pass through, without failsafe ports. No tiers:
 *   allowed.
 */
export interface HostEndpoint {
	readonly type: 'host';
	/** Name of the HostEndpoint resource. */
	readonly key: string;
	/**
	 * Interface of the host, or `*` for every interface without an endpoint of its own, those of pods
	 * included.
	 */
	readonly interfaceName: string;
	readonly normal: { readonly ingress: DirectionPolicy; readonly egress: DirectionPolicy };
	readonly forward: { readonly ingress: DirectionPolicy; readonly egress: DirectionPolicy };
	readonly preDnat: { readonly ingress: DirectionPolicy };
	readonly untracked: { readonly ingress: DirectionPolicy; readonly egress: DirectionPolicy };
	/**
	 * Programs judge `untracked` of what comes in, and mark what it allows with `HostMark.untracked`;
	 * `untracked.ingress` has no tiers here.
	 */
	readonly marksUntracked?: true;
}

/**
 * Bits of a packet's mark between the stages of host endpoints: neither Calico's (0xffff0000) nor
 * kube-proxy's (0x4000, 0x8000).
 */
export const HostMark = {
	/** Allowed before DNAT: later stages of host endpoints are skipped. */
	allowedBeforeDnat: 0x100,
	/** Allowed by a doNotTrack policy that a program judged. */
	untracked: 0x800,
} as const;

/** Always open on host endpoints, so that a policy cannot cut off its own control plane. */
export interface FailsafePort {
	readonly protocol: number;
	readonly port: number;
	/** Only from (inbound) or to (outbound) this prefix; absent: everywhere. */
	readonly net?: PrefixKey;
}

/** Settings of a node; names as in Calico's FelixConfiguration. */
export interface NodeSettings {
	/**
	 * A packet from a pod to its own node, after the pod's egress policy allowed it. `return`: the
	 * host's rules decide.
	 */
	readonly endpointToHostAction: 'drop' | 'accept' | 'return';
	readonly failsafeInbound: readonly FailsafePort[];
	readonly failsafeOutbound: readonly FailsafePort[];
	/**
	 * Drop packets that conntrack calls INVALID (FelixConfiguration `disableConntrackInvalidCheck`
	 * turns it off).
	 */
	readonly dropInvalid: boolean;
	/** Pods may send VXLAN (FelixConfiguration `allowVXLANPacketsFromWorkloads`). */
	readonly allowVxlanFromWorkloads: boolean;
	/** Pods may send IP in IP (FelixConfiguration `allowIPIPPacketsFromWorkloads`). */
	readonly allowIpipFromWorkloads: boolean;
	/** UDP port of VXLAN, IANA 4789. */
	readonly vxlanPort: number;
	/**
	 * Addresses of all nodes of the cluster: tunnels between them pass host endpoints. A set of type
	 * `nets`.
	 */
	readonly nodes: SetId;
}

/** Policies and sets by key: what `evaluate` looks up. */
export interface RuleBook {
	readonly policies: ReadonlyMap<PolicyKey, Policy>;
	readonly sets: ReadonlyMap<SetId, IpSet>;
}

/** Everything that one node enforces. Only policies and sets that its endpoints refer to. */
export interface NodePolicy extends RuleBook {
	readonly node: string;
	/** By `key`. */
	readonly workloads: ReadonlyMap<string, WorkloadEndpoint>;
	/** By `key`. At most one per interface name. */
	readonly hosts: ReadonlyMap<string, HostEndpoint>;
	readonly settings: NodeSettings;
}

/** Members that join or leave a set that exists. */
export interface SetChange {
	readonly id: SetId;
	readonly type: IpSet['type'];
	readonly added: readonly string[];
	readonly removed: readonly string[];
}

/**
 * The difference of two `NodePolicy`. A backend applies it in one transaction, or in this order, so
 * that no moment allows what neither state allows: new sets, members removed and added, policies,
 * endpoints, removed endpoints, removed policies, removed sets.
 */
export interface NodePolicyChange {
	/** Sets that did not exist, whole. */
	readonly newSets: readonly IpSet[];
	readonly changedSets: readonly SetChange[];
	readonly removedSets: readonly SetId[];
	/** New or changed, whole. */
	readonly policies: readonly Policy[];
	readonly removedPolicies: readonly PolicyKey[];
	/** New or changed, whole. */
	readonly workloads: readonly WorkloadEndpoint[];
	readonly removedWorkloads: readonly string[];
	/** New or changed, whole. */
	readonly hosts: readonly HostEndpoint[];
	readonly removedHosts: readonly string[];
	/** Present if it changed. */
	readonly settings?: NodeSettings;
}

/** A change in which nothing changes. */
export const noPolicyChange: NodePolicyChange = {
	newSets: [],
	changedSets: [],
	removedSets: [],
	policies: [],
	removedPolicies: [],
	workloads: [],
	removedWorkloads: [],
	hosts: [],
	removedHosts: [],
};

/** The key of a policy or profile. */
export const policyKey = (kind: PolicyKind, namespace: string | undefined, name: string): PolicyKey =>
	namespace === undefined ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;

/** A member of a set of type `address-ports`; the address must be canonical. */
export const formatAddressPort = (address: string, protocol: number, port: number): AddressPortMember =>
	`${address},${protocol},${port}`;

/** The parts of a member of a set of type `address-ports`. */
export function parseAddressPort(member: AddressPortMember): { address: string; protocol: number; port: number } {
	const [address = '', protocol, port] = member.split(',');
	return { address, protocol: Number(protocol), port: Number(port) };
}
