import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock, Logger } from '../core/index.ts';
import {
	arrayAt,
	isObject,
	type JsonObject,
	type JsonValue,
	objectAt,
	parseJson,
	stringifyJson,
	textAt,
} from '../json/index.ts';
import type { ApiLayout } from '../kubernetes/index.ts';

/**
 * The last known state of the cluster: sufficient to continue after a restart while the API server
 * is away.
 */
export interface LastKnown {
	readonly layout: ApiLayout;
	/** Objects by the name of their copy. */
	readonly objects: Readonly<Record<string, readonly JsonObject[]>>;
}

/** Minimum interval between writes, in milliseconds. */
const writeAfterMs = 2000;
const version = 1;

/** The file of a node; `undefined`: no folder is configured. Several nodes may share a folder. */
export function lastKnownFile(folder: string | undefined, node: string): string | undefined {
	return folder === undefined ? undefined : join(folder, `last-known-${node}.json`);
}

/**
 * Reads the file; `undefined`: it is absent, belongs to another node or server, or is unusable,
 * which is logged.
 */
export async function readLastKnown(
	file: string,
	node: string,
	server: string,
	log: Logger,
): Promise<LastKnown | undefined> {
	try {
		const value = parseJson(await readFile(file, 'utf8'));
		const layout = textAt(value, 'layout');
		if (textAt(value, 'node') !== node || textAt(value, 'server') !== server) {
			log.warn('the last known state is of another node or server: not used', {
				file,
				node: textAt(value, 'node'),
				server: textAt(value, 'server'),
			});
			return undefined;
		}
		if (
			objectAt(value)['version'] !== version ||
			(layout !== 'crd.projectcalico.org/v1' && layout !== 'projectcalico.org/v3')
		)
			throw new Error('written by another version');
		const objects = objectAt(value, 'objects');
		return {
			layout,
			objects: Object.fromEntries(Object.keys(objects).map((name) => [name, arrayAt(objects, name).filter(isObject)])),
		};
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
			log.warn('the last known state can not be used', {
				file,
				error: error instanceof Error ? error.message : String(error),
			});
		return undefined;
	}
}

/**
 * Writes a temporary file, syncs and renames it: a complete file always exists. Mode 0600, because
 * it contains session passwords.
 */
export async function writeLastKnown(
	file: string,
	node: string,
	server: string,
	{ layout, objects }: LastKnown,
): Promise<void> {
	await mkdir(dirname(file), { recursive: true });
	const beside = `${file}.new`;
	const handle = await open(beside, 'w', 0o600);
	try {
		await handle.writeFile(stringifyJson({ version, node, server, layout, objects }));
		await handle.sync();
	} finally {
		await handle.close();
	}
	await rename(beside, file);
}

/** Keeps only Secrets that sessions refer to: no other Secret is stored on disk. Pure. */
export function namedSecrets(secrets: readonly JsonObject[], from: readonly JsonObject[]): JsonObject[] {
	const names = new Set(from.flatMap((object) => secretNames(object['spec'])));
	return secrets.filter((secret) => names.has(textAt(secret, 'metadata', 'name') ?? ''));
}

function secretNames(value: JsonValue | undefined): string[] {
	if (!isObject(value)) return [];
	return Object.entries(value).flatMap(([key, member]) =>
		key === 'secretKeyRef' ? [textAt(member, 'name') ?? ''] : secretNames(member),
	);
}

/** Writes the known state shortly after a change; a persistent write failure is logged once. */
export class LastKnownWriter {
	readonly #write: () => Promise<void>;
	readonly #clock: Clock;
	readonly #log: Logger;
	#timer: { cancel(): void } | undefined;
	#writing: Promise<void> = Promise.resolve();
	#failed = false;

	constructor(write: () => Promise<void>, clock: Clock, log: Logger) {
		this.#write = write;
		this.#clock = clock;
		this.#log = log;
	}

	changed(): void {
		this.#timer ??= this.#clock.after(writeAfterMs, () => void this.#now());
	}

	/** Writes pending changes immediately. */
	async stop(): Promise<void> {
		if (this.#timer !== undefined) await this.#now();
		await this.#writing;
	}

	#now(): Promise<void> {
		this.#timer?.cancel();
		this.#timer = undefined;
		this.#writing = this.#writing.then(this.#write).then(
			() => {
				this.#failed = false;
			},
			(error: unknown) => {
				if (!this.#failed)
					this.#log.warn(
						'the last known state could not be written: a restart without the API server would wait for it',
						{ error: String(error) },
					);
				this.#failed = true;
			},
		);
		return this.#writing;
	}
}
