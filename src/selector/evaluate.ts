import { parseSelector, type Selector, SelectorError, type SetComparison, type ValueComparison } from './parse.ts';

export type Labels = Readonly<Record<string, string>>;

/**
 * Does a parsed selector hold? `!=` and `not in` hold for a label that is absent, every other
 * comparison does not.
 */
export function evaluate(selector: Selector, labels: Labels): boolean {
	switch (selector.type) {
		case 'all':
		case 'global':
			return true;
		case 'has':
			return Object.hasOwn(labels, selector.label);
		case 'not':
			return !evaluate(selector.operand, labels);
		case 'and':
			return selector.operands.every((operand) => evaluate(operand, labels));
		case 'or':
			return selector.operands.some((operand) => evaluate(operand, labels));
		default:
			return compare(selector, Object.hasOwn(labels, selector.label) ? labels[selector.label] : undefined);
	}
}

function compare(comparison: ValueComparison | SetComparison, value: string | undefined): boolean {
	switch (comparison.type) {
		case 'equals':
			return value === comparison.value;
		case 'not-equals':
			return value !== comparison.value;
		case 'contains':
			return value?.includes(comparison.value) ?? false;
		case 'starts-with':
			return value?.startsWith(comparison.value) ?? false;
		case 'ends-with':
			return value?.endsWith(comparison.value) ?? false;
		case 'in':
			return value !== undefined && comparison.values.includes(value);
		case 'not-in':
			return value === undefined || !comparison.values.includes(value);
		default:
			return comparison satisfies never;
	}
}

const parsedSelectors = new Map<string, Selector>();
/** Enough for every selector of a large cluster; an odd one is parsed again. */
const mostParsed = 10_000;

/** Parses once, evaluates. @throws SelectorError */
export function selectorMatches(text: string, labels: Labels): boolean {
	let selector = parsedSelectors.get(text);
	if (selector === undefined) {
		selector = parseSelector(text);
		if (parsedSelectors.size >= mostParsed) parsedSelectors.clear();
		parsedSelectors.set(text, selector);
	}
	return evaluate(selector, labels);
}

/** The same; `undefined` for a selector that does not parse. */
export function selectorMatchesIfReadable(text: string, labels: Labels): boolean | undefined {
	try {
		return selectorMatches(text, labels);
	} catch (error) {
		if (error instanceof SelectorError) return undefined;
		throw error;
	}
}
