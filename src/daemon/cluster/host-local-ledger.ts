import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AddressError, canonicalAddress, type Logger } from '../../core/index.ts';
import { isObject, parseJson, stringifyJson, textAt } from '../../kubernetes/index.ts';
import type { AddressMode } from './state.ts';

/** Who has an address. */
export interface HostLocalOwner {
	readonly network: string;
	readonly containerId: string;
	readonly ifname: string;
	/** `namespace/name`, for people. */
	readonly pod?: string | undefined;
}

const beside = '.new';

/**
 * Which addresses of this node are given, one file for each: it is there, whole and synced, before anybody is told of the address, and
 * goes before the address is given again. So whatever happens in between, no address is given twice.
 */
export class HostLocalLedger {
	readonly #folder: string;
	/** `undefined`: a file that can't be read; its address is not given until somebody removes it. */
	readonly #owners = new Map<string, HostLocalOwner | undefined>();
	#number = 0;

	private constructor(folder: string) {
		this.#folder = folder;
	}

	/** Reads what earlier processes gave. @throws Error, where the folder can't be made or read */
	static async open(folder: string, log: Logger): Promise<HostLocalLedger> {
		await mkdir(folder, { recursive: true, mode: 0o700 });
		const ledger = new HostLocalLedger(folder);
		for (const name of await readdir(folder)) {
			// Whoever wrote it died before it counted.
			if (name.endsWith(beside)) await rm(join(folder, name), { force: true });
			else if (isAddress(name)) ledger.#owners.set(name, await readOwner(join(folder, name), log));
			else log.warn('a file in the folder of addresses is none of ours', { folder, name });
		}
		return ledger;
	}

	isTaken(address: string): boolean {
		return this.#owners.has(address);
	}

	/** The addresses of an attachment; without `ifname` those of all of its interfaces. */
	addressesOf({ network, containerId, ifname }: Omit<HostLocalOwner, 'ifname' | 'pod'> & { readonly ifname?: string }): readonly string[] {
		return [...this.#owners].flatMap(([address, owner]) =>
			owner?.network === network && owner.containerId === containerId && (ifname === undefined || owner.ifname === ifname) ? [address] : [],
		);
	}

	/** Everything that a network has given. */
	ownersOf(network: string): readonly (HostLocalOwner & { readonly address: string })[] {
		return [...this.#owners].flatMap(([address, owner]) => (owner?.network === network ? [{ ...owner, address }] : []));
	}

	/** Takes an address, durably. @throws Error, where it is taken, or the disk refuses: then it is free */
	async take(address: string, owner: HostLocalOwner): Promise<void> {
		if (this.#owners.has(address)) throw new Error(`${address} is taken`);
		// Before anything is awaited: who asks at the same time gets another.
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
			// Refuses where there is a file already, which a rename would replace.
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

	/** Gives an address back. One that nobody has is given back already. */
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
		const [network, containerId, ifname] = [textAt(value, 'network'), textAt(value, 'containerId'), textAt(value, 'ifname')];
		if (!isObject(value) || network === undefined || containerId === undefined || ifname === undefined) throw new Error('it does not say whose it is');
		return { network, containerId, ifname, pod: textAt(value, 'pod') };
	} catch (error) {
		log.error('an address of this node is not given: its file can not be read; remove it if nobody has the address', {
			file,
			error: error instanceof Error ? error.message : String(error),
		});
		return undefined;
	}
}

/** What this node has given by itself, where that is how it gives addresses. @throws Error, where there is no folder that outlives a restart */
export function openLedger(mode: AddressMode, folder: string | undefined, log: Logger): Promise<HostLocalLedger> | undefined {
	if (mode === 'blocks') return undefined;
	if (folder !== undefined) return HostLocalLedger.open(folder, log);
	throw new Error('ipam.mode host-local needs a folder that outlives a restart: set ipam.directory, or datastore.stateDirectory');
}
