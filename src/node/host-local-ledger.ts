import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AddressError, canonicalAddress, type Logger } from '../core/index.ts';
import { isObject, parseJson, stringifyJson, textAt } from '../json/index.ts';
import type { AddressMode } from './state.ts';

/** The owner of an address. */
export interface HostLocalOwner {
	readonly network: string;
	readonly containerId: string;
	readonly ifname: string;
	/** `namespace/name`, for display. */
	readonly pod?: string | undefined;
}

const beside = '.new';

/**
 * Records the assigned addresses of this node, one file per address. The file is complete and
 * synced before the address is returned, and removed before the address is assigned again. Hence no
 * crash leads to a duplicate assignment.
 */
export class HostLocalLedger {
	readonly #folder: string;
	/** `undefined`: an unreadable file; its address is not assigned until the file is removed. */
	readonly #owners = new Map<string, HostLocalOwner | undefined>();
	#number = 0;

	private constructor(folder: string) {
		this.#folder = folder;
	}

	/**
	 * Reads the assignments of earlier processes. @throws Error if the folder can not be created or
	 * read
	 */
	static async open(folder: string, log: Logger): Promise<HostLocalLedger> {
		await mkdir(folder, { recursive: true, mode: 0o700 });
		const ledger = new HostLocalLedger(folder);
		for (const name of await readdir(folder)) {
			// A temporary file of a process that died before the assignment was complete.
			if (name.endsWith(beside)) await rm(join(folder, name), { force: true });
			else if (isAddress(name)) ledger.#owners.set(name, await readOwner(join(folder, name), log));
			else log.warn('a file in the folder of addresses is none of ours', { folder, name });
		}
		return ledger;
	}

	isTaken(address: string): boolean {
		return this.#owners.has(address);
	}

	/** The addresses of an attachment; without `ifname`, of all its interfaces. */
	addressesOf({
		network,
		containerId,
		ifname,
	}: Omit<HostLocalOwner, 'ifname' | 'pod'> & { readonly ifname?: string }): readonly string[] {
		return [...this.#owners].flatMap(([address, owner]) =>
			owner?.network === network &&
			owner.containerId === containerId &&
			(ifname === undefined || owner.ifname === ifname)
				? [address]
				: [],
		);
	}

	/** All assignments of a network. */
	ownersOf(network: string): readonly (HostLocalOwner & { readonly address: string })[] {
		return [...this.#owners].flatMap(([address, owner]) => (owner?.network === network ? [{ ...owner, address }] : []));
	}

	/**
	 * Assigns an address, durably. @throws Error if it is taken, or if the write fails: then it is
	 * free
	 */
	async take(address: string, owner: HostLocalOwner): Promise<void> {
		if (this.#owners.has(address)) throw new Error(`${address} is taken`);
		// Reserved before the first await: a concurrent request gets another address.
		this.#owners.set(address, owner);
		const file = join(this.#folder, address);
		const temporary = join(this.#folder, `${process.pid}-${this.#number++}${beside}`);
		try {
			const handle = await open(temporary, 'wx', 0o600);
			try {
				await handle.writeFile(stringifyJson({ ...owner, pod: owner.pod ?? null }));
				await handle.sync();
			} finally {
				await handle.close();
			}
			// Fails if the file exists; a rename would replace it.
			await link(temporary, file);
			await this.#syncFolder();
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
				await rm(file, { force: true }).catch(() => undefined);
				this.#owners.delete(address);
			} else this.#owners.set(address, undefined);
			throw error;
		} finally {
			await rm(temporary, { force: true }).catch(() => undefined);
		}
	}

	/** Releases an address; without effect if it is free. */
	async release(address: string): Promise<void> {
		if (!this.#owners.has(address)) return;
		await rm(join(this.#folder, address), { force: true });
		await this.#syncFolder();
		this.#owners.delete(address);
	}

	async #syncFolder(): Promise<void> {
		const handle = await open(this.#folder, 'r');
		try {
			await handle.sync();
		} finally {
			await handle.close();
		}
	}
}

function isAddress(name: string): boolean {
	try {
		return canonicalAddress(name) === name;
	} catch (error) {
		if (error instanceof AddressError) return false;
		throw error;
	}
}

async function readOwner(file: string, log: Logger): Promise<HostLocalOwner | undefined> {
	try {
		const value = parseJson(await readFile(file, 'utf8'));
		const [network, containerId, ifname] = [
			textAt(value, 'network'),
			textAt(value, 'containerId'),
			textAt(value, 'ifname'),
		];
		if (!isObject(value) || network === undefined || containerId === undefined || ifname === undefined)
			throw new Error('it does not say whose it is');
		return { network, containerId, ifname, pod: textAt(value, 'pod') };
	} catch (error) {
		log.error('an address of this node is not given: its file can not be read; remove it if no pod has the address', {
			file,
			error: error instanceof Error ? error.message : String(error),
		});
		return undefined;
	}
}

/**
 * Opens the ledger in `host-local` mode. @throws Error if there is no folder that survives a
 * restart
 */
export function openLedger(
	mode: AddressMode,
	folder: string | undefined,
	log: Logger,
): Promise<HostLocalLedger> | undefined {
	if (mode === 'blocks') return undefined;
	if (folder !== undefined) return HostLocalLedger.open(folder, log);
	throw new Error(
		'ipam.mode host-local needs a folder that outlives a restart: set ipam.directory, or datastore.stateDirectory',
	);
}
