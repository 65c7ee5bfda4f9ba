/**
 * Maintenance of a node's claims: completes interrupted claims and releases, and gives up blocks of
 * pools that no longer select the node.
 */
import type { Logger, PrefixKey } from '../core/index.ts';
import { cooledDownInMs } from './block.ts';
import { ownClaims, unselectedBlocks } from './block-finder.ts';
import { type ClaimDependencies, giveUpBlock, reconfirmUsed } from './claim.ts';
import { blockName } from './names.ts';
import type { SelectorMatch } from './pool.ts';
import { whereReadable } from './store.ts';

export interface UpkeepDependencies {
	readonly node: string;
	readonly claims: ClaimDependencies;
	readonly selectorMatches: SelectorMatch;
	readonly log: Logger;
	/** Runs `act` while no other claim is in progress. */
	claiming<R>(act: () => Promise<R>): Promise<R>;
}

/**
 * Retry delay after a lost race, or for a block that is still announced, in milliseconds: the other
 * writer may fail.
 */
const againMs = 30_000;

/** Confirms interrupted claims and releases whose blocks have addresses in use. */
export async function finishClaims({ node, claims, log, claiming }: UpkeepDependencies): Promise<void> {
	for (const cidr of ownClaims(await claims.store.affinitiesOf(node), node).unfinished) {
		if (await claiming(() => whereReadable(reconfirmUsed(claims, node, cidr), false)))
			log.info('claim of a block in use confirmed again', { block: cidr });
	}
}

/**
 * Gives up empty blocks of pools that no longer select the node. Returns the delay in milliseconds
 * until the next attempt if no event will trigger one, for example at the end of a cooldown.
 */
export async function giveUpUnselected(
	{ node, claims, selectorMatches, log, claiming }: UpkeepDependencies,
	withdrawn: (cidr: PrefixKey) => Promise<boolean>,
): Promise<number | undefined> {
	const { store } = claims;
	const [labels, pools, affinities] = await Promise.all([
		store.nodeLabels(node),
		store.pools(),
		store.affinitiesOf(node),
	]);
	const { confirmed, unfinished } = ownClaims(affinities, node);
	const waits: number[] = [];
	for (const cidr of unselectedBlocks(
		[...confirmed, ...unfinished],
		pools,
		({ nodeSelector }) => selectorMatches(nodeSelector, labels) !== false,
	)) {
		const outcome = await claiming(() =>
			whereReadable(giveUpBlock(claims, node, cidr, { requireEmpty: true, withdrawn }), 'unreadable'),
		);
		if (outcome === 'released')
			log.info('empty block given up: its pool does not select this node any more', { block: cidr });
		else if (outcome === 'changed') waits.push(againMs);
		else if (outcome === 'not-empty') waits.push(...(await cooldownOf(claims, cidr)));
	}
	return waits.length === 0 ? undefined : Math.min(...waits);
}

/**
 * The time at which the block can be given up if only cooldowns keep it. The release of an address
 * in use triggers its own event.
 */
async function cooldownOf({ store, clock }: ClaimDependencies, cidr: PrefixKey): Promise<number[]> {
	const block = await whereReadable(store.blocks.read(blockName(cidr), 'fresh'), undefined);
	const inMs =
		block === undefined
			? undefined
			: cooledDownInMs(block.value, (await store.config()).cooldownSeconds, clock.wallMs());
	return inMs === undefined ? [] : [inMs];
}
