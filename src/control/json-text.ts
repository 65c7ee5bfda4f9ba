/**
 * A list that is produced while it is sent. `undefined`: nothing was found in this step, the sender
 * may pause.
 */
export type Produced<R> = Iterable<R | undefined>;

/**
 * An answer whose list `L` may be produced while it is sent; values beside it may be getters, read
 * when their turn comes.
 */
export type Producing<A, L> = {
	readonly [K in keyof A]: K extends L ? (A[K] extends readonly (infer R)[] ? A[K] | Produced<R> : A[K]) : A[K];
};

/**
 * A value as JSON in pieces of at most one list element each; the elements of a list are taken one
 * by one, so that a list that is a generator is never held whole. The list of the key `lines` has
 * each element on a line of its own, so that a client can read it without reading the whole.
 * `undefined` is a place to pause.
 */
export function* jsonPieces(value: unknown, lines?: string): Generator<string | undefined, void, void> {
	if (!isPlain(value)) {
		yield JSON.stringify(value) ?? 'null';
		return;
	}
	if (Symbol.iterator in value) {
		yield* listPieces(value as Iterable<unknown>, false);
		return;
	}
	let separator = '{';
	for (const key of Object.keys(value)) {
		// One at a time: a getter behind a list is read when the list is through.
		const member = value[key];
		if (member === undefined) continue;
		yield `${separator}${JSON.stringify(key)}:`;
		separator = ',';
		if (isPlain(member) && Symbol.iterator in member) yield* listPieces(member as Iterable<unknown>, key === lines);
		else yield* jsonPieces(member);
	}
	yield separator === '{' ? '{}' : '}';
}

function* listPieces(list: Iterable<unknown>, asLines: boolean): Generator<string | undefined, void, void> {
	const lineEnd = asLines ? '\n' : '';
	yield `[${lineEnd}`;
	let separator = '';
	for (const item of list) {
		if (item === undefined) {
			yield undefined;
			continue;
		}
		yield `${separator}${JSON.stringify(item)}`;
		separator = `,${lineEnd}`;
	}
	yield `${lineEnd}]`;
}

/** Objects whose members `JSON.stringify` would take as they are. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null && !('toJSON' in value);
}

/** One step of reading an answer whose list has a line per element. */
export type ListedPart =
	| { readonly type: 'row'; readonly text: string }
	| { readonly type: 'rest'; readonly text: string };

/**
 * The lines of such an answer: the rows as they come, and at the end the same JSON with an empty
 * list. Lines without an end are kept until it comes.
 */
export class ListedReader {
	#head: string | undefined;
	#kept = '';

	*read(chunk: string): Generator<ListedPart> {
		const lines = chunk.split('\n');
		lines[0] = this.#kept + (lines[0] ?? '');
		this.#kept = lines.pop() ?? '';
		for (const line of lines) yield* this.#line(line);
	}

	*#line(line: string): Generator<ListedPart> {
		if (this.#head === undefined) {
			// Only a list in lines ends a line with its bracket; anything else is the whole answer.
			if (line.endsWith('[')) this.#head = line;
			else if (line !== '') yield { type: 'rest', text: line };
		} else if (line.startsWith(']')) yield { type: 'rest', text: `${this.#head}${line}` };
		else if (line !== '') yield { type: 'row', text: line.endsWith(',') ? line.slice(0, -1) : line };
	}
}
