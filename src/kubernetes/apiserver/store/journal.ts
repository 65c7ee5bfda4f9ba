/** One change for the disk: `text` absent means the key is gone. */
export interface JournalEntry {
	readonly collection: string;
	readonly key: string;
	readonly revision: number;
	readonly text: string | undefined;
}

/** What was on disk, in no particular order. */
export interface JournalContents {
	/** The revision of the last write that became durable; 0 for an empty disk. */
	readonly revision: number;
	readonly entries: readonly JournalEntry[];
}

/** Where writes become durable. */
export interface Journal {
	load(): Promise<JournalContents>;
	/** Resolves when all entries are on the disk, together or not at all. */
	append(entries: readonly JournalEntry[]): Promise<void>;
	close(): Promise<void>;
}
