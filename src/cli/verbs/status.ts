import { renderStatus } from '../render/status.ts';
import { defineVerb } from '../verb.ts';

export const status = defineVerb({
	options: (yargs) => yargs,
	async run({ json }, { daemon, screen, write }) {
		const answer = await daemon.ask('status', {});
		write(json ? `${JSON.stringify(answer)}\n` : renderStatus(screen, answer));
		return 'done';
	},
});
