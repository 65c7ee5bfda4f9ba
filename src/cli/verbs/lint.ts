import { renderLint } from '../render/lint.ts';
import { defineVerb } from '../verb.ts';

export const lint = defineVerb({
	options: (yargs) => yargs,
	async run({ json }, { daemon, screen, write }) {
		const answer = await daemon.ask('lint', {});
		write(json ? `${JSON.stringify(answer)}\n` : renderLint(screen, answer));
		return answer.findings.length === 0 ? 'done' : 'not-as-asked';
	},
});
