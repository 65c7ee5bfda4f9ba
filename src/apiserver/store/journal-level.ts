import type { Journal, JournalContents, JournalEntry } from './journal.ts';

const revisionKey = 'revision';
const objectPrefix = 'object/';

/**
 * A folder that can not be opened: in use by another server, damaged, or an I/O error. `cause` is
 * the error of LevelDB.
 */
class JournalError extends Error {
	override readonly name = 'JournalError';
	/** `LEVEL_LOCKED`, `LEVEL_CORRUPTION`, or another code of LevelDB. */
	readonly code: string;

	constructor(folder: string, error: unknown) {
		const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
		const code = inner instanceof Error && 'code' in inner ? String(inner.code) : 'LEVEL_DATABASE_NOT_OPEN';
		const why =
			code === 'LEVEL_LOCKED'
				? 'another server is using it'
				: code === 'LEVEL_CORRUPTION'
					? 'it is damaged'
					: 'it cannot be opened';
		super(`${folder}: ${why}`, { cause: inner });
		this.code = code;
	}
}

/**
 * Opens a LevelDB folder: `object/COLLECTION NUL KEY` maps to the object's JSON; one entry has the
 * last revision. Every batch is synced: entries acknowledged by `append` survive `kill -9` and a
 * power failure. The folder is locked: one server at a time.
 */
export async function openLevelJournal(folder: string): Promise<Journal> {
	// A native library: loaded only if a folder is used.
	const { ClassicLevel } = await import('classic-level');
	const level = new ClassicLevel<string, string>(folder, {
		keyEncoding: 'utf8',
		valueEncoding: 'utf8',
		writeBufferSize: 16 << 20,
	});
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
				return text === undefined
					? { type: 'del' as const, key: name }
					: { type: 'put' as const, key: name, value: text };
			});
			await level.batch([...operations, { type: 'put', key: revisionKey, value: String(last.revision) }], {
				sync: true,
			});
		},
		close: () => level.close(),
	};
}
