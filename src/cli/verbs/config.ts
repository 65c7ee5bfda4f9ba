import { ConfigError, configJsonSchema, formatProblem, loadConfig } from '../../config/index.ts';
import { count } from '../render/screen.ts';
import { defineVerb, type Outcome, type Surroundings, UsageError } from '../verb.ts';

export const config = defineVerb({
	options: (yargs) =>
		yargs
			.positional('action', { choices: ['check', 'show', 'schema'] as const, demandOption: true, describe: 'what to do' })
			.positional('file', { type: 'string', describe: 'for check: the file' }),
	async run({ action, file, json }, surroundings) {
		if (action === 'check') {
			if (file === undefined) throw new UsageError('config check takes a file: bgpmesh config check /etc/bgpmesh/bgpmeshd.yaml');
			return check(file, json, surroundings);
		}
		if (file !== undefined) throw new UsageError(`config ${action} takes no file`);
		if (action === 'schema') {
			surroundings.write(`${JSON.stringify(configJsonSchema(), null, '\t')}\n`);
			return 'done';
		}
		const answer = await surroundings.daemon.ask('config', {});
		if (json) surroundings.write(`${JSON.stringify(answer)}\n`);
		else {
			const { stringify } = await import('yaml');
			surroundings.write(`# ${answer.file}, read ${answer.loadedAt}, with every default\n${stringify(answer.config)}`);
		}
		return 'done';
	},
});

async function check(file: string, json: boolean, { write, complain }: Surroundings): Promise<Outcome> {
	try {
		const { bgp, policies, pools } = await loadConfig(file);
		const parts = [
			count(bgp?.peers.length ?? 0, 'peer'),
			count(bgp?.peerRanges.length ?? 0, 'peer range'),
			count(Object.keys(policies).length, 'policy', 'policies'),
			count(pools.length, 'pool'),
		];
		write(json ? `${JSON.stringify({ file, usable: true, problems: [] })}\n` : `${file} is usable: ${parts.join(', ')}.\n`);
		return 'done';
	} catch (error) {
		if (!(error instanceof ConfigError)) throw error;
		if (json) write(`${JSON.stringify({ file, usable: false, problems: error.problems })}\n`);
		else complain(`${error.problems.map((problem) => formatProblem(file, problem)).join('\n')}\n`);
		return 'not-as-asked';
	}
}
