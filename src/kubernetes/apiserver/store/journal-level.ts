import type { Journal, JournalContents, JournalEntry } from './journal.ts';

const revisionKey = 'revision';
const objectPrefix = 'object/';

/** A folder that cannot be opened: another server has it, it is damaged, or the disk says no. `cause` is what the store said. */
export class JournalError extends Error {
	override readonly name = 'JournalError';
	/** `LEVEL_LOCKED`, `LEVEL_CORRUPTION`, or another one of the store's. */
	readonly code: string;

	constructor(folder: string, error: unknown) {
		const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
		const code = inner instanceof Error && 'code' in inner ? String(inner.code) : 'LEVEL_DATABASE_NOT_OPEN';
		const why = code === 'LEVEL_LOCKED' ? 'another server is using it' : code === 'LEVEL_CORRUPTION' ? 'it is damaged' : 'it cannot be opened';
		super(`${folder}: ${why}`, { cause: inner });
		this.code = code;
	}
}

/**
 * A LevelDB folder: `object/COLLECTION NUL KEY` to the object's JSON, and the last revision. Every batch is synced, so what `append` has
 * acknowledged survives `kill -9` and loss of power. The folder is locked: one server at a time.
 */
export async function openLevelJournal(folder: string): Promise<Journal> {
	// A native library: only who asks for a folder loads it, or needs to have it.
	const { ClassicLevel } = await import('classic-level');
	const level = new ClassicLevel<string, string>(folder, { keyEncoding: 'utf8', valueEncoding: 'utf8', writeBufferSize: 16 << 20 });
	try {
		await level.open();
	} catch (error) {
		throw new JournalError(folder, error);
	}
	return {
		async load(): Promise<JournalContents> {
			const entries: JournalEntry[] = [];
			for await (const [key, text] of level.iterator({ gte: objectPrefix, lt: 'object0' })) {
				const [collection = '', name = ''] = key.slice(objectPrefix.length).split('\0');
				entries.push({ collection, key: name, revision: 0, text });
			}
			return { revision: Number((await level.get(revisionKey)) ?? 0), entries };
		},
		async append(entries) {
			const last = entries.at(-1);
			if (last === undefined) return;
			const operations = entries.map(({ collection, key, text }) => {
				const name = `${objectPrefix}${collection}\0${key}`;
				return text === undefined ? { type: 'del' as const, key: name } : { type: 'put' as const, key: name, value: text };
			});
			await level.batch([...operations, { type: 'put', key: revisionKey, value: String(last.revision) }], { sync: true });
		},
		close: () => level.close(),
	};
}
