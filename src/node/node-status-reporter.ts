import type { Clock, Logger, Timer } from '../core/index.ts';
import type { JsonObject } from '../json/index.ts';
import {
	type ApiClient,
	ApiError,
	type Informer,
	type NodeStatusRequest,
	type ResourceKind,
	toNodeStatusRequest,
} from '../kubernetes/index.ts';
import { type NodeStatusSources, nodeStatus } from './node-status.ts';

export interface NodeStatusReporterDependencies {
	readonly node: string;
	readonly client: ApiClient;
	readonly kind: ResourceKind;
	/** All CalicoNodeStatus resources, without their status. */
	readonly requests: Informer;
	readonly clock: Clock;
	readonly log: Logger;
}

/** Retry delay after a failure if no other report is due earlier, in seconds. */
const retrySeconds = 30;

/** Writes the status of each CalicoNodeStatus for this node, at its interval. */
export class NodeStatusReporter {
	readonly #dependencies: NodeStatusReporterDependencies;
	#sources: (() => NodeStatusSources) | undefined;
	readonly #due = new Map<string, { readonly request: NodeStatusRequest; timer: Timer | undefined }>();
	#complained = '';
	#writing: Promise<void> = Promise.resolve();
	#stopped = false;

	constructor(dependencies: NodeStatusReporterDependencies) {
		this.#dependencies = dependencies;
		dependencies.requests.onChanges(() => this.#follow());
	}

	/** Starts the reports with their sources. */
	start(sources: () => NodeStatusSources): void {
		this.#sources = sources;
		this.#follow();
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		for (const { timer } of this.#due.values()) timer?.cancel();
		await this.#writing;
	}

	/**
	 * Starts new or changed requests, and removes deleted ones. Our own writes of the status have
	 * no effect here.
	 */
	#follow(): void {
		if (this.#sources === undefined || this.#stopped) return;
		const wanted = [...this.#dependencies.requests.items.values()]
			.map(toNodeStatusRequest)
			.filter(({ node }) => node === this.#dependencies.node);
		const names = new Set(wanted.map(({ name }) => name));
		for (const [name, { timer }] of this.#due) {
			if (names.has(name)) continue;
			timer?.cancel();
			this.#due.delete(name);
		}
		for (const request of wanted) {
			const known = this.#due.get(request.name);
			if (known !== undefined && JSON.stringify(known.request) === JSON.stringify(request)) continue;
			known?.timer?.cancel();
			this.#due.set(request.name, { request, timer: undefined });
			this.#enqueue(request);
		}
	}

	/** One write at a time. */
	#enqueue(request: NodeStatusRequest): void {
		this.#writing = this.#writing.then(() => this.#write(request));
	}

	async #write(request: NodeStatusRequest): Promise<void> {
		const { client, kind, clock, log } = this.#dependencies;
		const entry = this.#due.get(request.name);
		const sources = this.#sources;
		if (entry?.request !== request || sources === undefined || this.#stopped) return;
		let nextSeconds = request.updatePeriodSeconds;
		try {
			const status = nodeStatus(request.classes, sources(), new Date(clock.wallMs()));
			await writeStatus(client, kind, request.name, status);
			this.#complained = '';
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			if (reason !== this.#complained)
				log.warn('could not write the status of this node', { resource: request.name, reason });
			this.#complained = reason;
			if (nextSeconds === 0) nextSeconds = retrySeconds;
		}
		if (nextSeconds > 0 && !this.#stopped && this.#due.get(request.name) === entry)
			entry.timer = clock.after(nextSeconds * 1000, () => this.#enqueue(request));
	}
}

/**
 * In the definition of older Calico (v3.28), status is no subresource but an ordinary part of the
 * object.
 */
async function writeStatus(client: ApiClient, kind: ResourceKind, name: string, status: JsonObject): Promise<void> {
	const write = (options: { readonly subresource?: 'status' }) =>
		client.patch(kind, name, { status }, 'application/merge-patch+json', options);
	try {
		await write({ subresource: 'status' });
	} catch (error) {
		if (!(error instanceof ApiError && error.code === 404)) throw error;
		await write({});
	}
}
