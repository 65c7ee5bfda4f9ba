/** The result of a scan of JSON text. */
export interface Scan {
	/** The syntax error in the wording of Go's parser; `undefined` if the text is valid. */
	readonly problem: string | undefined;
	/** Paths of duplicate members, such as `spec.ports[0].name`, in order of appearance. */
	readonly duplicates: readonly string[];
}

/** The limit of Go's parser, which protects against hostile input. */
export const mostDepth = 10_000;

class Problem extends Error {}

/** Scans a text without building values and without recursion. Pure. */
export function scanJson(text: string): Scan {
	const duplicates = new Set<string>();
	try {
		new Scanner(text, duplicates).run();
		return { problem: undefined, duplicates: [...duplicates] };
	} catch (error) {
		if (!(error instanceof Problem)) throw error;
		return { problem: error.message, duplicates: [...duplicates] };
	}
}

interface Frame {
	/** The names seen so far; `undefined` for an array. */
	readonly names: Set<string> | undefined;
	/** The present member name or array index. */
	step: string;
	count: number;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: not allowed in a string.
const plain = /[^"\\\u0000-\u001f]*/y;
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literals: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' };

class Scanner {
	readonly #text: string;
	readonly #duplicates: Set<string>;
	readonly #stack: Frame[] = [];
	#at = 0;

	constructor(text: string, duplicates: Set<string>) {
		this.#text = text;
		this.#duplicates = duplicates;
	}

	run(): void {
		this.#value();
		while (this.#stack.length > 0) this.#next();
		if (this.#skip() !== '') throw this.#unexpected('after top-level value');
	}

	/** After a value inside an array or object: the next value, or the end. */
	#next(): void {
		const frame = this.#stack.at(-1);
		if (frame === undefined) return;
		const inObject = frame.names !== undefined;
		const sign = this.#skip();
		const close = inObject ? '}' : ']';
		if (frame.count > 0 && sign !== ',' && sign !== close)
			throw this.#unexpected(inObject ? 'after object key:value pair' : 'after array element');
		if (sign === close) {
			this.#at++;
			this.#stack.pop();
			return;
		}
		if (frame.count > 0) {
			this.#at++;
			this.#skip();
		}
		if (inObject) this.#name(frame, frame.names);
		else frame.step = `[${frame.count}]`;
		frame.count++;
		this.#value();
	}

	#name(frame: Frame, names: Set<string>): void {
		if (this.#skip() !== '"') throw this.#unexpected('looking for beginning of object key string');
		const start = this.#at;
		this.#string();
		const token = this.#text.slice(start, this.#at);
		const name = token.includes('\\') ? String(JSON.parse(token)) : token.slice(1, -1);
		frame.step = name;
		if (names.has(name)) this.#duplicates.add(this.#path());
		names.add(name);
		if (this.#skip() !== ':') throw this.#unexpected('after object key');
		this.#at++;
	}

	#value(): void {
		const sign = this.#skip();
		const literal = literals[sign];
		if (sign === '{' || sign === '[') {
			if (this.#stack.length === mostDepth) throw new Problem(`invalid character '${sign}' exceeded max depth`);
			this.#stack.push({ names: sign === '{' ? new Set() : undefined, step: '', count: 0 });
			this.#at++;
		} else if (sign === '"') this.#string();
		else if (literal !== undefined) this.#literal(literal);
		else if (sign === '-' || (sign >= '0' && sign <= '9')) this.#number();
		else throw this.#unexpected('looking for beginning of value');
	}

	#string(): void {
		this.#at++;
		for (;;) {
			plain.lastIndex = this.#at;
			this.#at += plain.exec(this.#text)?.[0].length ?? 0;
			const sign = this.#text[this.#at];
			if (sign === '"') break;
			if (sign !== '\\') throw this.#unexpected('in string literal');
			const escaped = this.#text[++this.#at] ?? '';
			if (escaped === 'u') {
				for (let digit = 0; digit < 4; digit++)
					if (!/[0-9a-fA-F]/.test(this.#text[++this.#at] ?? ''))
						throw this.#unexpected('in \\u hexadecimal character escape');
			} else if (escaped === '' || !'"\\/bfnrt'.includes(escaped)) throw this.#unexpected('in string escape code');
			this.#at++;
		}
		this.#at++;
	}

	#literal(word: string): void {
		for (const letter of word) {
			if (this.#text[this.#at] !== letter) throw this.#unexpected(`in literal ${word} (expecting '${letter}')`);
			this.#at++;
		}
	}

	#number(): void {
		numberToken.lastIndex = this.#at;
		const token = numberToken.exec(this.#text)?.[0];
		if (token === undefined) {
			this.#at++;
			throw this.#unexpected('in numeric literal');
		}
		this.#at += token.length;
	}

	#skip(): string {
		while (' \t\n\r'.includes(this.#text[this.#at] ?? 'x')) this.#at++;
		return this.#text[this.#at] ?? '';
	}

	#unexpected(where: string): Problem {
		const sign = this.#text[this.#at];
		if (sign === undefined) return new Problem('unexpected end of JSON input');
		return new Problem(
			'invalid character ' +
				`${sign === "'" ? String.raw`'\''` : sign === '"' ? `'"'` : `'${JSON.stringify(sign).slice(1, -1)}'`} ` +
				`${where}`,
		);
	}

	#path(): string {
		return this.#stack.map(({ step }, index) => (index === 0 || step.startsWith('[') ? step : `.${step}`)).join('');
	}
}
