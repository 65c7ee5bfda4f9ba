import { renderDrop } from './render/policy.ts';
import type { GlobalOptions, Outcome, VerbDependencies } from './verb.ts';

/** The option `--watch` of the verbs that show judged packets. */
export const watchOption = {
	type: 'boolean',
	default: true,
	describe: 'go on until Ctrl-C; --no-watch ends after one packet',
} as const;

/**
 * Shows judged packets as the daemon reports them: a line for each. Ends at Ctrl-C, without
 * `watch` after the first packet. `not-as-asked`: the daemon ended the stream.
 */
export async function followPackets(
	stream: 'policyDrops' | 'policyFlows',
	{ json, watch }: GlobalOptions & { readonly watch: boolean },
	{ daemon, screen, write, signal }: Pick<VerbDependencies, 'daemon' | 'screen' | 'write' | 'signal'>,
): Promise<Outcome> {
	try {
		for await (const event of daemon.listen(stream, {}, signal)) {
			await write(json ? `${JSON.stringify(event)}\n` : renderDrop(screen, event));
			if (!watch) return 'done';
		}
	} catch (error) {
		if (signal.aborted) return 'done';
		throw error;
	}
	return 'not-as-asked';
}
