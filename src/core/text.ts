/** The first few names, and the number of the others: `a, b, c and 4 more`. */
export const aFew = (names: readonly string[], most: number): string =>
	`${names.slice(0, most).join(', ')}${names.length > most ? ` and ${names.length - most} more` : ''}`;

/**
 * The same text in one piece of memory. V8 keeps joined text as a tree of its parts, which takes
 * 32 bytes for each joint: worth it for text of ASCII that is kept by the hundred thousand.
 */
export const inOnePiece = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');
