/** What a node does about its claims beside giving addresses: it ends what was left half done, and gives up what is not for it any more. */
import type { Logger, PrefixKey } from '../core/index.ts';
import { cooledDownInMs } from './block.ts';
import { ownClaims, unselectedBlocks } from './block-finder.ts';
import { type ClaimContext, giveUpBlock, reconfirmUsed } from './claim.ts';
import { blockName } from './names.ts';
import type { SelectorMatch } from './pool.ts';
import { whereReadable } from './store.ts';

export interface UpkeepContext {
	readonly node: string;
	readonly claims: ClaimContext;
	readonly selectorMatches: SelectorMatch;
	readonly log: Logger;
	/** Nothing else is claimed meanwhile. */
	claiming<R>(act: () => Promise<R>): Promise<R>;
}

/** A lost race, or a block that is announced still: somebody is at it, and it may come to nothing. */
const againMs = 30_000;

/** Confirms claims again that are half given up, or half made, and whose blocks have addresses in use. */
export async function finishClaims({ node, claims, log, claiming }: UpkeepContext): Promise<void> {
	for (const cidr of ownClaims(await claims.store.affinitiesOf(node), node).unfinished) {
		if (await claiming(() => whereReadable(reconfirmUsed(claims, node, cidr), false))) log.info('claim of a block in use confirmed again', { block: cidr });
	}
}

/** Gives up empty blocks of pools that do not select the node any more; says in how many milliseconds there is something to do that nothing else tells of, such as the end of a cooldown. */
export async function giveUpUnselected(
	{ node, claims, selectorMatches, log, claiming }: UpkeepContext,
	withdrawn: (cidr: PrefixKey) => Promise<boolean>,
): Promise<number | undefined> {
	const { store } = claims;
	const [labels, pools, affinities] = await Promise.all([store.nodeLabels(node), store.pools(), store.affinitiesOf(node)]);
	const { confirmed, unfinished } = ownClaims(affinities, node);
	const waits: number[] = [];
	for (const cidr of unselectedBlocks([...confirmed, ...unfinished], pools, ({ nodeSelector }) => selectorMatches(nodeSelector, labels) !== false)) {
		const outcome = await claiming(() => whereReadable(giveUpBlock(claims, node, cidr, { requireEmpty: true, withdrawn }), 'unreadable'));
		if (outcome === 'released') log.info('empty block given up: its pool does not select this node any more', { block: cidr });
		else if (outcome === 'changed') waits.push(againMs);
		else if (outcome === 'not-empty') waits.push(...(await cooldownOf(claims, cidr)));
	}
	return waits.length === 0 ? undefined : Math.min(...waits);
}

/** When the block may be given up, where nothing but cooldowns keeps it. Whoever has an address in use tells when it is given back. */
async function cooldownOf({ store, clock }: ClaimContext, cidr: PrefixKey): Promise<number[]> {
	const block = await whereReadable(store.blocks.read(blockName(cidr), 'fresh'), undefined);
	const inMs = block === undefined ? undefined : cooledDownInMs(block.value, (await store.config()).cooldownSeconds, clock.wallMs());
	return inMs === undefined ? [] : [inMs];
}
