/** A file or folder of the first root of a kernel. `mode`: with the type bits of stat(2). */
export interface ArchiveEntry {
	readonly path: string;
	readonly mode: number;
	readonly content?: Uint8Array;
}

export const folderEntry = (path: string): ArchiveEntry => ({ path, mode: 0o40755 });
export const fileEntry = (path: string, content: Uint8Array, mode = 0o100755): ArchiveEntry => ({
	path,
	mode,
	content,
});

const padded = (length: number) => Buffer.alloc((4 - (length % 4)) % 4);

/**
 * An archive in the format `newc` of cpio, which Linux unpacks as its first root
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Pure.
 */
export function archive(entries: readonly ArchiveEntry[]): Buffer {
	const parts = [...entries, { path: 'TRAILER!!!', mode: 0 }].flatMap(
		({ path, mode, content = new Uint8Array() }: ArchiveEntry, index) => {
			const name = Buffer.from(`${path}\0`);
			// Inode, mode, uid, gid, links, mtime, size, two device numbers of two parts, name, checksum.
			const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
			const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
			return [header, name, padded(header.length + name.length), content, padded(content.length)];
		},
	);
	return Buffer.concat(parts);
}
