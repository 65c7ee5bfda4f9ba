import { parseJson } from './codec.ts';
import type { JsonObject } from './types.ts';
import { isObject } from './value.ts';

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** Depth of the list's own members, and of its `items`. */
const members = 1;
const item = 2;

/**
 * The objects of a Kubernetes list while its text arrives, in pieces of any size: a list of thousands of large objects is never whole in memory, and
 * parsing it is many short steps. What is around them is kept and parsed at the end, a number in the place of each object, so that a text that is
 * no JSON is told as always.
 */
export class ListReader {
	/** All but the objects. */
	#around = '';
	/** Of the object that is not over yet. */
	#begun = '';
	#depth = 0;
	#isString = false;
	#isEscaped = false;
	/** The last string among the list's members: the name of the member that begins. */
	#name = '';
	#isItems = false;
	#isObject = false;

	/** The objects that this piece completes. @throws JsonSyntaxError */
	push(text: string): JsonObject[] {
		const found: JsonObject[] = [];
		/** From where `text` has not been handed on. */
		let from = 0;
		for (let at = 0; at < text.length; at++) {
			if (this.#isString) {
				at = this.#endOfString(text, at);
				continue;
			}
			const code = text.charCodeAt(at);
			if (code === quote) {
				this.#isString = true;
				if (this.#depth === members) this.#name = '';
			} else if (code === openBrace || code === openBracket) {
				if (this.#isItems && this.#depth === item && code === openBrace) {
					this.#around += text.slice(from, at);
					from = at;
					this.#isObject = true;
				} else if (this.#depth === members && code === openBracket && this.#name === 'items') this.#isItems = true;
				this.#depth++;
			} else if (code === closeBrace || code === closeBracket) {
				this.#depth--;
				if (this.#depth === members) this.#isItems = false;
				if (!this.#isObject || this.#depth !== item) continue;
				this.#isObject = false;
				const value = parseJson(this.#begun + text.slice(from, at + 1));
				if (isObject(value)) found.push(value);
				this.#begun = '';
				this.#around += '0';
				from = at + 1;
			}
		}
		if (this.#isObject) this.#begun += text.slice(from);
		else this.#around += text.slice(from);
		return found;
	}

	/** The list without its objects, once all text was there. @throws JsonSyntaxError */
	end(): JsonObject {
		const list = parseJson(this.#around + this.#begun);
		return isObject(list) ? list : {};
	}

	/** Where the string that `at` is in ends, or the piece does. */
	#endOfString(text: string, at: number): number {
		const start = at;
		while (at < text.length) {
			if (this.#isEscaped) this.#isEscaped = false;
			else {
				const code = text.charCodeAt(at);
				if (code === backslash) this.#isEscaped = true;
				else if (code === quote) {
					this.#isString = false;
					break;
				}
			}
			at++;
		}
		if (this.#depth === members) this.#name += text.slice(start, at);
		return at;
	}
}
