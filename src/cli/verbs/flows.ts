import { renderDrop } from '../render/policy.ts';
import { defineVerb } from '../verb.ts';

export const flows = defineVerb({
	options: (yargs) => yargs.option('watch', { type: 'boolean', default: true, describe: 'go on until Ctrl-C' }),
	async run({ json }, { daemon, screen, write, signal }) {
		try {
			for await (const event of daemon.listen('policyFlows', {}, signal))
				await write(json ? `${JSON.stringify(event)}\n` : renderDrop(screen, event));
		} catch (error) {
			if (signal.aborted) return 'done';
			throw error;
		}
		return 'not-as-asked';
	},
});
