/** Prose in source files: comments, strings, documents. Pure. */

const beforeRegex = /[(,=:[!&|?{};+\-*%~^<>\n]\s*$|\b(?:return|typeof|case|in|of)\s*$/;

/**
 * Comments and strings of TypeScript or JavaScript as `{ line, text }`; code between `${` and `}`
 * is scanned as code.
 */
function* proseOfCode(source) {
	let at = 0;
	let line = 1;
	/** Depths of braces at which a template continues. */
	const templates = [];
	let depth = 0;
	const upTo = (end) => {
		const text = source.slice(at, end);
		const found = { line, text };
		line += text.split('\n').length - 1;
		at = end;
		return found;
	};
	const closing = (quote, from) => {
		let index = from;
		while (index < source.length && source[index] !== quote && source[index] !== '\n')
			index += source[index] === '\\' ? 2 : 1;
		return Math.min(index + 1, source.length);
	};
	/** The end of a template's text: its closing backtick, or the beginning of code. */
	const templateEnd = (from) => {
		let index = from;
		while (index < source.length) {
			if (source[index] === '\\') index += 2;
			else if (source[index] === '`') return { end: index + 1, code: false };
			else if (source.startsWith('${', index)) return { end: index + 2, code: true };
			else index++;
		}
		return { end: source.length, code: false };
	};
	const regexEnd = (from) => {
		let index = from;
		let inClass = false;
		while (index < source.length && source[index] !== '\n') {
			if (source[index] === '\\') index++;
			else if (source[index] === '[') inClass = true;
			else if (source[index] === ']') inClass = false;
			else if (source[index] === '/' && !inClass) return index + 1;
			index++;
		}
		return index;
	};
	while (at < source.length) {
		const sign = source[at];
		if (source.startsWith('//', at)) {
			const end = source.indexOf('\n', at);
			yield upTo(end === -1 ? source.length : end);
		} else if (source.startsWith('/*', at)) {
			const end = source.indexOf('*/', at + 2);
			yield upTo(end === -1 ? source.length : end + 2);
		} else if (sign === "'" || sign === '"') yield upTo(closing(sign, at + 1));
		else if (sign === '`' || (sign === '}' && templates.at(-1) === depth)) {
			if (sign === '}') templates.pop();
			const { end, code } = templateEnd(at + 1);
			yield upTo(end);
			if (code) templates.push(depth);
		} else if (sign === '/' && beforeRegex.test(source.slice(Math.max(0, at - 20), at))) upTo(regexEnd(at + 1));
		else {
			if (sign === '{') depth++;
			if (sign === '}') depth--;
			upTo(at + 1);
		}
	}
}

/** Lines of a document, or comments that begin with `#`. */
function* proseOfLines(source, isProse) {
	for (const [index, text] of source.split('\n').entries()) if (isProse(text)) yield { line: index + 1, text };
}

/** The prose of a file, as `{ line, text }`; empty for files of other kinds. */
export function proseOf(file, source) {
	if (/\.(ts|mjs|js)$/.test(file)) return proseOfCode(source);
	if (/\.md$/.test(file)) return proseOfLines(source, () => true);
	if (/\.(service|conf|ya?ml)$|(^|\/)(Dockerfile|run)$/.test(file))
		return proseOfLines(source, (line) => /^\s*#/.test(line));
	return [];
}
