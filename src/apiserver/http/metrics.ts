import type { Api, Request } from '../api/index.ts';
import { collectionOf } from '../resources/index.ts';

const verbOf: Readonly<Record<string, string>> = {
	GET: 'GET',
	HEAD: 'GET',
	POST: 'POST',
	PUT: 'PUT',
	PATCH: 'PATCH',
	DELETE: 'DELETE',
};

/** The metrics of `/metrics`, named as in kube-apiserver. */
export class RequestMetrics {
	readonly #finished = new Map<string, number>();

	/** Counts a request by its response code. */
	count({ method }: Pick<Request, 'method'>, code: number): void {
		const labels = `code="${code}",verb="${verbOf[method] ?? 'other'}"`;
		this.#finished.set(labels, (this.#finished.get(labels) ?? 0) + 1);
	}

	/** All metrics in the text format of Prometheus. */
	text({ store, registry }: Pick<Api, 'store' | 'registry'>): string {
		const resources = new Map(
			registry.types.map((type) => [
				collectionOf(type),
				type.group === '' ? type.plural : `${type.plural}.${type.group}`,
			]),
		);
		const objects = [...resources].map(
			([collection, name]) => `apiserver_storage_objects{resource="${name}"} ${count(store.scan(collection))}`,
		);
		const requests = [...this.#finished].map(([labels, total]) => `apiserver_request_total{${labels}} ${total}`);
		return [
			...family('apiserver_request_total', 'counter', 'Requests that were answered, by verb and HTTP code.', requests),
			...family('apiserver_storage_objects', 'gauge', 'Objects that are kept, by resource.', objects),
			...family('process_resident_memory_bytes', 'gauge', 'Memory in use.', [
				`process_resident_memory_bytes ${process.memoryUsage.rss()}`,
			]),
			...family('process_cpu_seconds_total', 'counter', 'Processor time.', [
				`process_cpu_seconds_total ${cpuSeconds()}`,
			]),
			'',
		].join('\n');
	}
}

const family = (name: string, kind: string, help: string, samples: readonly string[]): string[] => [
	`# HELP ${name} ${help}`,
	`# TYPE ${name} ${kind}`,
	...samples.toSorted(),
];

function cpuSeconds(): number {
	const { user, system } = process.cpuUsage();
	return (user + system) / 1e6;
}

function count(items: Iterable<unknown>): number {
	let total = 0;
	for (const _ of items) total++;
	return total;
}
