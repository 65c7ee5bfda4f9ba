import { renderReload } from '../render/reload.ts';
import { defineVerb } from '../verb.ts';

export const reload = defineVerb({
	options: (yargs) =>
		yargs.option('dry-run', {
			type: 'boolean',
			default: false,
			describe: 'only say what would change, and which sessions would be reset',
		}),
	async run({ json, dryRun }, { daemon, screen, write }) {
		const answer = await daemon.ask('reload', { dryRun });
		write(json ? `${JSON.stringify(answer)}\n` : renderReload(screen, answer));
		return 'done';
	},
});
