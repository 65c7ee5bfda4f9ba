import { renderEvent } from '../render/monitor.ts';
import { defineVerb } from '../verb.ts';

export const monitor = defineVerb({
	options: (yargs) => yargs.option('routes', { type: 'boolean', default: false, describe: 'best-route changes, too' }),
	async run({ json, routes }, { daemon, screen, write, signal }) {
		try {
			for await (const event of daemon.listen('monitor', routes ? { routes } : {}, signal)) {
				await write(json ? `${JSON.stringify(event)}\n` : renderEvent(screen, event));
			}
		} catch (error) {
			// Ctrl-C is how one leaves.
			if (signal.aborted) return 'done';
			throw error;
		}
		// The daemon went away.
		return 'not-as-asked';
	},
});
