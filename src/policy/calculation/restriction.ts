import type { Selector } from '../../selector/index.ts';
import { systemLabels } from '../model.ts';

/**
 * A condition that every label set matched by a selector fulfils: the label is present, and has one
 * of the values where these are given. It makes an index possible; it does not restrict what
 * matches beyond it.
 */
export interface Restriction {
	readonly label: string;
	readonly values?: ReadonlySet<string>;
}

/** The most useful restriction of a selector; `undefined`: none follows from it. */
export function restrictionOf(selector: Selector): Restriction | undefined {
	switch (selector.type) {
		case 'equals':
			return { label: selector.label, values: new Set([selector.value]) };
		case 'in':
			return { label: selector.label, values: new Set(selector.values) };
		case 'has':
		case 'contains':
		case 'starts-with':
		case 'ends-with':
			return { label: selector.label };
		case 'and':
			return selector.operands
				.map(restrictionOf)
				.filter((restriction) => restriction !== undefined)
				.reduce<Restriction | undefined>((best, other) => (cost(other) < cost(best) ? other : best), undefined);
		case 'or':
			return union(selector.operands.map(restrictionOf));
		case 'all':
		case 'global':
		case 'not':
		case 'not-equals':
		case 'not-in':
			return undefined;
		default:
			return selector satisfies never;
	}
}

/** How many label sets a restriction is expected to leave, as a rank. */
function cost(restriction: Restriction | undefined): number {
	if (restriction === undefined) return Number.POSITIVE_INFINITY;
	// Every pod has this label with the same value.
	if (restriction.label === systemLabels.orchestrator) return 1_000_000;
	if (restriction.values === undefined) return 10_000;
	// Classes are kept by namespace, so these also make a new selector cheap.
	const { label, values } = restriction;
	return (
		values.size - (label === systemLabels.namespace ? 0.5 : label.startsWith(systemLabels.namespacePrefix) ? 0.25 : 0)
	);
}

/** Alternatives restrict only if all of them restrict the same label. */
function union(restrictions: readonly (Restriction | undefined)[]): Restriction | undefined {
	const [first] = restrictions;
	if (first === undefined) return undefined;
	const values = new Set<string>();
	let open = false;
	for (const restriction of restrictions) {
		if (restriction?.label !== first.label) return undefined;
		if (restriction.values === undefined) open = true;
		else for (const value of restriction.values) values.add(value);
	}
	return open ? { label: first.label } : { label: first.label, values };
}
