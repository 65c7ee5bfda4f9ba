import { differences, renderFib, renderFibDiff } from '../render/fib.ts';
import { defineVerb } from '../verb.ts';

export const fib = defineVerb({
	options: (yargs) => yargs.option('diff', { type: 'boolean', default: false, describe: 'only what is missing, refused or not wanted' }),
	async run({ json, diff }, { daemon, screen, write }) {
		const answer = await daemon.ask('fib', {});
		const shown = diff ? { ...answer, routes: differences(answer) } : answer;
		if (json) write(`${JSON.stringify(shown)}\n`);
		else write(diff ? renderFibDiff(screen, answer) : renderFib(screen, answer));
		return diff && differences(answer).length > 0 ? 'not-as-asked' : 'done';
	},
});
