/** An invalid regular expression; `position` counts characters from 0. */
export class RegularExpressionError extends Error {
	override readonly name = 'RegularExpressionError';
	readonly position: number;

	constructor(problem: string, position: number) {
		super(`${problem} at character ${position + 1}`);
		this.position = position;
	}
}

/**
 * Maximum number of compiled instructions: repetitions are expanded, so that this bounds the time
 * per character.
 */
const mostInstructions = 500;
const deepestNesting = 50;

type CharacterTest = (code: number) => boolean;
type Assertion = 'start' | 'end' | 'word-boundary' | 'no-word-boundary';

type Node =
	| { readonly type: 'character'; readonly has: CharacterTest }
	| { readonly type: 'assertion'; readonly assertion: Assertion }
	| { readonly type: 'sequence'; readonly parts: readonly Node[] }
	| { readonly type: 'alternatives'; readonly parts: readonly Node[] }
	| { readonly type: 'repeat'; readonly part: Node; readonly least: number; readonly most: number | undefined };

type Instruction =
	| { readonly type: 'character'; readonly has: CharacterTest }
	| { readonly type: 'assertion'; readonly assertion: Assertion }
	/** Continues at each of these. */
	| { readonly type: 'fork'; readonly targets: number[] }
	| { readonly type: 'match' };

/**
 * Compiles an expression in the syntax of JavaScript, without backreferences and lookaround, which
 * need backtracking. The result matches anywhere in a text, in time linear in the length of the
 * text: all alternatives are followed in parallel (Thompson's construction). @throws
 * RegularExpressionError
 */
export function compileRegularExpression(source: string): (text: string) => boolean {
	const program: Instruction[] = [];
	emit(new Parser(source).parse(), program);
	program.push({ type: 'match' });
	return (text) => matches(program, text);
}

/** The error in an expression; `undefined`: valid. */
export function regularExpressionProblem(source: string): string | undefined {
	try {
		compileRegularExpression(source);
		return undefined;
	} catch (error) {
		if (error instanceof RegularExpressionError) return error.message;
		throw error;
	}
}

const isDigit: CharacterTest = (code) => code >= 48 && code <= 57;
const isWord: CharacterTest = (code) =>
	isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
const isSpace: CharacterTest = (code) => /\s/.test(String.fromCharCode(code));
const isLineEnd: CharacterTest = (code) => code === 10 || code === 13 || code === 0x2028 || code === 0x2029;

const not =
	(test: CharacterTest): CharacterTest =>
	(code) =>
		!test(code);
const only =
	(wanted: number): CharacterTest =>
	(code) =>
		code === wanted;

const classes: Readonly<Record<string, CharacterTest>> = {
	d: isDigit,
	D: not(isDigit),
	w: isWord,
	W: not(isWord),
	s: isSpace,
	S: not(isSpace),
};
const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };

/** Recursive descent over the text of an expression. */
class Parser {
	readonly #source: string;
	#at = 0;
	#depth = 0;

	constructor(source: string) {
		this.#source = source;
	}

	parse(): Node {
		const node = this.#alternatives();
		// Only a closing parenthesis ends the alternatives early.
		if (this.#at < this.#source.length) throw this.#problem('unmatched )');
		return node;
	}

	#alternatives(): Node {
		const parts = [this.#sequence()];
		while (this.#take('|')) parts.push(this.#sequence());
		return parts.length === 1 ? (parts[0] ?? { type: 'sequence', parts: [] }) : { type: 'alternatives', parts };
	}

	#sequence(): Node {
		const parts: Node[] = [];
		for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek())
			parts.push(this.#repeated());
		return { type: 'sequence', parts };
	}

	#repeated(): Node {
		const start = this.#at;
		const part = this.#atom();
		const bounds = this.#quantifier();
		if (bounds === undefined) return part;
		if (part.type === 'assertion') throw this.#problem('nothing to repeat', start);
		// A lazy repetition matches the same texts.
		this.#take('?');
		return { type: 'repeat', part, ...bounds };
	}

	#quantifier(): { readonly least: number; readonly most: number | undefined } | undefined {
		if (this.#take('*')) return { least: 0, most: undefined };
		if (this.#take('+')) return { least: 1, most: undefined };
		if (this.#take('?')) return { least: 0, most: 1 };
		const braces = /^\{(\d+)(,(\d*))?\}/.exec(this.#source.slice(this.#at, this.#at + 32));
		if (braces === null) return undefined;
		const [text, from = '', comma, to = ''] = braces;
		const least = Number(from);
		const most = comma === undefined ? least : to === '' ? undefined : Number(to);
		if (most !== undefined && most < least) throw this.#problem('numbers out of order');
		this.#at += text.length;
		return { least, most };
	}

	#atom(): Node {
		const start = this.#at;
		const next = this.#source[this.#at++];
		switch (next) {
			case '(':
				return this.#group(start);
			case '[':
				return { type: 'character', has: this.#class(start) };
			case '.':
				return { type: 'character', has: not(isLineEnd) };
			case '^':
				return { type: 'assertion', assertion: 'start' };
			case '$':
				return { type: 'assertion', assertion: 'end' };
			case '\\':
				return this.#escape(start);
			case '*':
			case '+':
			case '?':
				throw this.#problem('nothing to repeat', start);
			default:
				this.#at = start;
				if (this.#quantifier() !== undefined) throw this.#problem('nothing to repeat', start);
				return { type: 'character', has: only(this.#source.charCodeAt(this.#at++)) };
		}
	}

	#group(start: number): Node {
		if (this.#take('?') && !this.#take(':'))
			throw this.#problem('lookaround and named groups are not available', start);
		if (++this.#depth > deepestNesting) throw this.#problem(`groups nested deeper than ${deepestNesting}`, start);
		const node = this.#alternatives();
		this.#depth--;
		if (!this.#take(')')) throw this.#problem('unmatched (', start);
		return node;
	}

	#escape(start: number): Node {
		if (this.#take('b')) return { type: 'assertion', assertion: 'word-boundary' };
		if (this.#take('B')) return { type: 'assertion', assertion: 'no-word-boundary' };
		return { type: 'character', has: this.#escaped(start) };
	}

	/** Parses an escape, inside or outside a class. */
	#escaped(start: number): CharacterTest {
		const letter = this.#source[this.#at++];
		if (letter === undefined) throw this.#problem('\\ at the end', start);
		const named = classes[letter];
		if (named !== undefined) return named;
		const control = controls[letter];
		if (control !== undefined) return only(control);
		const digits = letter === 'x' ? 2 : letter === 'u' ? 4 : 0;
		if (digits > 0) {
			const text = this.#source.slice(this.#at, this.#at + digits);
			if (text.length < digits || !/^[\da-f]+$/i.test(text))
				throw this.#problem(`\\${letter} without its digits`, start);
			this.#at += digits;
			return only(Number.parseInt(text, 16));
		}
		if (/[\da-z]/i.test(letter)) throw this.#problem(`\\${letter} is not available`, start);
		return only(letter.charCodeAt(0));
	}

	#class(start: number): CharacterTest {
		const negated = this.#take('^');
		const tests: CharacterTest[] = [];
		while (!this.#take(']')) {
			const [first, single] = this.#classMember(start);
			const rangeAt = this.#at;
			if (single === undefined || !this.#take('-') || this.#peek() === ']') {
				this.#at = rangeAt;
				tests.push(first);
				continue;
			}
			const [, last] = this.#classMember(start);
			if (last === undefined || last < single) throw this.#problem('range out of order', rangeAt);
			tests.push((code) => code >= single && code <= last);
		}
		const some: CharacterTest = (code) => tests.some((test) => test(code));
		return negated ? not(some) : some;
	}

	/** A test, and its character if it matches only one. */
	#classMember(start: number): readonly [CharacterTest, number | undefined] {
		const at = this.#at;
		const next = this.#source[this.#at++];
		if (next === undefined) throw this.#problem('unmatched [', start);
		if (next !== '\\') return [only(next.charCodeAt(0)), next.charCodeAt(0)];
		if (this.#take('b')) return [only(8), 8];
		const letter = this.#peek() ?? '';
		const test = this.#escaped(at);
		if (classes[letter] !== undefined) return [test, undefined];
		const text = this.#source.slice(at + 2, this.#at);
		const code = controls[letter] ?? (text === '' ? letter.charCodeAt(0) : Number.parseInt(text, 16));
		return [test, code];
	}

	#peek(): string | undefined {
		return this.#source[this.#at];
	}

	#take(character: string): boolean {
		if (this.#source[this.#at] !== character) return false;
		this.#at++;
		return true;
	}

	#problem(problem: string, at = this.#at): RegularExpressionError {
		return new RegularExpressionError(problem, at);
	}
}

/**
 * Appends the instructions of a node; the last one continues behind them. @throws
 * RegularExpressionError
 */
function emit(node: Node, program: Instruction[]): void {
	if (program.length >= mostInstructions)
		throw new RegularExpressionError(`more than ${mostInstructions} steps with repetitions written out`, 0);
	switch (node.type) {
		case 'character':
		case 'assertion':
			program.push(node);
			return;
		case 'sequence':
			for (const part of node.parts) emit(part, program);
			return;
		case 'alternatives':
			emitAlternatives(node.parts, program);
			return;
		case 'repeat':
			emitRepeat(node, program);
			return;
		default:
			node satisfies never;
	}
}

function emitAlternatives(parts: readonly Node[], program: Instruction[]): void {
	const starts: number[] = [];
	program.push({ type: 'fork', targets: starts });
	const ends: number[][] = [];
	for (const part of parts) {
		starts.push(program.length);
		emit(part, program);
		const end: number[] = [];
		ends.push(end);
		program.push({ type: 'fork', targets: end });
	}
	for (const end of ends) end.push(program.length);
}

function emitRepeat({ part, least, most }: Extract<Node, { type: 'repeat' }>, program: Instruction[]): void {
	if (Math.max(least, most ?? 0) > mostInstructions)
		throw new RegularExpressionError(`a repetition of more than ${mostInstructions}`, 0);
	for (let count = 0; count < least; count++) emit(part, program);
	if (most === undefined) {
		const start = program.length;
		const targets = [start + 1];
		program.push({ type: 'fork', targets });
		emit(part, program);
		program.push({ type: 'fork', targets: [start] });
		targets.push(program.length);
		return;
	}
	const forks: number[][] = [];
	for (let count = least; count < most; count++) {
		const targets = [program.length + 1];
		forks.push(targets);
		program.push({ type: 'fork', targets });
		emit(part, program);
	}
	for (const targets of forks) targets.push(program.length);
}

/** Follows all alternatives in parallel, with a set of instructions per character. */
function matches(program: readonly Instruction[], text: string): boolean {
	/** The last position at which an instruction was reached, plus one. */
	const reachedAt = new Int32Array(program.length);
	let current: number[] = [];
	let next: number[] = [];
	/**
	 * Adds an instruction and all that are reachable from it without a character; `true`: the
	 * expression matches.
	 */
	const reach = (first: number, position: number, list: number[]): boolean => {
		const pending = [first];
		for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
			if (reachedAt[at] === position + 1) continue;
			reachedAt[at] = position + 1;
			const instruction = program[at];
			if (instruction?.type === 'match') return true;
			if (instruction?.type === 'character') list.push(at);
			else if (instruction?.type === 'fork') pending.push(...instruction.targets);
			else if (instruction?.type === 'assertion' && holds(instruction.assertion, text, position)) pending.push(at + 1);
		}
		return false;
	};
	for (let position = 0; ; position++) {
		// A match may begin anywhere.
		if (reach(0, position, current)) return true;
		if (position === text.length) return false;
		const code = text.charCodeAt(position);
		next.length = 0;
		for (const at of current) {
			const instruction = program[at];
			if (instruction?.type === 'character' && instruction.has(code) && reach(at + 1, position + 1, next)) return true;
		}
		[current, next] = [next, current];
	}
}

function holds(assertion: Assertion, text: string, position: number): boolean {
	switch (assertion) {
		case 'start':
			return position === 0;
		case 'end':
			return position === text.length;
		case 'word-boundary':
			return isWord(text.charCodeAt(position - 1)) !== isWord(text.charCodeAt(position));
		case 'no-word-boundary':
			return isWord(text.charCodeAt(position - 1)) === isWord(text.charCodeAt(position));
		default:
			return assertion satisfies never;
	}
}
