import type { JsonObject } from '../../json/index.ts';
import { keyProblem, labelValueProblem } from '../resources/index.ts';
import { badRequest } from './status.ts';

type Test = (labels: JsonObject) => boolean;

/** Splits a selector into names, values and signs; `''` is the end. */
function tokensOf(text: string): string[] {
	return [...(text.match(/[=!<>]=?|[(),]|[^\s=!<>(),]+/g) ?? []), ''];
}

const signs = new Set(['', '=', '==', '!=', '!', '>', '<', '>=', '<=', '(', ')', ',']);
const operators = 'in, notin, =, ==, !=, gt, lt';

/** Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1` as Kubernetes does. */
class Parser {
	readonly #tokens: string[];
	#at = 0;

	constructor(text: string) {
		this.#tokens = tokensOf(text);
	}

	run(): Test[] {
		const tests: Test[] = [];
		if (this.#peek() === '') return tests;
		if (this.#peek() !== '!' && signs.has(this.#peek()))
			throw badRequest(`found '${this.#peek()}', expected: !, identifier, or 'end of string'`);
		for (;;) {
			tests.push(this.#requirement());
			const next = this.#take();
			if (next === '') return tests;
			if (next !== ',') throw badRequest(`found '${next}', expected: ',' or 'end of string'`);
			if (this.#peek() !== '!' && signs.has(this.#peek()))
				throw badRequest(`found '${this.#peek()}', expected: identifier after ','`);
		}
	}

	#requirement(): Test {
		const absent = this.#peek() === '!';
		if (absent) this.#take();
		const key = this.#identifier();
		const problem = keyProblem(key);
		if (problem !== undefined) throw refusal(`<nil>: Invalid value: ${JSON.stringify(key)}: ${problem}`);
		if (absent) return (labels) => !Object.hasOwn(labels, key);
		if (this.#peek() === '' || this.#peek() === ',') return (labels) => Object.hasOwn(labels, key);
		const operator = this.#take();
		switch (operator) {
			case 'in':
			case 'notin': {
				const values = new Set(this.#values().map((value) => checked(key, value)));
				if (operator === 'in') return (labels) => values.has(String(labels[key] ?? '\0'));
				return (labels) => !values.has(String(labels[key] ?? '\0'));
			}
			case '=':
			case '==':
			case '!=':
			case '>':
			case '<': {
				const value = checked(key, this.#value());
				if (operator === '!=') return (labels) => labels[key] !== value;
				if (operator === '=' || operator === '==') return (labels) => labels[key] === value;
				if (!/^[+-]?\d+$/.test(value))
					throw refusal(
						`values[0]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value ` +
							'must be an integer',
					);
				const larger = operator === '>';
				return (labels) =>
					labels[key] !== undefined &&
					(larger ? Number(labels[key]) > Number(value) : Number(labels[key]) < Number(value));
			}
			default:
				throw refusal(`found '${operator}', expected: ${operators}`);
		}
	}

	#values(): string[] {
		if (this.#peek() !== '(') throw refusal(`found '${this.#peek()}' expected: '('`);
		this.#take();
		const values: string[] = [];
		let end = "')'";
		if (this.#peek() === ')') values.push('');
		else if (this.#peek() !== ',' && signs.has(this.#peek()))
			throw refusal(`found '${this.#peek()}', expected: ',', ')' or identifier`);
		else {
			// Inside a list: a comma or a parenthesis follows.
			end = "',' or ')'";
			do values.push(this.#peek() === ',' || this.#peek() === ')' ? '' : this.#identifier());
			while (this.#peek() === ',' && this.#take() === ',');
		}
		if (this.#peek() !== ')') throw refusal(`found '${this.#peek()}', expected: ${end}`);
		this.#take();
		return values;
	}

	#value(): string {
		return this.#peek() === '' || this.#peek() === ',' ? '' : this.#identifier();
	}

	#identifier(): string {
		const token = this.#take();
		if (signs.has(token)) throw refusal(`found '${token}', expected: identifier`);
		return token;
	}

	#peek(): string {
		return this.#tokens[this.#at] ?? '';
	}

	#take(): string {
		return this.#tokens[this.#at++] ?? '';
	}
}

const refusal = (why: string) => badRequest(`unable to parse requirement: ${why}`);

function checked(key: string, value: string): string {
	const problem = labelValueProblem(value);
	if (problem !== undefined) throw refusal(`values[0][${key}]: Invalid value: ${JSON.stringify(value)}: ${problem}`);
	return value;
}

/**
 * The requirements of a selector, all of which must hold; empty for an empty text. @throws ApiError
 * 400
 */
export const labelTests = (text: string): readonly Test[] => new Parser(text).run();
