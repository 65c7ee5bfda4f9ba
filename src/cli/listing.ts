import type { AnswerOf, ListedBy, ListingName, RequestOf } from '../control/index.ts';
import type { ListScreen } from './render/screen.ts';
import type { GlobalOptions, VerbDependencies } from './verb.ts';

/** A listing that was shown: the answer without its rows, and how many there were. */
export interface ShownListing<N extends ListingName> {
	readonly rest: AnswerOf<N>;
	readonly count: number;
}

/**
 * Shows a listing while it arrives, no faster than it is read; with `--json` as the daemon sends
 * it. @throws ControlError, NoDaemonError, CutOffError
 */
export async function showListing<N extends ListingName>(
	name: N,
	parameters: RequestOf<N>,
	screen: ListScreen<ListedBy<N>, AnswerOf<N>>,
	{ json }: Pick<GlobalOptions, 'json'>,
	{ daemon, write, signal }: Pick<VerbDependencies, 'daemon' | 'write' | 'signal'>,
): Promise<ShownListing<N>> {
	let count = 0;
	let rest: AnswerOf<N> | undefined;
	for await (const part of daemon.list(name, parameters, { signal, ...(json ? { tap: write } : {}) })) {
		if (part.type === 'row') count++;
		else rest = part.rest;
		if (json) continue;
		const text = part.type === 'row' ? screen.add(part.row) : screen.end(part.rest);
		if (text !== '') await write(text);
	}
	if (rest === undefined) throw new Error('the client ends a listing with its rest');
	return { rest, count };
}
