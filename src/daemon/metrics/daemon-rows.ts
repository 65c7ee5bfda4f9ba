import { blocks } from '../../health/index.ts';
import { type MetricRow, one } from './row.ts';

/** Metrics of the process, its configuration and its problems. */
export const daemonRows: readonly MetricRow[] = [
	{
		name: 'bgpmesh_info',
		kind: 'gauge',
		help: 'Always 1; the version is a label.',
		labels: ['version'],
		samples: ({ version }) => [[{ version }, 1]],
	},
	{
		name: 'bgpmesh_event_loop_longest_block_seconds',
		kind: 'gauge',
		help: 'Longest time in which the event loop did not turn, since the daemon was ready.',
		labels: [],
		samples: ({ eventLoop }) => one(eventLoop.longestSeconds()),
	},
	{
		name: 'bgpmesh_event_loop_recent_block_seconds',
		kind: 'gauge',
		help: 'Longest time in which the event loop did not turn, in the last minute.',
		labels: [],
		samples: ({ eventLoop }) => one(eventLoop.recentSeconds()),
	},
	{
		name: 'bgpmesh_caught_exceptions_total',
		kind: 'counter',
		help:
			'Unexpected exceptions that ended one request, connection or event, by the entry where they ' +
			'were caught. Each is a fault of the daemon.',
		labels: ['entry'],
		samples: ({ boundary }) => [...boundary.caught].map(([entry, number]) => [{ entry }, number]),
	},
	{
		name: 'bgpmesh_monitors',
		kind: 'gauge',
		help: 'Connected monitors (`bgpmesh monitor`).',
		labels: [],
		samples: ({ monitors }) => one(monitors().readers),
	},
	{
		name: 'bgpmesh_monitor_dropped_events_total',
		kind: 'counter',
		help: 'Events that monitors missed because they did not read in time.',
		labels: [],
		samples: ({ monitors }) => one(monitors().dropped),
	},
	{
		name: 'bgpmesh_problems',
		kind: 'gauge',
		help:
			'Problems that hold now by identifier (docs/reference/health.md); none while the node works ' +
			'as it is configured.',
		labels: ['id', 'severity'],
		samples: async ({ problems }) => {
			const numbers = new Map<string, { readonly severity: string; number: number }>();
			for (const { id, severity } of (await problems()) ?? []) {
				const known = numbers.get(id);
				if (known === undefined) numbers.set(id, { severity, number: 1 });
				else known.number++;
			}
			return [...numbers].map(([id, { severity, number }]) => [{ id, severity }, number]);
		},
	},
	{
		name: 'bgpmesh_ready',
		kind: 'gauge',
		help: '1 while no problem blocks readiness: the answer of /readyz.',
		labels: [],
		samples: async ({ problems }) => {
			const found = await problems();
			return one(found !== undefined && blocks('ready', found).length === 0 ? 1 : 0);
		},
	},
	{
		name: 'bgpmesh_config_reloads_total',
		kind: 'counter',
		help: 'Reloads of the configuration by their outcome.',
		labels: ['outcome'],
		samples: ({ reloads }) => {
			const { done, refused } = reloads();
			return [
				[{ outcome: 'done' }, done],
				[{ outcome: 'refused' }, refused],
			];
		},
	},
];
