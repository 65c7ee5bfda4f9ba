/** Longest lines in columns: of code, and of comments. A tab is two columns, as for the formatter. */
export const mostColumns = { code: 120, comment: 100 };

const widthOf = (line) => [...line].reduce((width, sign) => width + (sign === '\t' ? 2 : 1), 0);

/** A line of a comment: the formatter breaks neither comments nor strings. */
const isComment = (line) => /^\s*(\*|\/\*|\/\/)/.test(line);

/**
 * The lines of a source text that are too long, from 1, with their width in columns. Pure.
 * @param {string} text
 */
export function longLines(text) {
	return text.split('\n').flatMap((line, index) => {
		const width = widthOf(line);
		const most = isComment(line) ? mostColumns.comment : mostColumns.code;
		return width > most ? [{ line: index + 1, width, most }] : [];
	});
}
