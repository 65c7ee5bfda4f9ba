import { NoDaemonError } from '../../control/index.ts';
import { defineVerb, UsageError } from '../verb.ts';

export const cleanup = defineVerb({
	options: (yargs) =>
		yargs
			.option('dry-run', { type: 'boolean', default: false, describe: 'only list what would be removed' })
			.option('config', {
				type: 'string',
				requiresArg: true,
				describe: 'the configuration file, for fib.routeProtocol; without it the usual place is read',
			}),
	async run({ json, dryRun, config }, { daemon, complain, write, cleanUp }) {
		if (cleanUp === undefined) throw new UsageError('cleanup is not available here');
		const isRunning = await daemon.ask('status', {}).then(
			() => true,
			(error: unknown) => !(error instanceof NoDaemonError),
		);
		if (isRunning && !dryRun) {
			complain('bgpmesh: the daemon is running and would write everything again; stop it first\n');
			return 'not-as-asked';
		}
		const planes = await cleanUp({ dryRun, configFile: config });
		if (json) write(`${JSON.stringify({ dryRun, planes })}\n`);
		else {
			const lines = planes.flatMap(({ plane, removed, error }) => [
				...removed.map((text) => `${plane}: ${text}\n`),
				...(error === undefined ? [] : [`${plane}: failed: ${error}\n`]),
			]);
			write(lines.length === 0 ? 'There is nothing of bgpmesh in the kernel.\n' : lines.join(''));
		}
		return planes.some(({ error }) => error !== undefined) ? 'not-as-asked' : 'done';
	},
});
