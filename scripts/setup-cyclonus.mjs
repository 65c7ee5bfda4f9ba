/**
 * npm run setup:cyclonus: builds cyclonus, which generates network policies and probes them in a real
 * cluster (npm run e2e -- --cyclonus), once, into ~/.cache/bgpmesh/cyclonus/VERSION. Takes about two
 * minutes the first time; needs Go 1.24 or newer. Two lines are replaced: cyclonus can probe in
 * batches, one `exec` for each pod in place of hundreds, but has no option for it in this release;
 * and a pod makes twelve probes at a time in place of ten: each has 36 of them, and one that is blocked
 * takes two seconds.
 */
import { buildGoCommands } from './lib/go-commands.mjs';

const cyclonus = 'github.com/mattfenwick/cyclonus';

buildGoCommands({
	name: 'cyclonus',
	module: 'test/cyclonus',
	requires: cyclonus,
	commands: { cyclonus: `${cyclonus}/cmd/cyclonus`, 'cyclonus-worker': `${cyclonus}/cmd/worker` },
	replaced: [
		{ file: 'pkg/cli/generate.go', line: 'batchJobs := false // args.BatchJobs', by: 'batchJobs := true' },
		{
			file: 'pkg/worker/cli.go',
			line: 'command.Flags().IntVar(&args.Concurrency, "concurrency", 10, "number of jobs to simultaneously run")',
			by: 'command.Flags().IntVar(&args.Concurrency, "concurrency", 12, "number of jobs to simultaneously run")',
		},
	],
	minutes: 'two',
	without: 'npm run e2e -- --cyclonus does not run',
});
