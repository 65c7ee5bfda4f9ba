import { parseJson } from './codec.ts';
import type { JsonObject } from './types.ts';
import { isObject } from './value.ts';

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** Nesting depth of the list's own members, and of the members of its `items`. */
const members = 1;
const item = 2;

/**
 * Reads the objects of a Kubernetes list from text that arrives in pieces of any size. A list of
 * thousands of large objects is never complete in memory, and parsing is split into many short
 * steps. The text around the objects is kept and parsed at the end, with a number in the place of
 * each object, so that invalid JSON is still reported.
 */
export class ListReader {
	/** The text of the list without its objects. */
	#around = '';
	/** The text so far of an incomplete object. */
	#begun = '';
	#depth = 0;
	#isString = false;
	#isEscaped = false;
	/** The last string among the list's members: the name of the current member. */
	#name = '';
	#isItems = false;
	#isObject = false;

	/** Returns the objects that this piece completes. @throws JsonSyntaxError */
	push(text: string): JsonObject[] {
		const found: JsonObject[] = [];
		/** Start of the part of `text` that is not consumed yet. */
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

	/** Returns the list without its objects, after the last piece. @throws JsonSyntaxError */
	end(): JsonObject {
		const list = parseJson(this.#around + this.#begun);
		return isObject(list) ? list : {};
	}

	/** The end of the string that contains `at`, or the end of the piece. */
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
