import { followPackets, watchOption } from '../follow-packets.ts';
import { defineVerb } from '../verb.ts';

export const flows = defineVerb({
	options: (yargs) => yargs.option('watch', watchOption),
	run: (options, dependencies) => followPackets('policyFlows', options, dependencies),
});
