/** A selector as a tree. Calico `lib/selector`. */
export type Selector =
	| { readonly type: 'all' }
	/**
	 * Alone as the namespace selector of a policy's rule: what belongs to no namespace (the policy's
	 * conversion replaces it). Anywhere else it holds for everything, as in Calico.
	 */
	| { readonly type: 'global' }
	| { readonly type: 'has'; readonly label: string }
	| ValueComparison
	| SetComparison
	| { readonly type: 'not'; readonly operand: Selector }
	| { readonly type: 'and' | 'or'; readonly operands: readonly Selector[] };

/** A label against one value. */
export interface ValueComparison {
	readonly type: 'equals' | 'not-equals' | 'contains' | 'starts-with' | 'ends-with';
	readonly label: string;
	readonly value: string;
}

/** A label against several values. */
export interface SetComparison {
	readonly type: 'in' | 'not-in';
	readonly label: string;
	readonly values: readonly string[];
}

/** So many characters of a selector are quoted in an error. */
const mostShown = 200;

/** A selector that does not parse: where, and what was expected. */
export class SelectorError extends Error {
	override readonly name = 'SelectorError';
	readonly selector: string;
	/** Zero-based, in characters. */
	readonly position: number;

	constructor(selector: string, position: number, expected: string) {
		const shown = selector.length > mostShown ? `${selector.slice(0, mostShown)}…` : selector;
		super(`selector '${shown}', position ${position + 1}: expected ${expected}`);
		this.selector = selector;
		this.position = position;
	}
}

/** Calico's limit on a label's name. */
const mostLabelLength = 512;

/**
 * Limits of our own, far beyond what operators write. The parser and the evaluation recurse once
 * per level, so the depth bounds the stack; the length bounds the time of one evaluation, which is
 * repeated for each Node.
 */
export const mostSelectorDepth = 100;
const mostSelectorLength = 65_536;

/** Names of labels: letters, digits and `_.-/`, as Calico's tokenizer takes them. */
const labelPattern = /[a-zA-Z0-9_./-]+/y;

/**
 * Operators between a label and what follows it. Longer ones first; the words may be written with
 * or without their space.
 */
const wordOperators = [
	{ pattern: /not\s*in\b/y, type: 'not-in' },
	{ pattern: /in\b/y, type: 'in' },
	{ pattern: /contains\b/y, type: 'contains' },
	{ pattern: /starts\s*with\b/y, type: 'starts-with' },
	{ pattern: /ends\s*with\b/y, type: 'ends-with' },
	{ pattern: /==/y, type: 'equals' },
	{ pattern: /!=/y, type: 'not-equals' },
] as const;

/** Reads a selector; the empty one selects everything. @throws SelectorError */
export function parseSelector(text: string): Selector {
	return new Parser(text).parse();
}

/** Recursive descent over `or`, `and`, `not` and what is between them. */
class Parser {
	readonly #text: string;
	#position = 0;
	/** Open parentheses. */
	#depth = 0;

	constructor(text: string) {
		this.#text = text;
	}

	parse(): Selector {
		if (this.#text.length > mostSelectorLength) this.#fail(`at most ${mostSelectorLength} characters`);
		this.#skipSpace();
		if (this.#position === this.#text.length) return { type: 'all' };
		const selector = this.#or();
		if (this.#position < this.#text.length) this.#fail("'&&', '||' or the end");
		return selector;
	}

	#or(): Selector {
		return this.#chain('or', '||', () => this.#chain('and', '&&', () => this.#operand()));
	}

	#chain(type: 'and' | 'or', operator: string, next: () => Selector): Selector {
		const first = next();
		if (!this.#take(operator)) return first;
		const operands = [first];
		do operands.push(next());
		while (this.#take(operator));
		return { type, operands };
	}

	#operand(): Selector {
		let negated = false;
		while (this.#take('!')) negated = !negated;
		if (negated) return { type: 'not', operand: this.#bare() };
		return this.#bare();
	}

	/** Without `!` before it. */
	#bare(): Selector {
		if (this.#take('('))
			return this.#nested(() => {
				const inner = this.#or();
				this.#expect(')');
				return inner;
			});
		if (this.#match(/all\(\s*\)/y) !== undefined) return { type: 'all' };
		if (this.#match(/global\(\s*\)/y) !== undefined) return { type: 'global' };
		if (this.#match(/has\(/y) !== undefined) {
			const label = this.#label();
			this.#expect(')');
			return { type: 'has', label };
		}
		return this.#comparison(this.#label());
	}

	#nested(parse: () => Selector): Selector {
		if (++this.#depth > mostSelectorDepth) this.#fail(`at most ${mostSelectorDepth} levels of parentheses`);
		const selector = parse();
		this.#depth--;
		return selector;
	}

	#comparison(label: string): Selector {
		const operator = wordOperators.find(({ pattern }) => this.#match(pattern) !== undefined);
		if (operator === undefined)
			return this.#fail("'==', '!=', 'in', 'not in', 'contains', 'starts with' or 'ends with'");
		if (operator.type === 'in' || operator.type === 'not-in')
			return { type: operator.type, label, values: this.#set() };
		return { type: operator.type, label, value: this.#string() };
	}

	#set(): string[] {
		this.#expect('{');
		const values: string[] = [];
		while (!this.#take('}')) {
			values.push(this.#string());
			if (!this.#take(',') && this.#text[this.#position] !== '}') this.#fail("',' or '}'");
		}
		return values;
	}

	#label(): string {
		const label = this.#match(labelPattern);
		if (label === undefined || label.length > mostLabelLength)
			return this.#fail(`a label's name of at most ${mostLabelLength} characters`);
		return label;
	}

	/** Quoted either way, without escapes. */
	#string(): string {
		const quoted = this.#match(/"[^"]*"|'[^']*'/y);
		return quoted === undefined ? this.#fail('a quoted string') : quoted.slice(1, -1);
	}

	#take(token: string): boolean {
		if (!this.#text.startsWith(token, this.#position)) return false;
		this.#position += token.length;
		this.#skipSpace();
		return true;
	}

	#expect(token: string): void {
		if (!this.#take(token)) this.#fail(`'${token}'`);
	}

	#match(pattern: RegExp): string | undefined {
		pattern.lastIndex = this.#position;
		const found = pattern.exec(this.#text)?.[0];
		if (found === undefined) return undefined;
		this.#position += found.length;
		this.#skipSpace();
		return found;
	}

	/** Space and tab only. */
	#skipSpace(): void {
		while (this.#text[this.#position] === ' ' || this.#text[this.#position] === '\t') this.#position++;
	}

	#fail(expected: string): never {
		throw new SelectorError(this.#text, this.#position, expected);
	}
}
