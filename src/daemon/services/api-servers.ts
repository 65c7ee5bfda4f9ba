import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../core/index.ts';
import type { ServerAddress } from '../../kubernetes/index.ts';
import type { EndpointSlice } from '../../services/index.ts';

/** The Service by which pods reach the API server. */
export const apiServerService = 'default/kubernetes';

const fileOf = (stateDirectory: string): string => join(stateDirectory, 'apiservers.json');

/** The addresses stored by an earlier process of this node; none without a file. */
export async function readApiServers(stateDirectory: string | undefined): Promise<readonly ServerAddress[]> {
	if (stateDirectory === undefined) return [];
	try {
		const value: unknown = JSON.parse(await readFile(fileOf(stateDirectory), 'utf8'));
		return Array.isArray(value) ? value.filter(isAddress) : [];
	} catch {
		// Absent or truncated: the address of the credentials is tried.
		return [];
	}
}

/** Stores the addresses for the next start. Never throws. */
export async function writeApiServers(
	stateDirectory: string | undefined,
	addresses: readonly ServerAddress[],
	log: Logger,
): Promise<void> {
	if (stateDirectory === undefined) return;
	try {
		await mkdir(stateDirectory, { recursive: true });
		const file = fileOf(stateDirectory);
		await writeFile(`${file}.new`, JSON.stringify(addresses));
		await rename(`${file}.new`, file);
	} catch (error) {
		log.warn('addresses of API servers not kept', { error: error instanceof Error ? error.message : String(error) });
	}
}

/**
 * The ready endpoints of the API server's own Service, at its HTTPS port, in a stable order. Pure.
 */
export function apiServersOf(slices: readonly EndpointSlice[]): ServerAddress[] {
	const addresses = slices.flatMap(({ ports, endpoints }) =>
		ports
			.filter(({ name, protocol }) => protocol === 'tcp' && (name === 'https' || ports.length === 1))
			.flatMap(({ port }) => endpoints.filter(({ ready }) => ready).map(({ address }) => ({ host: address, port }))),
	);
	return addresses.sort((left, right) =>
		left.host < right.host ? -1 : left.host > right.host ? 1 : left.port - right.port,
	);
}

const isAddress = (value: unknown): value is ServerAddress =>
	typeof value === 'object' &&
	value !== null &&
	'host' in value &&
	typeof value.host === 'string' &&
	'port' in value &&
	typeof value.port === 'number';
