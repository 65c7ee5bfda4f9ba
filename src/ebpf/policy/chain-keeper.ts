import type { Family } from '../../core/index.ts';
import type { DirectionPolicy, NodeSettings, Policy, PolicyKey, RuleBook } from '../../policy/index.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import { LoadedProgram } from '../kernel/program.ts';
import { compileRuleChain, type RuleChain } from './chain.ts';
import type { EarlyStage } from './host-common.ts';
import type { PolicyMaps } from './maps.ts';
import { ProgramSlots } from './slots.ts';

const families = ['ipv4', 'ipv6'] as const;
/**
 * Chains that are loaded in one turn of the event loop; the verifier takes about a millisecond for
 * each program.
 */
const chainsPerTurn = 8;

/** The rules of an endpoint in one direction. */
export interface ChainRequest {
	readonly policy: DirectionPolicy;
	/** What the endpoint may do to its own node, behind these rules; of a host endpoint: `accept`. */
	readonly toHost: NodeSettings['endpointToHostAction'];
	/** Of a host endpoint: the rules judge at this early stage. */
	readonly stage?: EarlyStage;
}

/** A chain whose programs are in the array. */
export interface KeptChain {
	readonly chain: RuleChain;
	/** What it was compiled from. */
	readonly policies: ReadonlyMap<PolicyKey, Policy | undefined>;
	/** Place of the first program. */
	readonly first: Readonly<Record<Family, number>>;
}

interface PreparedChain {
	readonly id: string;
	readonly chain: RuleChain;
	readonly policies: KeptChain['policies'];
	/** Absent for a family whose programs are in place already. */
	readonly loaded: Map<Family, readonly LoadedProgram[]>;
}

/** Programs that are loaded and not in use yet. */
export interface PreparedChains {
	readonly chains: readonly PreparedChain[];
	close(): void;
}

/** The rules of all endpoints, one chain for each policy of a direction that any of them has. */
export class ChainKeeper {
	readonly #maps: PolicyMaps;
	readonly #slots: ProgramSlots;
	readonly #kept = new Map<string, KeptChain>();
	readonly #ids = new WeakMap<DirectionPolicy, string>();
	#adopted = false;

	constructor(maps: PolicyMaps) {
		this.#maps = maps;
		const programs = maps.get('rule_programs');
		if (programs === undefined) throw new RangeError('the map of programs with rules is missing');
		this.#slots = new ProgramSlots(programs);
	}

	/** Equal for equal policies. */
	idOf({ policy, toHost, stage }: ChainRequest): string {
		let id = this.#ids.get(policy);
		if (id === undefined) {
			const { direction, tiers, profiles, otherwise } = policy;
			id = JSON.stringify([direction, tiers, profiles, otherwise]);
			this.#ids.set(policy, id);
		}
		if (stage !== undefined) return `${stage} ${id}`;
		return policy.direction === 'egress' ? `${toHost} ${id}` : id;
	}

	get(id: string): KeptChain | undefined {
		return this.#kept.get(id);
	}

	get chains(): Iterable<KeptChain> {
		return this.#kept.values();
	}

	/**
	 * Compiles and loads what is new or changed among these; nothing is in use afterwards. All is
	 * compiled before the first pause: the policy may be live. `checked`: what is in place is read
	 * back. @throws ProgramTooLargeError, VerifierError, SystemCallError
	 */
	async prepare(requests: Iterable<ChainRequest>, node: RuleBook, checked: boolean): Promise<PreparedChains> {
		if (!this.#adopted) this.#slots.adopt();
		this.#adopted = true;
		const compiled = new Map<string, Omit<PreparedChain, 'loaded'>>();
		for (const request of requests) {
			const id = this.idOf(request);
			const { policy, toHost, stage } = request;
			if (compiled.has(id)) continue;
			const keys = [...policy.tiers.flatMap((tier) => tier.policies), ...policy.profiles];
			const kept = this.#kept.get(id);
			const isSame = kept !== undefined && keys.every((key) => kept.policies.get(key) === node.policies.get(key));
			if (isSame && !checked) continue;
			const chain = isSame
				? kept.chain
				: compileRuleChain({
						...{ policy, book: node, settings: { endpointToHostAction: toHost } },
						...(stage === undefined ? {} : { stage }),
					});
			compiled.set(id, { id, chain, policies: new Map(keys.map((key) => [key, node.policies.get(key)])) });
		}
		const chains: PreparedChain[] = [];
		const close = () => {
			for (const { loaded } of chains) for (const programs of loaded.values()) for (const one of programs) one.close();
		};
		try {
			for (const one of compiled.values()) {
				if (chains.length > 0 && chains.length % chainsPerTurn === 0)
					await new Promise((resolve) => setImmediate(resolve));
				const prepared = { ...one, loaded: new Map<Family, readonly LoadedProgram[]>() };
				chains.push(prepared);
				this.#load(prepared);
			}
		} catch (error) {
			close();
			throw error;
		}
		return { chains, close };
	}

	#load({ id, chain, loaded }: PreparedChain): void {
		const kept = this.#kept.get(id);
		for (const family of families) {
			const programs = chain.programs[family];
			const before = kept?.chain.programs[family];
			if (
				kept !== undefined &&
				before?.length === programs.length &&
				programs.every((program, index) => isSameProgram(program, before[index])) &&
				this.#slots.isFilled(kept.first[family], programs.length)
			)
				continue;
			const ready: LoadedProgram[] = [];
			loaded.set(family, ready);
			const direction = chain.direction === 'ingress' ? 'to' : 'from';
			for (const program of programs)
				ready.push(
					LoadedProgram.load(program, {
						...{ name: `${direction}_rules${family === 'ipv4' ? 4 : 6}`, type: 'schedClassifier' },
						maps: this.#maps,
					}),
				);
		}
	}

	/**
	 * Puts the programs into the array, which refers to them from then on; endpoints that use a chain
	 * have to follow it. The result gives up the places of former programs. @throws MapFullError,
	 * SystemCallError
	 */
	commit(prepared: PreparedChains): () => void {
		this.#slots.sweep();
		const placed: { readonly first: number; readonly count: number }[] = [];
		const former: { readonly first: number; readonly count: number }[] = [];
		const next = new Map<string, KeptChain>();
		try {
			for (const { id, chain, policies, loaded } of prepared.chains) {
				const kept = this.#kept.get(id);
				const first = { ipv4: 0, ipv6: 0, ...kept?.first };
				for (const [family, programs] of loaded) {
					if (kept !== undefined) former.push({ first: kept.first[family], count: kept.chain.programs[family].length });
					first[family] = this.#slots.place(programs);
					placed.push({ first: first[family], count: programs.length });
				}
				next.set(id, { chain, policies, first });
			}
		} catch (error) {
			for (const { first, count } of placed) this.#slots.retire(first, count);
			throw error;
		}
		for (const [id, chain] of next) this.#kept.set(id, chain);
		return () => {
			for (const { first, count } of former) this.#slots.retire(first, count);
		};
	}

	/** Chains that no endpoint uses any more go. */
	keepOnly(ids: ReadonlySet<string>): void {
		for (const [id, { chain, first }] of this.#kept) {
			if (ids.has(id)) continue;
			for (const family of families) this.#slots.retire(first[family], chain.programs[family].length);
			this.#kept.delete(id);
		}
	}
}

/** The same code on the same maps. */
function isSameProgram(left: AssembledProgram, right: AssembledProgram | undefined): boolean {
	if (left.instructions.length !== right?.instructions.length) return false;
	const numbered = (program: AssembledProgram) => {
		const names = [...program.maps].sort();
		return Buffer.concat([program.encode((name) => names.indexOf(name)), Buffer.from(names.join())]);
	};
	return numbered(left).equals(numbered(right));
}
