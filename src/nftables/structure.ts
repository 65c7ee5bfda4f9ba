/**
 * Structure of a change as messages for the kernel instead of text. The library libnftables reads
 * the whole table at each call, which takes 20 ms with thousands of chains; this costs what
 * changes. What is not understood here goes by text. Pure.
 */
import type { SetField, StructureChange } from '../linux/index.ts';
import { ruleExpressions } from './rule-expressions.ts';
import { basePrefix, type ChainSpec, type SetSpec, type TableChange } from './table.ts';

/** Longer changes, as at a start, go by text: the library's time does not matter there. */
const mostRules = 2000;

const isBase = ({ name, hook }: ChainSpec): boolean => hook !== undefined || name.startsWith(basePrefix);

/** Counters, sets and chains that a change adds, base chains left out; `undefined`: by text. */
export function additions({ addCounters, addSets, addChains }: TableChange): readonly StructureChange[] | undefined {
	const chains = addChains.filter((chain) => !isBase(chain));
	if (chains.reduce((sum, { rules }) => sum + rules.length, 0) > mostRules) return undefined;
	const changes: StructureChange[] = [
		{ type: 'add-table' },
		...addCounters.map((name): StructureChange => ({ type: 'add-counter', name })),
	];
	for (const set of addSets) {
		const made = setChange(set);
		if (made === undefined) return undefined;
		changes.push(made);
	}
	// All chains first: a rule may jump to any of them. One that is there under the name may have
	// lost rules to others.
	for (const { name } of chains) changes.push({ type: 'add-chain', name }, { type: 'flush-chain', name });
	for (const { name, rules } of chains)
		for (const text of rules) {
			const expressions = ruleExpressions(text);
			if (expressions === undefined) return undefined;
			changes.push({ type: 'add-rule', chain: name, expressions });
		}
	return changes;
}

/** What nothing refers to any more. */
export const removals = (
	change: Pick<TableChange, 'removeChains' | 'removeSets' | 'removeCounters'>,
): readonly StructureChange[] => {
	const chains = change.removeChains.filter((chain) => !isBase(chain));
	return [
		...chains.map(({ name }): StructureChange => ({ type: 'flush-chain', name })),
		// Elements of maps refer to chains.
		...change.removeSets.map(({ name }): StructureChange => ({ type: 'remove-set', name })),
		...chains.map(({ name }): StructureChange => ({ type: 'remove-chain', name })),
		...change.removeCounters.map((name): StructureChange => ({ type: 'remove-counter', name })),
	];
};

const setFields: readonly string[] = [
	'ipv4_addr',
	'ipv6_addr',
	'inet_proto',
	'inet_service',
	'ifname',
] satisfies readonly SetField[];
const areFields = (names: readonly string[]): names is SetField[] => names.every((name) => setFields.includes(name));

/**
 * `type A . B; flags interval;`, `type A . B : verdict; …` or `: C . D;` of a map, and the forms
 * below. Intervals only of one field.
 */
function setChange(set: SetSpec): StructureChange | undefined {
	if (set.dynamic === true) return dynamicSet(set);
	if (set.declaration.startsWith('typeof ')) return drawnMap(set);
	const { name, kind, declaration } = set;
	const match = /^type ([a-z0-9_ .]+?)(?: : ([a-z0-9_ .]+?))?;( flags interval;)?$/.exec(declaration);
	const [, key = '', value, flags] = match ?? [];
	const fields = key.split(' . ');
	const interval = flags !== undefined;
	if (match === null || (interval && fields.length > 1) || !areFields(fields)) return undefined;
	if ((value !== undefined) !== (kind === 'map')) return undefined;
	const added = { type: 'add-set', name, fields, interval } as const;
	if (value === undefined) return added;
	if (value === 'verdict') return { ...added, verdicts: true };
	const values = value.split(' . ');
	return areFields(values) ? { ...added, values } : undefined;
}

/** `type A . B; flags dynamic,timeout; timeout 3h; size 1024;` */
function dynamicSet({ name, kind, declaration }: SetSpec): StructureChange | undefined {
	const match = /^type ([a-z0-9_ .]+); flags dynamic,timeout; timeout (\d+)h; size (\d+);$/.exec(declaration);
	const fields = (match?.[1] ?? '').split(' . ');
	if (match === null || kind !== 'set' || !areFields(fields)) return undefined;
	const dynamic = { timeoutMs: Number(match[2]) * 3_600_000, size: Number(match[3]) };
	return { type: 'add-set', name, fields, interval: false, dynamic };
}

const drawnDeclaration =
	/^typeof (?:(ip6?) daddr \. )?meta l4proto \. th dport \. numgen random mod (\d+) : (ip6?) daddr \. th dport;$/;

/** `typeof [ip daddr .] meta l4proto . th dport . numgen random mod 3 : ip daddr . th dport;` */
function drawnMap({ name, kind, declaration }: SetSpec): StructureChange | undefined {
	const match = drawnDeclaration.exec(declaration);
	const [, key, below, value] = match ?? [];
	if (match === null || kind !== 'map' || (key !== undefined && key !== value)) return undefined;
	const family = value === 'ip' ? 'ipv4' : 'ipv6';
	const address: readonly SetField[] = [`${family}_addr`];
	return {
		type: 'add-set',
		name,
		fields: [...(key === undefined ? [] : address), 'inet_proto', 'inet_service', 'integer'],
		interval: false,
		values: [...address, 'inet_service'],
		drawn: { family, address: key !== undefined, below: Number(below) },
	};
}
