import { defineVerb, UsageError } from '../verb.ts';

export const apply = defineVerb({
	options: (yargs) =>
		yargs
			.option('filename', {
				alias: 'f',
				type: 'string',
				array: true,
				requiresArg: true,
				demandOption: true,
				describe: 'file or folder of YAML or JSON; - for standard input',
			})
			.option('kubeconfig', {
				type: 'string',
				requiresArg: true,
				describe: 'the way in; KUBECONFIG, ~/.kube/config or the service account without it',
			})
			.option('namespace', { alias: 'n', type: 'string', requiresArg: true, describe: 'for objects that name none' })
			.option('dry-run', { type: 'boolean', default: false, describe: 'the server checks and keeps nothing' })
			.option('force-conflicts', {
				type: 'boolean',
				default: false,
				describe: 'take fields over that another manager set',
			}),
	async run({ filename, kubeconfig, namespace, dryRun, forceConflicts, json }, { cluster, write, complain }) {
		if (cluster === undefined) throw new UsageError('this bgpmesh comes without a client of API servers');
		let failed = false;
		for await (const applied of cluster.apply({
			files: filename,
			kubeconfig,
			namespace,
			dryRun,
			force: forceConflicts,
		})) {
			failed ||= applied.outcome === 'failed';
			if (json) write(`${JSON.stringify(applied)}\n`);
			else if (applied.outcome === 'failed') complain(`${applied.object} failed: ${applied.reason}\n`);
			else write(`${applied.object} ${applied.outcome}${dryRun ? ' (dry run)' : ''}\n`);
		}
		return failed ? 'not-as-asked' : 'done';
	},
});
