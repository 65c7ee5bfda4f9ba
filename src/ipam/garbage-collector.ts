import type { Clock, Logger, PrefixKey } from '../core/index.ts';
import type { Allocator } from './allocator.ts';
import { ordinalsOfHandle } from './block.ts';
import { type ClaimDependencies, giveUpBlock } from './claim.ts';
import {
	type ClusterSnapshot,
	findGarbage,
	type GarbageOptions,
	type GarbageReport,
	type Leak,
	type Suspicions,
	stillHeld,
} from './garbage.ts';
import { removeAsSeen } from './gateway-keeper.ts';
import { blockName, handleName, sanitizeHandle } from './names.ts';
import { whereReadable } from './store.ts';
import type { Block, Handle } from './values.ts';

export interface GarbageCollectorDependencies extends GarbageOptions {
	readonly claims: ClaimDependencies;
	readonly allocator: Pick<Allocator, 'releaseAddress'>;
	readonly clock: Clock;
	readonly log: Logger;
	/** Reads the present state of the cluster. */
	snapshot(): Promise<ClusterSnapshot>;
	/**
	 * Checks at the API server, not in a cache, whether the pod exists with these addresses. `true`
	 * keeps the leak's addresses.
	 */
	podUsesAddresses(leak: Leak): Promise<boolean>;
}

/** Number of leaks released concurrently. */
const atOnce = 16;

/** The result of one round. */
export interface CollectedGarbage {
	readonly addresses: number;
	readonly claims: number;
	readonly handles: number;
	/** Leaks that the last check found in use. */
	readonly spared: number;
}

/**
 * Releases what `findGarbage` reports. One instance per cluster: the holder of the lease runs it.
 */
export class GarbageCollector {
	readonly #dependencies: GarbageCollectorDependencies;
	#suspicions: Suspicions = new Map();

	constructor(dependencies: GarbageCollectorDependencies) {
		this.#dependencies = dependencies;
	}

	/** Returns what a round would release now; writes nothing. */
	async dryRun(): Promise<GarbageReport> {
		return findGarbage(
			await this.#dependencies.snapshot(),
			this.#suspicions,
			this.#dependencies.clock.wallMs(),
			this.#dependencies,
		);
	}

	/** All present suspects regardless of the grace period; `suspicions` has the start of each. */
	async suspects(): Promise<GarbageReport> {
		const snapshot = await this.#dependencies.snapshot();
		const now = this.#dependencies.clock.wallMs();
		const options = { graceMs: 0, mostAddresses: Number.POSITIVE_INFINITY };
		const { suspicions } = findGarbage(snapshot, this.#suspicions, now, options);
		return findGarbage(snapshot, suspicions, now, options);
	}

	/** One round. What can not be released now stays a suspect for the next round. */
	async collect(): Promise<CollectedGarbage> {
		const { claims: dependencies, log } = this.#dependencies;
		const report = await this.dryRun();
		this.#suspicions = report.suspicions;
		const done = { addresses: 0, claims: 0, handles: 0, spared: 0 };
		// Released concurrently, so that addresses of one block share its writes.
		for (let index = 0; index < report.leaks.length; index += atOnce) {
			const counts = await Promise.all(
				report.leaks.slice(index, index + atOnce).map((leak) => whereReadable(this.#release(leak), 0)),
			);
			for (const released of counts) {
				if (released === 0) done.spared++;
				done.addresses += released;
			}
		}
		for (const { node, cidr, requireEmpty, reason } of report.claims) {
			const outcome = await whereReadable(giveUpBlock(dependencies, node, cidr, { requireEmpty }), 'unreadable');
			if (outcome === 'released') done.claims++;
			log.info('block given up', { block: cidr, node, reason, outcome });
		}
		for (const { handleId } of report.handles) {
			const seen = await whereReadable(dependencies.store.handles.read(handleName(handleId), 'fresh'), undefined);
			// The two observations were one grace period apart, longer than any write of a block
			// takes. The handle of a gateway is named after its block, and may have been written
			// again since.
			if (
				seen === undefined ||
				(await whereReadable(this.#isHeld(seen.value), true)) ||
				!(await removeAsSeen(dependencies.store.handles, handleName(handleId), seen))
			)
				continue;
			done.handles++;
			log.info('orphaned handle removed', { handle: handleId });
		}
		return done;
	}

	async #isHeld({ handleId, blocks }: Handle): Promise<boolean> {
		// The keys are canonical CIDRs, as Calico and we write them.
		for (const cidr of Object.keys(blocks) as PrefixKey[]) {
			const block = await this.#dependencies.claims.store.blocks.read(blockName(cidr), 'fresh');
			if (block !== undefined && ordinalsOfHandle(block.value, sanitizeHandle(handleId)).length > 0) return true;
		}
		return false;
	}

	async #release(leak: Leak): Promise<number> {
		const { claims: dependencies, allocator, log, podUsesAddresses } = this.#dependencies;
		const blocks = new Map<Block['cidr'], Block>();
		for (const cidr of new Set(leak.addresses.map(({ block }) => block))) {
			const fresh = await dependencies.store.blocks.read(blockName(cidr), 'fresh');
			if (fresh !== undefined) blocks.set(cidr, fresh.value);
		}
		if (!stillHeld(leak, blocks) || (await podUsesAddresses(leak))) return 0;
		let released = 0;
		for (const { address, block, sequenceNumber } of leak.addresses) {
			const outcome = await allocator.releaseAddress(address, { handleId: leak.handleId, sequenceNumber, block });
			if (outcome.type === 'released') released += outcome.addresses.length;
		}
		log.warn('leaked addresses released', {
			handle: leak.handleId,
			addresses: leak.addresses.map(({ address }) => address),
			reason: leak.reason,
		});
		return released;
	}
}
