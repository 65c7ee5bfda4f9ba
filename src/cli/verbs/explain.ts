import { renderExplanation } from '../render/routes.ts';
import { defineVerb } from '../verb.ts';

export const explain = defineVerb({
	options: (yargs) => yargs.positional('target', { type: 'string', demandOption: true, describe: 'prefix or address' }),
	async run({ json, target }, { daemon, screen, write }) {
		const answer = await daemon.ask('explanation', { target });
		write(json ? `${JSON.stringify(answer)}\n` : renderExplanation(screen, answer));
		return answer.paths.length === 0 ? 'not-as-asked' : 'done';
	},
});
