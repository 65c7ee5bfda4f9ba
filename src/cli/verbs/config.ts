import { ConfigError, configJsonSchema, defaultConfigFile, formatProblem, loadConfig } from '../../config/index.ts';
import { count } from '../render/screen.ts';
import { defineVerb, type Outcome, UsageError, type VerbDependencies } from '../verb.ts';

export const config = defineVerb({
	options: (yargs) =>
		yargs
			.positional('action', {
				choices: ['check', 'show', 'schema'] as const,
				demandOption: true,
				describe: 'what to do',
			})
			.positional('file', { type: 'string', describe: `for check: the file (${defaultConfigFile})` }),
	async run({ action, file, json }, dependencies) {
		if (action === 'check') {
			return check(file ?? defaultConfigFile, json, dependencies);
		}
		if (file !== undefined) throw new UsageError(`config ${action} takes no file`);
		if (action === 'schema') {
			dependencies.write(`${JSON.stringify(configJsonSchema(), null, '\t')}\n`);
			return 'done';
		}
		const answer = await dependencies.daemon.ask('config', {});
		if (json) dependencies.write(`${JSON.stringify(answer)}\n`);
		else {
			const { stringify } = await import('yaml');
			dependencies.write(`# ${answer.file}, read ${answer.loadedAt}, with every default\n${stringify(answer.config)}`);
		}
		return 'done';
	},
});

async function check(file: string, json: boolean, { write, complain }: VerbDependencies): Promise<Outcome> {
	try {
		const { bgp, policies, pools } = await loadConfig(file);
		const parts = [
			count(bgp?.peers.length ?? 0, 'peer'),
			count(bgp?.peerRanges.length ?? 0, 'peer range'),
			count(Object.keys(policies).length, 'policy', 'policies'),
			count(pools.length, 'pool'),
		];
		write(
			json ? `${JSON.stringify({ file, usable: true, problems: [] })}\n` : `${file} is usable: ${parts.join(', ')}.\n`,
		);
		return 'done';
	} catch (error) {
		if (!(error instanceof ConfigError)) throw error;
		if (json) write(`${JSON.stringify({ file, usable: false, problems: error.problems })}\n`);
		else complain(`${error.problems.map((problem) => formatProblem(file, problem)).join('\n')}\n`);
		return 'not-as-asked';
	}
}
