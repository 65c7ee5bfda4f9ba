import { renderPools } from '../render/ipam.ts';
import { defineVerb } from '../verb.ts';

export const pools = defineVerb({
	options: (yargs) => yargs,
	async run({ json }, { daemon, screen, write }) {
		const answer = await daemon.ask('pools', {});
		write(json ? `${JSON.stringify(answer)}\n` : renderPools(screen, answer));
		return 'done';
	},
});
