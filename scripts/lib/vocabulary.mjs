/**
 * Words that comments, messages and documents do not use (CONTRIBUTING.md, Language): indefinite
 * persons, and verbs of speech and will, which personify code. Each row has a replacement.
 */
export const unwanted = [
	{
		words: ['nobody', 'somebody', 'anybody', 'everybody', 'whoever', 'whomever', 'whosever'],
		instead: 'name the actor: the peer, the kernel, another program',
	},
	{ words: ['whatever'], instead: 'name the thing: any value, each route' },
	{
		words: ['told', 'tells', 'said', 'says', 'wants', 'knows', 'thinks', 'hopes'],
		instead: 'what it does: reports, sends, requests, needs, has',
	},
	{ words: ['goodbye', 'hearsay', 'nasty'], instead: 'the term of the field: CEASE, last known state' },
];

const pattern = new RegExp(`\\b(${unwanted.flatMap(({ words }) => words).join('|')})\\b(?!:)`, 'gi');

/** The unwanted words of one piece of prose, in lower case, with the line of each. */
export function unwantedWords({ line, text }) {
	return [...text.matchAll(pattern)].map((match) => ({
		line: line + text.slice(0, match.index).split('\n').length - 1,
		word: match[1].toLowerCase(),
	}));
}

/** The replacement for a word. */
export const insteadOf = (word) => unwanted.find(({ words }) => words.includes(word))?.instead ?? '';
