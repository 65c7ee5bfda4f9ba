/**
 * Many rules that differ by the selector of the peer: a verdict map leads from the peer's address
 * to a chain with those rules whose set has it. Unlike the maps of `branch`, its elements follow
 * the members of the sets. The rules keep all their matches. Pure.
 */
import { type Family, parsePrefix } from '../../core/index.ts';
import type { SetElement } from '../../linux/index.ts';
import type { Direction, SetId } from '../../policy/index.ts';
import { type ChainSpec, chainNamed, type SetElementsChange, type SetSpec, shortHash } from '../table.ts';
import { addressWords, type BranchContext, branch, mergedIndices, mostCopies, type Step } from './branches.ts';

/** A map of more addresses would cost more memory than it is worth. */
const mostAddresses = 20_000;

/** Members of a set of one family; `undefined`: it holds more than single addresses. */
export type AddressesOf = (set: SetId, family: Family) => ReadonlySet<string> | undefined;

/** What a map of members and the chains behind it are made of. */
export interface MemberPlan {
	/** Follows from all the rest. */
	readonly name: string;
	readonly family: Family;
	readonly direction: Direction;
	/** `jump`: the chains return to the rule behind the look-up. */
	readonly type: 'goto' | 'jump';
	readonly steps: readonly Step[];
	/** Indices of steps by the set that their peer must be in. */
	readonly users: ReadonlyMap<SetId, readonly number[]>;
	/** Indices of steps that are in all chains. */
	readonly everywhere: readonly number[];
	/** Behind the steps. */
	readonly end: readonly string[];
	readonly leastGain: number;
}

export interface MemberBranchContext extends BranchContext {
	readonly addressesOf: AddressesOf;
	/** Returns the name of the plan's map. */
	memberMap(plan: MemberPlan): string;
}

/** Steps in a row with one effect. */
interface Run {
	readonly effect: Step['effect'];
	readonly steps: Step[];
}

/** Rules that have the effect of `steps` one after another and `end` behind them. */
export function branchByMember(
	steps: readonly Step[],
	end: readonly string[],
	context: MemberBranchContext,
): readonly string[] {
	const runs: Run[] = [];
	for (const step of steps) {
		const last = runs.at(-1);
		if (last?.effect === step.effect) last.steps.push(step);
		else runs.push({ effect: step.effect, steps: [step] });
	}
	const splits = runs.map((run) => splitRun(run, context));
	if (splits.every((split) => split === undefined)) return branchWhole(steps, end, context);
	return runs.flatMap(({ effect, steps: own }, index) => {
		const { lookUps, others } = splits[index] ?? { lookUps: [], others: own };
		if (index === runs.length - 1) return [...lookUps, ...branch(others, end, context)];
		const rest = effect === 'other' ? others.map(({ text }) => text) : branch(others, [], context, 'jump');
		return [...lookUps, ...rest];
	});
}

/** The steps by membership and the others, each in their order. */
function partition(steps: readonly Step[], { addressesOf, leastGain }: MemberBranchContext) {
	const isByMember = ({ reaches }: Step): boolean =>
		reaches.length > 0 &&
		reaches.every(
			({ members, family }) =>
				members !== undefined && family !== undefined && addressesOf(members, family) !== undefined,
		);
	const byMember = steps.filter(isByMember);
	if (byMember.length <= leastGain) return undefined;
	const sets = new Map(
		byMember.flatMap(({ reaches }) =>
			reaches.map(({ members = '', family = 'ipv4' }) => [
				`${members} ${family}`,
				addressesOf(members, family)?.size ?? 0,
			]),
		),
	);
	if ([...sets.values()].reduce((sum, size) => sum + size, 0) > mostAddresses) return undefined;
	return { byMember, others: steps.filter((step) => !isByMember(step)), isByMember };
}

/** Look-ups for those steps of a run that it spares; they come before the others. */
function splitRun({ effect, steps }: Run, context: MemberBranchContext) {
	if (effect === 'other') return undefined;
	const parts = partition(steps, context);
	// Which one of several denies a packet is logged: they keep their order.
	if (parts === undefined || (effect === 'deny' && parts.others.length > 0)) return undefined;
	return { lookUps: lookUps(parts.byMember, () => true, [], 'jump', context), others: parts.others };
}

/** One look-up for steps of all effects, whose chains hold the few others as well. */
function branchWhole(steps: readonly Step[], end: readonly string[], context: MemberBranchContext): readonly string[] {
	const parts = partition(steps, context);
	if (parts === undefined || parts.others.length > context.leastGain) return branch(steps, end, context);
	return [...lookUps(steps, parts.isByMember, end, 'goto', context), ...branch(parts.others, end, context)];
}

function lookUps(
	steps: readonly Step[],
	isByMember: (step: Step) => boolean,
	end: readonly string[],
	type: MemberPlan['type'],
	{ direction, leastGain, memberMap }: MemberBranchContext,
): string[] {
	const everywhere = steps.flatMap((step, index) => (isByMember(step) ? [] : [index]));
	return (['ipv4', 'ipv6'] as const).flatMap((family) => {
		const users = new Map<SetId, number[]>();
		for (const [index, step] of steps.entries())
			for (const { members, family: own } of isByMember(step) ? step.reaches : []) {
				if (members === undefined || own !== family) continue;
				const known = users.get(members);
				if (known === undefined) users.set(members, [index]);
				else if (known.at(-1) !== index) known.push(index);
			}
		if (users.size === 0) return [];
		const content = [
			...[direction, family, type, String(leastGain)],
			...steps.map(({ text }) => text),
			...end,
			...[...users].map(([set, indices]) => `${set} ${indices.join()}`),
		];
		const name = `of-${shortHash(content.join('\n'))}`;
		const map = memberMap({ name, family, direction, type, steps, users, everywhere, end, leastGain });
		const { word } = addressWords[family];
		return [`meta nfproto ${family} ${word} ${direction === 'ingress' ? 'saddr' : 'daddr'} vmap @${map}`];
	});
}

/** Chains and static maps by name. */
export interface MemberParts {
	readonly chains: ReadonlyMap<string, ChainSpec>;
	readonly sets: ReadonlyMap<string, SetSpec>;
}

/** The chain for addresses with the same rules. */
interface MemberClass extends MemberParts {
	readonly root: string;
	/** Number of addresses. */
	users: number;
}

/** All steps: for addresses whose own chain would be one too many. */
const allSteps = 'all';

/** A map of members: which chain each address leads to. */
export class MemberMap {
	readonly plan: MemberPlan;
	readonly #addressesOf: AddressesOf;
	readonly #parts: { hold(parts: MemberParts): void; release(parts: MemberParts): void };
	readonly #classes = new Map<string, MemberClass>();
	/** Key of the class. */
	readonly #classOf = new Map<string, string>();
	/** Rules in all chains. */
	#copies = 0;

	/** `parts` keeps what the chains need while they are there. */
	constructor(
		plan: MemberPlan,
		addressesOf: AddressesOf,
		parts: { hold(parts: MemberParts): void; release(parts: MemberParts): void },
	) {
		this.plan = plan;
		this.#addressesOf = addressesOf;
		this.#parts = parts;
		this.follow(new Set([...plan.users.keys()].flatMap((set) => [...(addressesOf(set, plan.family) ?? [])])));
	}

	get spec(): SetSpec {
		const { name, family } = this.plan;
		const elements = [...this.#classOf.keys()].map((address) => this.#element(address));
		return { name, kind: 'map', declaration: `type ${addressWords[family].type} : verdict;`, elements };
	}

	/** Members of its sets joined or left; returns what changes. */
	follow(addresses: ReadonlySet<string>): SetElementsChange[] {
		const [removed, added]: [SetElement[], SetElement[]] = [[], []];
		for (const address of addresses) {
			const before = this.#classOf.get(address);
			const after = this.#join(address, before);
			if (after === before) continue;
			if (before !== undefined) removed.push(this.#element(address));
			if (after === undefined) this.#classOf.delete(address);
			else {
				this.#classOf.set(address, after);
				added.push(this.#element(address));
			}
			if (before !== undefined) this.#leave(before);
		}
		const change = (verb: SetElementsChange['verb'], elements: readonly SetElement[]) =>
			elements.length === 0 ? [] : [{ set: this.plan.name, verb, elements }];
		return [...change('remove', removed), ...change('add', added)];
	}

	/** Gives up all chains. */
	close(): void {
		for (const one of this.#classes.values()) this.#parts.release(one);
		this.#classes.clear();
	}

	/** The key of the class that the address belongs to; it counts there if it did not before. */
	#join(address: string, before: string | undefined): string | undefined {
		const { users, family, everywhere, steps } = this.plan;
		const own = [...users].flatMap(([set, indices]) =>
			this.#addressesOf(set, family)?.has(address) === true ? indices : [],
		);
		if (own.length === 0) return undefined;
		let indices = mergedIndices(everywhere, own);
		let key = indices.join();
		if (!this.#classes.has(key) && this.#copies + indices.length > mostCopies(steps.length)) {
			indices = [...steps.keys()];
			key = allSteps;
		}
		if (key === before) return key;
		let found = this.#classes.get(key);
		if (found === undefined) {
			found = { ...renderClass(this.plan, indices), users: 0 };
			this.#classes.set(key, found);
			this.#copies += indices.length;
			this.#parts.hold(found);
		}
		found.users++;
		return key;
	}

	#leave(key: string): void {
		const found = this.#classes.get(key);
		if (found === undefined) return;
		found.users--;
		if (found.users > 0) return;
		this.#classes.delete(key);
		this.#copies -= key === allSteps ? this.plan.steps.length : key.split(',').length;
		this.#parts.release(found);
	}

	#element(address: string): SetElement {
		const chain = this.#classes.get(this.#classOf.get(address) ?? '')?.root ?? '';
		return { key: parsePrefix(address).bytes, data: { type: this.plan.type, chain } };
	}
}

function renderClass(
	{ steps, end, direction, leastGain }: MemberPlan,
	indices: readonly number[],
): MemberParts & { root: string } {
	const chains = new Map<string, ChainSpec>();
	const sets = new Map<string, SetSpec>();
	const add = (prefix: string, rules: readonly string[]): string => {
		const chain = chainNamed(prefix, rules);
		chains.set(chain.name, chain);
		return chain.name;
	};
	const rules = branch(
		indices.map((index) => steps[index] as Step),
		end,
		{
			direction,
			leastGain,
			chain: add,
			map(map) {
				sets.set(map.name, map);
				return map.name;
			},
		},
	);
	return { root: add('b', rules), chains, sets };
}
