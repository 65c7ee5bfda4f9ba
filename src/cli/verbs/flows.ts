import { defineVerb } from '../verb.ts';
import { followPackets, watchOption } from './follow-packets.ts';

export const flows = defineVerb({
	options: (yargs) => yargs.option('watch', watchOption),
	run: (options, dependencies) => followPackets('policyFlows', options, dependencies),
});
