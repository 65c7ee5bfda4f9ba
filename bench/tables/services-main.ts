/** `npm run services:table`. */
import { readCases, tableMain } from '../../lab/truth-table.ts';
import type { ServicesCase } from './services/cases.ts';
import { openEbpf } from './services/ebpf.ts';
import { openEvaluate } from './services/evaluate.ts';
import { openNftables } from './services/nftables.ts';

process.exitCode = await tableMain<ServicesCase>(
	{
		command: 'services:table',
		subject: 'Services',
		example: '../shared/data/policy/services.jsonl',
		read: (file) => readCases<ServicesCase>(file),
		backends: {
			evaluate: () => Promise.resolve(openEvaluate()),
			nftables: () => Promise.resolve(openNftables()),
			ebpf: () => Promise.resolve(openEbpf()),
		},
	},
	process.argv.slice(2),
);
