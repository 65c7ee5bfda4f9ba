import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CniAttachment, releaseSuffix, writeRelease } from '../control/index.ts';
import type { Clock, Logger, Timer } from '../core/index.ts';

/** Delay between two rounds, in milliseconds. */
const retryMs = 5000;
/**
 * Failures after which a round ends: while the API server is away every attempt fails, and each
 * may take its whole time-out.
 */
const mostFailures = 8;

export interface ReleaseQueueDependencies {
	/** One file per release; the plugin writes here, too, while no daemon runs. */
	readonly folder: string;
	/** Releases the addresses of a container. Rejects if a retry is needed. */
	readonly release: (attachment: CniAttachment) => Promise<unknown>;
	readonly clock: Clock;
	readonly log: Logger;
}

/**
 * Releases that failed when the container was deleted, on disk, so that they survive a restart and
 * a reboot. Container IDs are unique over time, so a late release does not affect another
 * container.
 */
export class ReleaseQueue {
	readonly #dependencies: ReleaseQueueDependencies;
	/** Failed attempts of each release, by file. */
	#failures = new Map<string, number>();
	#timer: Timer | undefined;
	#stopped = false;

	constructor(dependencies: ReleaseQueueDependencies) {
		this.#dependencies = dependencies;
	}

	/** Starts with the releases on disk, and checks the folder periodically. */
	start(): void {
		void this.#drain();
	}

	/** Queues a release. @throws errors of the file system */
	add(attachment: CniAttachment): void {
		const { folder, log } = this.#dependencies;
		writeRelease(folder, attachment);
		log.warn('addresses are released later: the API server does not answer', { container: attachment.containerId });
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
	}

	async #drain(): Promise<void> {
		const files = await releaseFiles(this.#dependencies.folder);
		const failuresOf = (file: string): number => this.#failures.get(file) ?? 0;
		this.#failures = new Map(files.map((file) => [file, failuresOf(file)]));
		let failed = 0;
		// Releases that failed come last, so that they delay no other.
		for (const file of files.sort((one, other) => failuresOf(one) - failuresOf(other))) {
			if (this.#stopped || failed === mostFailures) break;
			if (await this.#attempt(file)) continue;
			this.#failures.set(file, failuresOf(file) + 1);
			failed++;
		}
		if (!this.#stopped) this.#timer = this.#dependencies.clock.after(retryMs, () => void this.#drain());
	}

	/** `false`: the release failed and stays on disk. */
	async #attempt(file: string): Promise<boolean> {
		const { release, log } = this.#dependencies;
		try {
			const attachment = parseRelease(await readFile(file, 'utf8'));
			if (attachment === undefined) log.error('a queued release cannot be read and is passed over', { file });
			else await release(attachment);
			await rm(file, { force: true });
			this.#failures.delete(file);
			return true;
		} catch (error) {
			log.debug('a queued release waits', { file, error: error instanceof Error ? error.message : String(error) });
			return false;
		}
	}
}

/** The releases of a folder, in the order of their names. */
async function releaseFiles(folder: string): Promise<string[]> {
	try {
		return (await readdir(folder))
			.filter((name) => name.endsWith(releaseSuffix))
			.sort()
			.map((name) => join(folder, name));
	} catch {
		return [];
	}
}

/** Parses a file; `undefined`: it is no release. Pure. */
function parseRelease(text: string): CniAttachment | undefined {
	try {
		const value = JSON.parse(text) as Partial<CniAttachment> | null;
		if (typeof value?.network !== 'string' || typeof value.containerId !== 'string') return undefined;
		const { network, containerId, ifname = '', pod } = value;
		return { network, containerId, ifname, pod };
	} catch {
		return undefined;
	}
}
