import type { Clock, Logger } from '../core/index.ts';
import { type ApiClient, ApiError, type ApiLayout, detectLayout, NoCalicoResourcesError } from '../kubernetes/index.ts';
import { type LastKnown, lastKnownFile, readLastKnown } from './last-known.ts';
import { within } from './patience.ts';

export interface ConnectDependencies {
	readonly node: string;
	readonly client: ApiClient;
	/** Folder of the last known state; `undefined`: none. */
	readonly stateDirectory: string | undefined;
	readonly log: Logger;
	readonly clock: Clock;
}

export interface Connection {
	readonly layout: ApiLayout;
	/** Present if the API server does not respond and an earlier process stored its state. */
	readonly lastKnown: LastKnown | undefined;
}

const retryMs = 5000;
const patienceMs = 5000;

/**
 * Detects the layout of Calico's resources. While the API server is away it waits, with a log entry
 * per attempt, unless a last known state exists. The kernel's routes are kept meanwhile.
 */
export async function connect({ node, client, stateDirectory, log, clock }: ConnectDependencies): Promise<Connection> {
	const { server } = client;
	const file = lastKnownFile(stateDirectory, node);
	let known = file === undefined ? undefined : await readLastKnown(file, node, server, log);
	for (;;) {
		try {
			const detected = detectLayout(client);
			const layout = await (known === undefined ? detected : within(detected, patienceMs, clock));
			return { layout, lastKnown: undefined };
		} catch (error) {
			if (error instanceof NoCalicoResourcesError) known = undefined;
			const reason = error instanceof Error ? error.message : String(error);
			if (known !== undefined) {
				log.warn('API server away, starting with the last known state', { server, reason, file });
				return { layout: known.layout, lastKnown: known };
			}
			const isRefused = error instanceof ApiError && (error.code === 401 || error.code === 403);
			if (isRefused) log.error('the API server refuses this node, trying again', { server, code: error.code, reason });
			else log.warn('waiting for the API server', { server, reason });
			await new Promise<void>((resolve) => clock.after(retryMs, resolve));
		}
	}
}
