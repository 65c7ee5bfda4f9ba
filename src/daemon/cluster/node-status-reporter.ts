import type { Clock, Logger, Timer } from '../../core/index.ts';
import {
	type ApiClient,
	ApiError,
	type Informer,
	type JsonObject,
	type NodeStatusRequest,
	type ResourceKind,
	toNodeStatusRequest,
} from '../../kubernetes/index.ts';
import { type NodeStatusSources, nodeStatus } from './node-status.ts';

export interface NodeStatusReporterOptions {
	readonly node: string;
	readonly client: ApiClient;
	readonly kind: ResourceKind;
	/** All CalicoNodeStatus resources, without their status. */
	readonly requests: Informer;
	readonly clock: Clock;
	readonly log: Logger;
}

/** After a failure, where nothing else is due before. */
const retrySeconds = 30;

/** Writes the status of each CalicoNodeStatus that asks about this node, every so often. */
export class NodeStatusReporter {
	readonly #options: NodeStatusReporterOptions;
	#sources: (() => NodeStatusSources) | undefined;
	readonly #due = new Map<string, { readonly request: NodeStatusRequest; timer: Timer | undefined }>();
	#complained = '';
	#writing: Promise<void> = Promise.resolve();
	#stopped = false;

	constructor(options: NodeStatusReporterOptions) {
		this.#options = options;
		options.requests.onChanges(() => this.#follow());
	}

	/** From now on there is something to tell. */
	start(sources: () => NodeStatusSources): void {
		this.#sources = sources;
		this.#follow();
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		for (const { timer } of this.#due.values()) timer?.cancel();
		await this.#writing;
	}

	/** Begins with requests that are new or ask something else, and forgets those that are gone. Our own writes of status change nothing here. */
	#follow(): void {
		if (this.#sources === undefined || this.#stopped) return;
		const wanted = [...this.#options.requests.items.values()].map(toNodeStatusRequest).filter(({ node }) => node === this.#options.node);
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
		const { client, kind, clock, log } = this.#options;
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
			if (reason !== this.#complained) log.warn('could not write the status of this node', { resource: request.name, reason });
			this.#complained = reason;
			if (nextSeconds === 0) nextSeconds = retrySeconds;
		}
		if (nextSeconds > 0 && !this.#stopped && this.#due.get(request.name) === entry) entry.timer = clock.after(nextSeconds * 1000, () => this.#enqueue(request));
	}
}

/** In the definition that older Calico ships (v3.28) the status is no subresource, but a part of the object like any other. */
async function writeStatus(client: ApiClient, kind: ResourceKind, name: string, status: JsonObject): Promise<void> {
	const write = (options: { readonly subresource?: 'status' }) => client.patch(kind, name, { status }, 'application/merge-patch+json', options);
	try {
		await write({ subresource: 'status' });
	} catch (error) {
		if (!(error instanceof ApiError && error.code === 404)) throw error;
		await write({});
	}
}
