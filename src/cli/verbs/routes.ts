import { showListing } from '../listing.ts';
import { routesScreen } from '../render/routes.ts';
import { defineVerb, UsageError } from '../verb.ts';

export const routes = defineVerb({
	options: (yargs) =>
		yargs
			.positional('prefix', { type: 'string', describe: 'a prefix, or an address for the route towards it' })
			.option('received', {
				type: 'string',
				requiresArg: true,
				conflicts: 'advertised',
				describe: 'as received from PEER, before policy',
			})
			.option('advertised', { type: 'string', requiresArg: true, describe: 'as sent to PEER, after policy' })
			.option('covered', { type: 'boolean', default: false, describe: 'everything inside the prefix, too' })
			.option('family', { choices: ['ipv4', 'ipv6'] as const, describe: 'only one address family' })
			.option('limit', { type: 'number', default: 1000, describe: 'at most so many paths; 0: all' }),
	async run({ json, prefix, received, advertised, covered, family, limit }, dependencies) {
		if (!Number.isSafeInteger(limit) || limit < 0) throw new UsageError('--limit takes a whole number');
		const target = prefix === undefined ? {} : prefix.includes('/') ? { prefix } : { address: prefix };
		const query = {
			...target,
			...(received === undefined ? {} : { received }),
			...(advertised === undefined ? {} : { advertised }),
			...(covered ? { covered } : {}),
			...(family === undefined ? {} : { family }),
			limit,
		};
		const { count } = await showListing('routes', query, routesScreen(dependencies.screen), { json }, dependencies);
		// For one prefix the exit code gives whether it is there.
		return prefix !== undefined && count === 0 ? 'not-as-asked' : 'done';
	},
});
