import { readdir, readFile } from 'node:fs/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { descriptorLimit } from '../descriptors.ts';
import { type MetricRow, one } from './row.ts';

/** Bytes of a page of memory; 4096 on each architecture that Node.js has builds for. */
const pageBytes = 4096;

/** A gauge without labels. */
const gauge = (
	name: string,
	help: string,
	value: () => number | undefined | Promise<number | undefined>,
): MetricRow => ({
	name,
	kind: 'gauge',
	help,
	labels: [],
	samples: async () => one(await value()),
});

/** A counter of seconds without labels. */
const seconds = (name: string, help: string, value: () => number): MetricRow => ({
	name,
	kind: 'counter',
	help,
	labels: [],
	samples: () => one(value()),
});

const microsecond = 1e-6;

/**
 * Metrics of the process, named as by other exporters: `process_*` as the client libraries of
 * Prometheus specify, `nodejs_*` as for other programs on Node.js.
 */
export const processRows: readonly MetricRow[] = [
	seconds('process_cpu_seconds_total', 'Processor time.', () => {
		const { user, system } = process.cpuUsage();
		return (user + system) * microsecond;
	}),
	seconds(
		'process_cpu_user_seconds_total',
		'Processor time in the program.',
		() => process.cpuUsage().user * microsecond,
	),
	seconds(
		'process_cpu_system_seconds_total',
		'Processor time in the kernel.',
		() => process.cpuUsage().system * microsecond,
	),
	gauge('process_start_time_seconds', 'Start of the process, in seconds since 1970.', () =>
		Math.round(performance.timeOrigin / 1000),
	),
	gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
	gauge('process_virtual_memory_bytes', 'Virtual memory.', virtualBytes),
	gauge('process_open_fds', 'Open file descriptors.', openDescriptors),
	gauge('process_max_fds', 'Limit of open file descriptors.', descriptorLimit),
	{
		name: 'nodejs_version_info',
		kind: 'gauge',
		help: 'Always 1; the version of Node.js is a label.',
		labels: ['version'],
		samples: () => [[{ version: process.version }, 1]],
	},
	gauge('nodejs_heap_size_total_bytes', 'Heap of JavaScript.', () => process.memoryUsage().heapTotal),
	gauge('nodejs_heap_size_used_bytes', 'Used part of the heap.', () => process.memoryUsage().heapUsed),
	gauge(
		'nodejs_external_memory_bytes',
		'Buffers and other memory outside of the heap.',
		() => process.memoryUsage().external,
	),
	{
		name: 'nodejs_heap_space_size_used_bytes',
		kind: 'gauge',
		help: 'Used part of each space of the heap.',
		labels: ['space'],
		samples: () =>
			getHeapSpaceStatistics().map(({ space_name: name, space_used_size: used }) => [
				{ space: name.replace(/_space$/, '') },
				used,
			]),
	},
	{
		name: 'nodejs_active_resources',
		kind: 'gauge',
		help: 'Sockets, timers and other resources that are open, by type.',
		labels: ['type'],
		samples: () => {
			const numbers = new Map<string, number>();
			for (const type of process.getActiveResourcesInfo()) numbers.set(type, (numbers.get(type) ?? 0) + 1);
			return [...numbers].map(([type, number]) => [{ type }, number]);
		},
	},
];

async function virtualBytes(): Promise<number | undefined> {
	const text = await readFile('/proc/self/statm', 'latin1').catch(() => '');
	const pages = Number(text.split(' ')[0]);
	return pages > 0 ? pages * pageBytes : undefined;
}

async function openDescriptors(): Promise<number | undefined> {
	return (await readdir('/proc/self/fd').catch(() => undefined))?.length;
}
