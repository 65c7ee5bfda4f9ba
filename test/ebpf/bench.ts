import {
	type AssembledProgram,
	addMembers,
	clockHelper,
	compileEntry,
	compileRuleChain,
	createPolicyMaps,
	EndpointKeeper,
	type PolicyMaps,
	ProgramResult,
	type RuleChain,
} from '../../src/ebpf/index.ts';
import { LoadedProgram } from '../../src/ebpf/kernel/program.ts';
import { ProgramSlots } from '../../src/ebpf/policy/slots.ts';
import type { DirectionPolicy, NodeSettings, RuleBook } from '../../src/policy/index.ts';
import { settings } from '../nftables/fixtures.ts';
import { ethernetFrame, type TestFrame } from './frames.ts';

/** Small maps: each test has its own. */
export const openMaps = (): PolicyMaps =>
	createPolicyMaps({
		netMembers: 4096,
		addressPortMembers: 4096,
		connections: 1024,
		fragments: 256,
		counters: 1024,
		eventBytes: 1 << 16,
		rulePrograms: 256,
		endpoints: 16,
		sources: 16,
	});

/** Runs without an interface have that of the loopback. */
const loopbackIndex = 1;
const families = ['ipv4', 'ipv6'] as const;
const slotsOf = new WeakMap<PolicyMaps, ProgramSlots>();

export interface EndpointOptions {
	readonly maps: PolicyMaps;
	readonly ingress: DirectionPolicy;
	readonly egress: DirectionPolicy;
	readonly book: RuleBook;
	readonly addresses: readonly string[];
	readonly settings?: Partial<NodeSettings>;
	/** Changes a compiled program, to insert faults on purpose. */
	readonly alter?: (program: AssembledProgram) => AssembledProgram;
}

/**
 * The programs of an endpoint in the kernel, with the sets that they need. No interface: packets
 * are run one by one.
 */
export class TestEndpoint {
	readonly maps: PolicyMaps;
	readonly compiled: Readonly<Record<'ingress' | 'egress', RuleChain>>;
	readonly #entries: Readonly<Record<'ingress' | 'egress', LoadedProgram>>;
	readonly #activate: () => void;

	constructor({
		maps,
		ingress,
		egress,
		book,
		addresses,
		settings: changes,
		alter = (program) => program,
	}: EndpointOptions) {
		this.maps = maps;
		const settingsHere = { ...settings, ...changes };
		const compile = (policy: DirectionPolicy) => {
			const chain = compileRuleChain({ policy, book, settings: settingsHere });
			const { ipv4, ipv6 } = chain.programs;
			return { ...chain, programs: { ipv4: ipv4.map(alter), ipv6: ipv6.map(alter) } };
		};
		this.compiled = { ingress: compile(ingress), egress: compile(egress) };
		for (const set of book.sets.values()) addMembers(maps, set, set.members);
		for (const { extraSets } of Object.values(this.compiled))
			for (const [id, members] of extraSets) addMembers(maps, { id, type: 'nets' }, members);
		const load = (program: AssembledProgram) =>
			LoadedProgram.load(program, { name: 'test', type: 'schedClassifier', maps });
		const entry = (direction: 'ingress' | 'egress') =>
			load(compileEntry({ direction, settings: settingsHere, clock: clockHelper() }));
		this.#entries = { ingress: entry('ingress'), egress: entry('egress') };
		const array = maps.get('rule_programs');
		if (array === undefined) throw new RangeError('no array of programs');
		const slots = slotsOf.get(maps) ?? new ProgramSlots(array);
		slotsOf.set(maps, slots);
		const place = ({ programs }: RuleChain) => {
			const first = { ipv4: 0, ipv6: 0 };
			for (const family of families) {
				const loaded = programs[family].map(load);
				first[family] = slots.place(loaded);
				for (const program of loaded) program.close();
			}
			return first;
		};
		const first = { ingress: place(this.compiled.ingress), egress: place(this.compiled.egress) };
		// Several endpoints of one test take turns at the loopback.
		this.#activate = () => {
			const endpoints = new EndpointKeeper(maps);
			const state = { interfaceIndex: loopbackIndex, addresses, first };
			endpoints.set(state);
			endpoints.prune([state]);
		};
	}

	/** Does a frame pass? `local`: the node itself sent it. */
	passes(direction: 'ingress' | 'egress', frame: TestFrame | Uint8Array, local = false): boolean {
		this.#activate();
		const bytes = frame instanceof Uint8Array ? frame : ethernetFrame(frame);
		const result = this.#entries[direction].testRun(bytes, {
			// Looked at on the way to the pod alone; kernels before 5.12 take no other than 0.
			ingressIndex: local || direction === 'egress' ? 0 : 3,
		});
		if (result === ProgramResult.pass) return true;
		if (result === ProgramResult.drop) return false;
		throw new Error(`the program returned ${result}`);
	}

	/** Number of connections that are kept. */
	get connections(): number {
		return [...(this.maps.get('connections')?.keys() ?? [])].length;
	}

	forgetConnections(): void {
		const map = this.maps.get('connections');
		for (const key of [...(map?.keys() ?? [])]) map?.delete(key);
	}

	close(): void {
		for (const program of Object.values(this.#entries)) program.close();
	}
}

export const closeMaps = (maps: PolicyMaps): void => {
	for (const map of maps.values()) map.close();
};
