/** One change for the disk; without `text` the key is deleted. */
export interface JournalEntry {
	readonly collection: string;
	readonly key: string;
	readonly revision: number;
	readonly text: string | undefined;
}

/** The contents of the disk, unordered. */
export interface JournalContents {
	/** The revision of the last durable write; 0 for an empty disk. */
	readonly revision: number;
	readonly entries: readonly JournalEntry[];
}

/** Makes writes durable. */
export interface Journal {
	load(): Promise<JournalContents>;
	/** Resolves when all entries are on disk, atomically. */
	append(entries: readonly JournalEntry[]): Promise<void>;
	close(): Promise<void>;
}
