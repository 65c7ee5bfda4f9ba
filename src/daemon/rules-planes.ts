import type { Clock, DataPlane, PlaneFailure, PlaneView, PrefixKey, Timer } from '../core/index.ts';
import { guardRules, type NatPool, natRules, noGuardRules, type RuleKeeper } from '../nftables/index.ts';
import { vxlanDefaults } from '../vxlan/index.ts';

/** The common base of planes with one nftables rule set: one object, loaded or not. */
abstract class RulesPlane<State> implements DataPlane<State> {
	abstract readonly name: string;
	protected abstract readonly kind: NonNullable<PlaneFailure['kind']>;
	protected readonly keeper: RuleKeeper;

	constructor(keeper: RuleKeeper) {
		this.keeper = keeper;
	}

	abstract apply(state: State): void;

	/** A rule set is replaced as a whole, so nothing of it is swept. */
	inSync(): void {}

	view(): PlaneView {
		const { needed, loaded } = this.keeper.state;
		const { problem } = this.keeper;
		const subject = `nftables rules of the ${this.kind}`;
		return {
			name: this.name,
			enabled: true,
			inSync: !needed || loaded,
			waitingFor: [],
			desired: Number(needed),
			installed: Number(needed && loaded),
			differences: needed && !loaded ? [{ subject, state: problem === undefined ? 'missing' : 'failed' }] : [],
			failures: problem === undefined ? [] : [{ subject, reason: problem, kind: this.kind }],
		};
	}

	whenIdle(): Promise<void> {
		return this.keeper.whenIdle();
	}

	stop(): Promise<void> {
		return this.keeper.stop();
	}
}

/** Masquerade of pools with `natOutgoing`. */
export class NatPlane extends RulesPlane<readonly NatPool[]> {
	readonly name = 'nat';
	protected readonly kind = 'masquerade';

	apply(pools: readonly NatPool[]): void {
		this.keeper.set(
			natRules(pools),
			pools.some(({ natOutgoing }) => natOutgoing),
		);
	}
}

/** The sources from which tunnelled packets are accepted. */
export interface GuardState {
	/** Addresses of the nodes known from the cluster or the file, both families. */
	readonly nodes: readonly string[];
	readonly vxlanPort: number;
	/** A pool of ours is reached by VXLAN; see `GuardPlane.setVxlan` too. */
	readonly takesVxlan: boolean;
	readonly pools: readonly PrefixKey[];
}

/** Names of the interfaces of pods, as Calico's CNI plugin creates them. */
const podInterfaces = 'cali*';

/**
 * Time for which the old address of a node is accepted: it sends from it until it has no other
 * choice.
 */
const formerAddressMs = 60_000;

/** Tunnelled packets are accepted only from known nodes. */
export class GuardPlane extends RulesPlane<GuardState> {
	readonly name = 'guard';
	protected readonly kind = 'guard';
	readonly #enabled: boolean;
	#state: GuardState = { nodes: [], vxlanPort: vxlanDefaults.port, takesVxlan: false, pools: [] };
	#tunnelEnds: ReadonlySet<string> | undefined;
	#takesMore = false;
	/** Addresses that no node has any more, with the end of their time in monotonic milliseconds. */
	readonly #former = new Map<string, number>();
	readonly #clock: Clock;
	#timer: Timer | undefined;

	/** With `enabled: false` a guard of an earlier process is removed. */
	constructor(keeper: RuleKeeper, enabled: boolean, clock: Clock) {
		super(keeper);
		this.#clock = clock;
		this.#enabled = enabled;
		if (!enabled) keeper.set(noGuardRules, false);
	}

	apply(state: GuardState): void {
		const untilMs = this.#clock.monotonicMs() + formerAddressMs;
		for (const address of this.#state.nodes) this.#former.set(address, untilMs);
		for (const address of state.nodes) this.#former.delete(address);
		this.#state = state;
		this.#load();
	}

	override async stop(): Promise<void> {
		this.#timer?.cancel();
		await super.stop();
	}

	/** Former addresses whose time is not over; the rules are loaded again at its end. */
	#formerAddresses(): string[] {
		const nowMs = this.#clock.monotonicMs();
		for (const [address, untilMs] of this.#former) if (untilMs <= nowMs) this.#former.delete(address);
		this.#timer?.cancel();
		const firstMs = Math.min(...this.#former.values());
		if (this.#former.size > 0) this.#timer = this.#clock.after(firstMs - nowMs, () => this.#load());
		return [...this.#former.keys()];
	}

	/** The other ends of IP-in-IP routes, which BGP provides without a cluster. */
	setTunnelEnds(addresses: ReadonlySet<string>): void {
		this.#tunnelEnds = addresses;
		this.#load();
	}

	/** This node takes VXLAN for another reason, which ends later than its option. */
	setVxlan(isTaken: boolean): void {
		if (isTaken === this.#takesMore) return;
		this.#takesMore = isTaken;
		this.#load();
	}

	#load(): void {
		// Before the first routes are known a guard would drop packets of nodes that an earlier
		// process accepted.
		if (!this.#enabled || this.#tunnelEnds === undefined) return;
		const { vxlanPort, takesVxlan, pools } = this.#state;
		const nodes = [...this.#state.nodes, ...this.#formerAddresses()];
		this.keeper.set(
			guardRules({
				ipip: [...this.#tunnelEnds, ...nodes],
				...(takesVxlan || this.#takesMore ? { vxlan: { port: vxlanPort, nodes } } : {}),
				pods: { interfaces: podInterfaces, pools },
			}),
		);
	}
}
