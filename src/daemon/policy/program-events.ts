import type { PolicyDropEvent } from '../../control/index.ts';
import type { Clock, Logger, Timer } from '../../core/index.ts';
import { decodeEvent, type ProgramDecision, type ProgramEvent, RingBuffer, Switch } from '../../ebpf/index.ts';
import { portProtocols } from '../../policy/index.ts';
import { type OpenEvents, protocolName } from './drops.ts';
import type { OpenedEbpf } from './ebpf.ts';
import { policyName } from './names.ts';

export interface ProgramEventsDependencies {
	/** `undefined`: eBPF is not in use now. */
	readonly ebpf: () => OpenedEbpf | undefined;
	/** Pods by name, other endpoints unchanged. */
	readonly nameOf: (address: string) => string;
	readonly clock: Clock;
	readonly log: Logger;
}

/**
 * What of the events a watcher gets: `drops` are denied and logged packets, `flows` connections
 * with their verdict.
 */
type Interest = 'drops' | 'flows';

const pollMs = 100;
/** Records of one poll; the rest waits for the next. */
const mostPerPoll = 2000;

/**
 * Reads the ring buffer of the programs while it is watched, also over a change of the data plane.
 */
export class ProgramEvents {
	readonly #dependencies: ProgramEventsDependencies;
	readonly #watchers = new Set<{ readonly interest: Interest; readonly take: (event: PolicyDropEvent) => void }>();
	#ring: { readonly of: OpenedEbpf; readonly buffer: RingBuffer } | undefined;
	#timer: Timer | undefined;

	constructor(dependencies: ProgramEventsDependencies) {
		this.#dependencies = dependencies;
	}

	/** A source of events for a follower. */
	source(interest: Interest): OpenEvents {
		return (take) => {
			const watcher = { interest, take };
			this.#watchers.add(watcher);
			if (this.#timer === undefined) this.#begin();
			this.#switchFlows();
			return {
				close: () => {
					this.#watchers.delete(watcher);
					this.#switchFlows();
					if (this.#watchers.size === 0) this.#end();
				},
			};
		};
	}

	#begin(): void {
		this.#attach();
		// What is older than the first watcher is not of interest.
		this.#ring?.buffer.read(Number.MAX_SAFE_INTEGER, () => undefined);
		this.#next();
	}

	#end(): void {
		this.#timer?.cancel();
		this.#timer = undefined;
		this.#ring?.buffer.close();
		this.#ring = undefined;
	}

	#next(): void {
		this.#timer = this.#dependencies.clock.after(pollMs, () => {
			try {
				this.#poll();
			} catch (error) {
				this.#dependencies.log.warn('events of programs not read', { reason: String(error) });
			}
			this.#next();
		});
	}

	#poll(): void {
		this.#attach();
		const ring = this.#ring;
		ring?.buffer.read(mostPerPoll, (record) => {
			const event = decodeEvent(record);
			const view = event && this.#view(event, ring.of);
			if (view === undefined) return;
			for (const { interest, take } of this.#watchers)
				if (interest === 'flows' ? view.action !== 'log' : view.action !== 'allow') take(view);
		});
	}

	/** The maps change with the data plane. */
	#attach(): void {
		const ebpf = this.#dependencies.ebpf();
		if (this.#ring?.of === ebpf) return;
		this.#ring?.buffer.close();
		const events = ebpf?.maps.get('events');
		this.#ring = ebpf === undefined || events === undefined ? undefined : { of: ebpf, buffer: new RingBuffer(events) };
		this.#switchFlows();
	}

	/** Programs report allowed connections only while they are watched. */
	#switchFlows(): void {
		const wanted = [...this.#watchers].some(({ interest }) => interest === 'flows');
		const key = new Uint8Array(Uint32Array.of(Switch.flows).buffer);
		this.#ring?.of.maps.get('switches')?.set(key, new Uint8Array(Uint32Array.of(wanted ? 1 : 0).buffer));
	}

	#view(event: ProgramEvent, { kernel }: OpenedEbpf): PolicyDropEvent | undefined {
		const explained = kernel.explain(event);
		if (explained === undefined) return undefined;
		const { nameOf, clock } = this.#dependencies;
		return {
			at: new Date(clock.wallMs()).toISOString(),
			action: event.action,
			direction: event.direction,
			stage: explained.of,
			from: nameOf(event.source),
			to: nameOf(event.destination),
			protocol: protocolName(event.protocol),
			...(portProtocols.has(event.protocol) ? { sourcePort: event.sourcePort, port: event.destinationPort } : {}),
			decidedBy: decisionText(explained.decision),
		};
	}
}

/** The words of a decision of a program. Pure. */
export function decisionText(decision: ProgramDecision): string {
	switch (decision.type) {
		case 'rule':
			return `${policyName(decision.policy)} ${decision.origin}`;
		case 'tier-default':
			return `end of tier ${decision.tier}`;
		case 'end':
			return 'end of all tiers and profiles';
		case 'invalid':
			return 'belongs to no connection and can begin none';
		case 'spoofed-source':
			return 'source address is not that of the pod';
		case 'tunnel-from-workload':
			return 'tunnelled packet from a pod';
		case 'to-host':
			return 'defaultEndpointToHostAction';
		case 'own-node':
			return 'sent by this node';
		case 'no-policy':
			return 'no policy selects the endpoint';
		case 'failsafe':
			return 'failsafe port';
		case 'foreign-tunnel':
			return 'IP in IP from outside of the cluster';
		case 'before-dnat':
			return 'allowed by a preDNAT policy';
		default:
			return decision satisfies never;
	}
}
