import type { FibRouteView } from '../../core/index.ts';
import { showListing } from '../listing.ts';
import { fibDiffScreen, fibScreen, isDifferent } from '../render/fib.ts';
import { planeDifferences, renderPlaneDiff } from '../render/planes.ts';
import { defineVerb, type Outcome, type VerbDependencies } from '../verb.ts';

export const fib = defineVerb({
	options: (yargs) =>
		yargs.option('diff', { type: 'boolean', default: false, describe: 'only what is missing, refused or not wanted' }),
	async run({ json, diff }, dependencies) {
		if (diff) return showDifferences(json, dependencies);
		await showListing('fib', {}, fibScreen(dependencies.screen), { json }, dependencies);
		return 'done';
	},
});

/** Routes are compared one by one; the other planes by their own views. */
async function showDifferences(json: boolean, { daemon, screen, write, signal }: VerbDependencies): Promise<Outcome> {
	const routes: FibRouteView[] = [];
	const shown = fibDiffScreen(screen);
	let text = '';
	for await (const part of daemon.list('fib', {}, { signal })) {
		if (part.type === 'row' && isDifferent(part.row)) routes.push(part.row);
		text = part.type === 'row' ? shown.add(part.row) : shown.end(part.rest);
		if (!json) await write(text);
		if (part.type === 'row') continue;
		const planes = planeDifferences((await daemon.ask('planes', {})).planes);
		await write(json ? `${JSON.stringify({ ...part.rest, routes, planes })}\n` : renderPlaneDiff(screen, planes));
		return routes.length + planes.length > 0 ? 'not-as-asked' : 'done';
	}
	return 'not-as-asked';
}
