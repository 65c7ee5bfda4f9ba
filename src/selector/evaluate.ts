import { parseSelector, type Selector, SelectorError, type SetComparison, type ValueComparison } from './parse.ts';

export type Labels = Readonly<Record<string, string>>;

/** The value of a label; `undefined`: it is absent. */
export type LabelValue = (label: string) => string | undefined;

/**
 * Does a parsed selector hold? `!=` and `not in` hold for a label that is absent, every other
 * comparison does not.
 */
export const evaluate = (selector: Selector, labels: Labels): boolean =>
	evaluateBy(selector, (label) => (Object.hasOwn(labels, label) ? labels[label] : undefined));

/** The same for labels that are nowhere in one object. */
export function evaluateBy(selector: Selector, valueAt: LabelValue): boolean {
	switch (selector.type) {
		case 'all':
		case 'global':
			return true;
		case 'has':
			return valueAt(selector.label) !== undefined;
		case 'not':
			return !evaluateBy(selector.operand, valueAt);
		case 'and':
			for (const operand of selector.operands) if (!evaluateBy(operand, valueAt)) return false;
			return true;
		case 'or':
			for (const operand of selector.operands) if (evaluateBy(operand, valueAt)) return true;
			return false;
		default:
			return compare(selector, valueAt(selector.label));
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
