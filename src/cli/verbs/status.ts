import { renderStatus } from '../render/status.ts';
import { defineVerb } from '../verb.ts';

export const status = defineVerb({
	options: (yargs) =>
		yargs
			.option('check', { type: 'boolean', default: false, describe: 'exit code 1 while there is a problem' })
			.option('ready', {
				type: 'boolean',
				default: false,
				describe: 'exit code 1 while a problem blocks readiness, for probes',
			}),
	async run({ json, check, ready }, { daemon, screen, write }) {
		const answer = await daemon.ask('status', {});
		write(json ? `${JSON.stringify(answer)}\n` : renderStatus(screen, answer));
		if (check && answer.problems.length > 0) return 'not-as-asked';
		return ready && !answer.ready ? 'not-as-asked' : 'done';
	},
});
