import type { Clock, Logger, PrefixKey } from '../core/index.ts';
import type { Allocator } from './allocator.ts';
import { ordinalsOfHandle } from './block.ts';
import { type ClaimContext, giveUpBlock } from './claim.ts';
import { type ClusterSnapshot, findGarbage, type GarbageOptions, type GarbageReport, type Leak, type Suspicions, stillHeld } from './garbage.ts';
import { removeAsSeen } from './gateway-keeper.ts';
import { blockName, handleName, sanitizeHandle } from './names.ts';
import { whereReadable } from './store.ts';
import type { Block, Handle } from './values.ts';

export interface GarbageCollectorOptions extends GarbageOptions {
	readonly claims: ClaimContext;
	readonly allocator: Pick<Allocator, 'releaseAddress'>;
	readonly clock: Clock;
	readonly log: Logger;
	/** Everything, as of now. */
	snapshot(): Promise<ClusterSnapshot>;
	/** Asks the server, not a cache: does this pod exist with these addresses? `true` keeps the leak's addresses. */
	podUsesAddresses(leak: Leak): Promise<boolean>;
}

/** Leaks that are released at the same time. */
const atOnce = 16;

/** What one round did. */
export interface CollectedGarbage {
	readonly addresses: number;
	readonly claims: number;
	readonly handles: number;
	/** Leaks that turned out to be in use at the last look. */
	readonly spared: number;
}

/** Takes back what `findGarbage` finds. One instance per cluster at a time: whoever holds the lease runs it. */
export class GarbageCollector {
	readonly #options: GarbageCollectorOptions;
	#suspicions: Suspicions = new Map();

	constructor(options: GarbageCollectorOptions) {
		this.#options = options;
	}

	/** Looks without touching anything: what a round would take back now. */
	async dryRun(): Promise<GarbageReport> {
		return findGarbage(await this.#options.snapshot(), this.#suspicions, this.#options.clock.wallMs(), this.#options);
	}

	/** Everything that looks abandoned now, however short a time it has; `suspicions` say since when. */
	async suspects(): Promise<GarbageReport> {
		const snapshot = await this.#options.snapshot();
		const now = this.#options.clock.wallMs();
		const options = { graceMs: 0, mostAddresses: Number.POSITIVE_INFINITY };
		const { suspicions } = findGarbage(snapshot, this.#suspicions, now, options);
		return findGarbage(snapshot, suspicions, now, options);
	}

	/** One round. Whatever can't be taken back now stays suspected for the next. */
	async collect(): Promise<CollectedGarbage> {
		const { claims: context, log } = this.#options;
		const report = await this.dryRun();
		this.#suspicions = report.suspicions;
		const done = { addresses: 0, claims: 0, handles: 0, spared: 0 };
		// Several at a time: addresses of one block share its writes.
		for (let index = 0; index < report.leaks.length; index += atOnce) {
			const counts = await Promise.all(report.leaks.slice(index, index + atOnce).map((leak) => whereReadable(this.#release(leak), 0)));
			for (const released of counts) {
				if (released === 0) done.spared++;
				done.addresses += released;
			}
		}
		for (const { node, cidr, requireEmpty, reason } of report.claims) {
			const outcome = await whereReadable(giveUpBlock(context, node, cidr, { requireEmpty }), 'unreadable');
			if (outcome === 'released') done.claims++;
			log.info('block given up', { block: cidr, node, reason, outcome });
		}
		for (const { handleId } of report.handles) {
			const seen = await whereReadable(context.store.handles.read(handleName(handleId), 'fresh'), undefined);
			// The two observations were a grace period apart, and no write of a block is on its way so long; but the handle of a
			// gateway bears the name of its block, and may have been written anew since.
			if (
				seen === undefined ||
				(await whereReadable(this.#isHeld(seen.value), true)) ||
				!(await removeAsSeen(context.store.handles, handleName(handleId), seen))
			)
				continue;
			done.handles++;
			log.info('orphaned handle removed', { handle: handleId });
		}
		return done;
	}

	async #isHeld({ handleId, blocks }: Handle): Promise<boolean> {
		// The keys are CIDRs as Calico and we write them: canonical.
		for (const cidr of Object.keys(blocks) as PrefixKey[]) {
			const block = await this.#options.claims.store.blocks.read(blockName(cidr), 'fresh');
			if (block !== undefined && ordinalsOfHandle(block.value, sanitizeHandle(handleId)).length > 0) return true;
		}
		return false;
	}

	async #release(leak: Leak): Promise<number> {
		const { claims: context, allocator, log, podUsesAddresses } = this.#options;
		const blocks = new Map<Block['cidr'], Block>();
		for (const cidr of new Set(leak.addresses.map(({ block }) => block))) {
			const fresh = await context.store.blocks.read(blockName(cidr), 'fresh');
			if (fresh !== undefined) blocks.set(cidr, fresh.value);
		}
		if (!stillHeld(leak, blocks) || (await podUsesAddresses(leak))) return 0;
		let released = 0;
		for (const { address, block, sequenceNumber } of leak.addresses) {
			const outcome = await allocator.releaseAddress(address, { handleId: leak.handleId, sequenceNumber, block });
			if (outcome.type === 'released') released += outcome.addresses.length;
		}
		log.warn('leaked addresses released', { handle: leak.handleId, addresses: leak.addresses.map(({ address }) => address), reason: leak.reason });
		return released;
	}
}
