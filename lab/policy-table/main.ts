/** `npm run policy:table`. */
import { tableMain } from '../truth-table.ts';
import { backends } from './backends.ts';
import { readTable } from './cases.ts';
import { casesOf, policyTable, type TableCase } from './run.ts';

process.exitCode = await tableMain<TableCase>(
	{
		command: 'policy:table',
		subject: 'network policy or selectors',
		example: '../shared/data/policy/policy-k8s.jsonl',
		read: (file) => casesOf(readTable(file)),
		backends: Object.fromEntries(
			Object.entries(backends).map(([name, open]) => [name, async () => policyTable(await open())]),
		),
	},
	process.argv.slice(2),
);
