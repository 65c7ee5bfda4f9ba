import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Attributes, bpf, Command, pathBytes } from './call.ts';
import { BpfMap, type MapDefinition } from './map.ts';

/** Magic number of bpffs, `linux/magic.h`. */
const bpffsMagic = 0xcafe4a11;

/** The directory for pins does not lie in a BPF file system. */
export class NoBpffsError extends Error {
	override readonly name = 'NoBpffsError';

	constructor(path: string) {
		super(`${path} is not in a BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf`);
	}
}

/**
 * Pins of maps and links in bpffs, in a directory named by the version of their layout:
 * `ROOT/v1/sets`. A version opens the pins of its own layout and leaves those of others alone until
 * it is asked to remove them.
 */
export class Pins {
	/** Of the layout. */
	readonly version: number;
	readonly #root: string;
	readonly #directory: string;

	/** @throws NoBpffsError, errors of the file system */
	constructor(root: string, layoutVersion: number) {
		let existing = root;
		while (!existsSync(existing)) existing = dirname(existing);
		if (statfsSync(existing).type !== bpffsMagic) throw new NoBpffsError(root);
		this.version = layoutVersion;
		this.#root = root;
		this.#directory = join(root, `v${layoutVersion}`);
		mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
	}

	/** The directories of all layouts below a root; none without a root. Nothing is made. */
	static existing(root: string): readonly Pins[] {
		if (!existsSync(root)) return [];
		return readdirSync(root).flatMap((name) => {
			const [, version] = /^v(\d+)$/.exec(name) ?? [];
			return version === undefined ? [] : [new Pins(root, Number(version))];
		});
	}

	path(name: string): string {
		return join(this.#directory, name);
	}

	/** The pinned map, or a new one that is pinned. @throws MapMismatchError, SystemCallError */
	map(definition: MapDefinition): { readonly map: BpfMap; readonly created: boolean } {
		const path = this.path(definition.name);
		const pinned = BpfMap.openPinned(definition, path);
		if (pinned !== undefined) return { map: pinned, created: false };
		const map = BpfMap.create(definition);
		try {
			this.pin(definition.name, map.fd);
		} catch (error) {
			map.close();
			throw error;
		}
		return { map, created: true };
	}

	/** @throws SystemCallError (EEXIST) */
	pin(name: string, fd: number): void {
		bpf(`pin ${name}`, Command.pin, new Attributes().pointer(0, pathBytes(this.path(name))).u32(8, fd), 16);
	}

	names(): readonly string[] {
		return readdirSync(this.#directory).sort();
	}

	/** Versions of layouts that have pins, this one included. */
	versions(): readonly number[] {
		return readdirSync(this.#root)
			.flatMap((name) => (/^v\d+$/.test(name) ? [Number(name.slice(1))] : []))
			.sort((left, right) => left - right);
	}

	/** Removes one pin; what it held lives on while something else refers to it. */
	remove(name: string): void {
		rmSync(this.path(name), { force: true });
	}

	/**
	 * Removes the pins of this layout with these names, all by default. Directories go with the last
	 * pin, the root if no other layout is in it.
	 */
	removeAll(isIncluded: (name: string) => boolean = () => true): void {
		for (const name of this.names().filter(isIncluded)) this.remove(name);
		if (this.names().length > 0) return;
		rmdirSync(this.#directory);
		if (readdirSync(this.#root).length > 0) return;
		try {
			rmdirSync(this.#root);
		} catch (error) {
			// The root was made for this user, in a directory that is not its own.
			if (!(error instanceof Error && 'code' in error && error.code === 'EACCES')) throw error;
		}
	}

	/** Removes the pins of a version of the layout, and its directory. */
	removeVersion(version: number): void {
		rmSync(join(this.#root, `v${version}`), { recursive: true, force: true });
	}
}
