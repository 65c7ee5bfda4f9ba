import type { Selector } from './parse.ts';

/** How each comparison with one value is spelled. */
const operators = {
	equals: '==',
	'not-equals': '!=',
	contains: 'contains',
	'starts-with': 'starts with',
	'ends-with': 'ends with',
} as const;

/**
 * Calico's own rendering of a parsed selector: double quotes, values of sets sorted and unique,
 * parentheses around every `&&` and `||`. Selectors that differ in blanks, quotes or order of
 * values have the same text. It parses to the same tree.
 */
export function canonicalSelector(selector: Selector): string {
	switch (selector.type) {
		case 'all':
			return 'all()';
		case 'global':
			return 'global()';
		case 'has':
			return `has(${selector.label})`;
		case 'not':
			return `!${canonicalSelector(selector.operand)}`;
		case 'and':
			return `(${selector.operands.map(canonicalSelector).join(' && ')})`;
		case 'or':
			return `(${selector.operands.map(canonicalSelector).join(' || ')})`;
		case 'in':
		case 'not-in': {
			const values = [...new Set(selector.values)].sort().map(quote);
			return `${selector.label} ${selector.type === 'in' ? 'in' : 'not in'} {${values.join(', ')}}`;
		}
		default:
			return `${selector.label} ${operators[selector.type]} ${quote(selector.value)}`;
	}
}

/** A value contains at most one kind of quote: there are no escapes. */
const quote = (value: string): string => (value.includes('"') ? `'${value}'` : `"${value}"`);

/** The same selector with every label's key changed, e.g. prefixed. */
export function mapLabels(selector: Selector, rename: (label: string) => string): Selector {
	switch (selector.type) {
		case 'all':
		case 'global':
			return selector;
		case 'not':
			return { type: 'not', operand: mapLabels(selector.operand, rename) };
		case 'and':
		case 'or':
			return { type: selector.type, operands: selector.operands.map((operand) => mapLabels(operand, rename)) };
		default:
			return { ...selector, label: rename(selector.label) };
	}
}
