import type { Family, PrefixKey } from '../../core/index.ts';
import {
	DanglingReferenceError,
	type Direction,
	type DirectionPolicy,
	type NodeSettings,
	type PolicyKey,
	type Rule,
	type RuleBook,
	type SetId,
} from '../../policy/index.ts';
import { Assembler } from '../assembly/assembler.ts';
import { fp, imm } from '../assembly/instruction.ts';
import { type AssembledProgram, ProgramTooLargeError } from '../assembly/layout.ts';
import { decisionsOf, EventAction, type ProgramDecision } from './decision.ts';
import { emitEarlyEnds } from './early-ends.ts';
import { type Frame, makeFrame } from './frame.ts';
import { emitFromScratch, emitToNext, ruleFrame } from './hand-over.ts';
import type { EarlyStage } from './host-common.ts';
import { Layout } from './maps.ts';
import { emitRule } from './rule.ts';
import { emitDecide, emitEnds, emitEvent, type VerdictOptions } from './verdict.ts';

/** The kernel follows 33 tail calls (MAX_TAIL_CALL_CNT), of which the entry makes one. */
const mostPrograms = 32;
/** The next rule begins a new program. The verifier takes milliseconds for one of this size. */
const instructionsPerProgram = 4000;
const most = mostPrograms * instructionsPerProgram;

/**
 * The rules of a policy in one direction as programs that call each other, for all endpoints that
 * have this policy.
 */
export interface RuleChain {
	readonly direction: Direction;
	readonly programs: Readonly<Record<Family, readonly AssembledProgram[]>>;
	/** By number. */
	readonly decisions: readonly ProgramDecision[];
	/**
	 * Sets of type `nets` beyond those of the policy, which the programs need, with their members.
	 */
	readonly extraSets: ReadonlyMap<SetId, readonly PrefixKey[]>;
}

export interface RuleChainOptions {
	readonly policy: DirectionPolicy;
	readonly book: RuleBook;
	readonly settings: Pick<NodeSettings, 'endpointToHostAction'>;
	/** The rules judge at an early stage of a host endpoint. */
	readonly stage?: EarlyStage;
}

/**
 * The rules of a policy in one direction. Pure. The order of the code is the order of evaluation;
 * each family has programs of its own, without the rules of the other. @throws
 * ProgramTooLargeError, DanglingReferenceError
 */
export function compileRuleChain(options: RuleChainOptions): RuleChain {
	const decisions = decisionsOf(options.policy, options.book);
	const numbers = new Map(decisions.map((decision, index) => [JSON.stringify(decision), index]));
	const extraSets = new Map<SetId, readonly PrefixKey[]>();
	const numberOf = (decision: ProgramDecision) => numbers.get(JSON.stringify(decision)) ?? 0;
	const compile = (family: Family) => new ChainCompiler({ ...options, family, numberOf, extraSets }).compile();
	const { direction } = options.policy;
	return { direction, programs: { ipv4: compile('ipv4'), ipv6: compile('ipv6') }, decisions, extraSets };
}

interface FamilyOptions extends RuleChainOptions {
	readonly family: Family;
	readonly numberOf: (decision: ProgramDecision) => number;
	readonly extraSets: Map<SetId, readonly PrefixKey[]>;
}

class ChainCompiler {
	readonly #options: FamilyOptions;
	readonly #programs: AssembledProgram[] = [];
	#assembler = new Assembler();
	#frame: Frame;
	/** The label behind the tier or profile that is open, the same in all programs of the chain. */
	#passed = '';
	#stages = 0;

	constructor(options: FamilyOptions) {
		this.#options = options;
		this.#frame = this.#begin(undefined);
	}

	compile(): readonly AssembledProgram[] {
		this.#judge();
		this.#end();
		return this.#programs;
	}

	get #verdict(): VerdictOptions {
		const { policy, numberOf } = this.#options;
		return { assembler: this.#assembler, frame: this.#frame, direction: policy.direction, numberOf };
	}

	#begin(behind: string | undefined): Frame {
		const frame = ruleFrame(makeFrame(this.#assembler));
		this.#assembler.label('begin');
		emitFromScratch(this.#assembler, frame, { behind, otherwise: 'drop' });
		return frame;
	}

	#end(): void {
		const { policy, settings, stage } = this.#options;
		if (stage !== undefined) emitEarlyEnds(this.#verdict, stage);
		else this.#laterEnds(policy, settings);
		this.#programs.push(this.#assembler.assemble());
	}

	#laterEnds(policy: DirectionPolicy, settings: RuleChainOptions['settings']): void {
		emitEnds(this.#verdict, {
			deniesToHost: policy.direction === 'egress' && settings.endpointToHostAction === 'drop',
			// Without a pod in the map it costs the first packet of a connection one look-up.
			redirects: policy.direction === 'egress' ? 'begun' : 'none',
		});
	}

	/** Goes on in a new program, in the tier or profile that is open. */
	#continue(): void {
		const assembler = this.#assembler;
		emitToNext(assembler, this.#frame, { behind: 0, otherwise: 'drop' });
		assembler.label(this.#passed);
		emitToNext(assembler, this.#frame, { behind: 1, otherwise: 'drop' });
		this.#end();
		if (this.#programs.length >= mostPrograms) throw this.#tooLarge();
		this.#assembler = new Assembler();
		this.#frame = this.#begin(this.#passed);
	}

	#judge(): void {
		const { policy, book } = this.#options;
		for (const { tier, defaultAction, policies: keys } of policy.tiers) {
			this.#passed = `behind-tier-${tier}:${this.#stages++}`;
			let enforced = false;
			for (const key of keys) {
				const found = book.policies.get(key);
				if (found === undefined) throw new DanglingReferenceError(key);
				if (found.staged) continue;
				enforced = true;
				this.#rules(key, found[policy.direction]);
			}
			if (enforced && defaultAction === 'deny') emitDecide(this.#verdict, { type: 'tier-default', tier }, 'deny');
			this.#assembler.label(this.#passed);
		}
		for (const key of policy.profiles) {
			this.#passed = `behind-profile:${this.#stages++}`;
			this.#rules(key, book.policies.get(key)?.[policy.direction] ?? []);
			this.#assembler.label(this.#passed);
		}
		switch (policy.otherwise) {
			case 'deny':
				emitDecide(this.#verdict, { type: 'end' }, 'deny');
				break;
			case 'allow':
				emitDecide(this.#verdict, { type: 'no-policy' }, 'allow');
				break;
			case 'continue':
				this.#assembler.jump('pass');
				break;
			default:
				policy.otherwise satisfies never;
		}
	}

	#rules(policy: PolicyKey, rules: readonly Rule[]): void {
		const { family, book, extraSets } = this.#options;
		for (const [index, rule] of rules.entries()) {
			if (this.#assembler.size >= instructionsPerProgram) this.#continue();
			const assembler = this.#assembler;
			const name = `${policy} ${this.#options.policy.direction} rule ${index} (${rule.origin})`;
			assembler.within(name, () => {
				assembler.label(assembler.freshLabel(`${family} ${name}`));
				const next = assembler.freshLabel('next-rule');
				const context = { assembler, frame: this.#frame, family, sets: book.sets, extraSets };
				if (emitRule(context, rule, next)) this.#act(rule, { type: 'rule', policy, index, origin: rule.origin });
				assembler.label(next);
			});
		}
	}

	#act({ action }: Rule, decision: ProgramDecision): void {
		switch (action) {
			case 'allow':
			case 'deny':
				emitDecide(this.#verdict, decision, action);
				break;
			case 'pass':
				this.#assembler.jump(this.#passed);
				break;
			case 'log':
				this.#assembler.store(
					'w',
					fp,
					this.#frame.event + Layout.event.decision,
					imm(this.#options.numberOf(decision)),
				);
				emitEvent(this.#verdict, EventAction.log);
				break;
			default:
				action satisfies never;
		}
	}

	/** The largest part is the policy with the most rules. */
	#tooLarge(): ProgramTooLargeError {
		const { policy, book } = this.#options;
		const keys = [...policy.tiers.flatMap(({ policies }) => policies), ...policy.profiles];
		const [largest] = keys
			.map((key) => ({ key, rules: book.policies.get(key)?.[policy.direction].length ?? 0 }))
			.sort((left, right) => right.rules - left.rules);
		const instructions = this.#programs.reduce((sum, program) => sum + program.instructions.length, 0);
		return new ProgramTooLargeError(
			Math.max(instructions, most + 1),
			most,
			largest && `${largest.key} ${policy.direction} with ${largest.rules} rules`,
		);
	}
}
