import { table } from '../render/table.ts';
import { defineVerb, UsageError } from '../verb.ts';

const outputs = ['table', 'yaml', 'json', 'name'] as const;

export const get = defineVerb({
	options: (yargs) =>
		yargs
			.positional('kind', {
				type: 'string',
				demandOption: true,
				describe: 'plural, singular or short name, with or without its group',
			})
			.positional('name', { type: 'string', describe: 'one of them' })
			.option('output', { alias: 'o', choices: outputs, default: 'table' as const, describe: '--json is -o json' })
			.option('kubeconfig', {
				type: 'string',
				requiresArg: true,
				describe: 'the way in; KUBECONFIG, ~/.kube/config or the service account without it',
			})
			.option('namespace', { alias: 'n', type: 'string', requiresArg: true, describe: "the context's without it" })
			.option('all-namespaces', { alias: 'A', type: 'boolean', default: false, describe: 'of every namespace' })
			.option('selector', {
				alias: 'l',
				type: 'string',
				requiresArg: true,
				describe: 'only objects with these labels',
			}),
	async run({ kind, name, output, kubeconfig, namespace, allNamespaces, selector, json }, { cluster, screen, write }) {
		if (cluster === undefined) throw new UsageError('this bgpmesh comes without a client of API servers');
		if (name !== undefined && (allNamespaces || selector !== undefined))
			throw new UsageError('a name goes with neither --all-namespaces nor --selector');
		const answer = await cluster.get({
			kind,
			name,
			kubeconfig,
			namespace,
			allNamespaces,
			selector,
			output: json ? 'json' : output,
		});
		if (answer.type === 'text') write(answer.text);
		else {
			const columns = answer.titles.map((title, index) => ({ title, cell: (row: readonly string[]) => row[index] }));
			write(answer.rows.length === 0 ? 'none\n' : table(screen, columns, answer.rows));
		}
		return 'done';
	},
});
