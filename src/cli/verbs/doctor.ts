import { NoDaemonError } from '../../control/index.ts';
import type { ProblemView } from '../../core/index.ts';
import { renderDoctor } from '../render/doctor.ts';
import { defineVerb, UsageError } from '../verb.ts';

export const doctor = defineVerb({
	options: (yargs) => yargs,
	async run({ json }, { daemon, screen, write, checkHost }) {
		if (checkHost === undefined) throw new UsageError('doctor is not available here');
		const checks = await checkHost();
		const problems = await daemon.ask('status', {}).then(
			(status): readonly ProblemView[] => status.problems,
			(error: unknown) => {
				if (error instanceof NoDaemonError) return undefined;
				throw error;
			},
		);
		write(
			json
				? `${JSON.stringify({ checks, ...(problems === undefined ? {} : { problems }) })}\n`
				: renderDoctor(screen, checks, problems),
		);
		return checks.some(({ state }) => state === 'wrong') || (problems ?? []).length > 0 ? 'not-as-asked' : 'done';
	},
});
