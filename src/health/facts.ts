import type { FibRefusal, PlaneView } from '../core/index.ts';
import type { LimitCheck } from './host-limits.ts';
import type { SettingCheck } from './host-settings.ts';

/** A session, as far as health is concerned. */
export interface PeerFact {
	readonly name: string;
	readonly address: string;
	/** Of the peer, for connections to it. */
	readonly port: number;
	/** `true`: only the peer connects. */
	readonly passive: boolean;
	readonly state: string;
	readonly enabled: boolean;
	readonly dynamic: boolean;
	readonly lastError?: { readonly message: string };
}

/** Everything that `evaluate` looks at. */
export interface HealthFacts {
	readonly peers: readonly PeerFact[];
	/** `undefined`: the kernel is not touched. */
	readonly fib:
		| {
				/** Some of the refused routes. */
				readonly failed: readonly { readonly prefix: string; readonly reason: string }[];
				readonly failedCount: number;
				readonly refusal: FibRefusal | undefined;
				readonly staticProblems: readonly string[];
		  }
		| undefined;
	/** Pools whose routes are left to another program, which does not write these. */
	readonly leftRoutes: readonly {
		readonly pool: string;
		readonly reason: string;
		readonly routes: readonly { readonly prefix: string; readonly via: string }[];
	}[];
	/** The data planes besides the routes. */
	readonly planes: readonly Pick<PlaneView, 'name' | 'failures'>[];
	/**
	 * Present: Services are to be programmed and are not; what was seen of another proxy, and what to
	 * do.
	 */
	readonly servicesRefusal?: { readonly reason: string; readonly remedy: string };
	/** `undefined`: neither enforced nor configured. */
	readonly networkPolicy:
		| {
				/** Why enforcement is refused. */
				readonly refusal: string | undefined;
				/** Why nftables enforces in place of eBPF, which was asked for. */
				readonly fallback?: string;
				readonly problems: readonly { readonly subject: string; readonly reason: string }[];
		  }
		| undefined;
	readonly settings: readonly SettingCheck[];
	readonly limits: readonly LimitCheck[];
	/** Paths below tunnels that lose packets of full size. */
	readonly mtuHoles: readonly {
		readonly node: string;
		readonly nodeAddress: string;
		readonly device: string;
		readonly mtuBytes: number;
		readonly passesBytes: number;
	}[];
	readonly unreachableNextHops: readonly string[];
	/** Sessions over which routes of this node are not announced, for want of a next hop. */
	readonly withoutNextHop: readonly { readonly peer: string; readonly family: string }[];
	/** Sessions near their prefix limit, or over it. */
	readonly nearLimit: readonly {
		readonly peer: string;
		readonly family: string;
		readonly received: number;
		readonly limit: number;
		readonly action: string;
	}[];
	/** Peers without an MD5 key inside a range with one. */
	readonly withoutKey: readonly { readonly peer: string; readonly range: string }[];
	/** `undefined` without a cluster. */
	readonly cluster:
		| {
				readonly server: string;
				readonly awaySinceMs: number | undefined;
				readonly refusals: readonly {
					readonly kind: string;
					readonly namespace?: string;
					readonly reason: string;
					readonly without?: string;
				}[];
				readonly unreadable: readonly { readonly kind: string; readonly name: string; readonly problem: string }[];
				/** Resources that cannot be used, and contradictions between them, in words. */
				readonly unusable: readonly string[];
				/** Steps of following the cluster that failed. */
				readonly notFollowed: readonly { readonly step: string; readonly error: string; readonly sinceMs: number }[];
				/** Why no address can be given. */
				readonly noAddresses: string | undefined;
		  }
		| undefined;
	/** Longest block of the event loop in the last minute. */
	readonly recentBlockSeconds: number;
	readonly lastReloadError: { readonly at: string; readonly message: string } | undefined;
	readonly descriptors: readonly string[];
	readonly policies: readonly string[];
	readonly interfacePolicies: readonly string[];
}
