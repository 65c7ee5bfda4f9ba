import { renderEbpf } from '../render/ebpf.ts';
import { defineVerb } from '../verb.ts';

export const ebpf = defineVerb({
	options: (yargs) =>
		yargs.positional('action', { choices: ['show'] as const, demandOption: true, describe: 'what to do' }),
	async run({ json }, { daemon, screen, write }) {
		const view = await daemon.ask('ebpf', {});
		await write(json ? `${JSON.stringify(view)}\n` : renderEbpf(screen, view));
		return view.problem === undefined ? 'done' : 'not-as-asked';
	},
});
