/** A table as the kernel carries it out: expressions of rules on bytes of a packet. */
import { formatAddress } from '../../src/core/index.ts';
import type { Expression, SetElement } from '../../src/linux/index.ts';
import { ruleExpressions } from '../../src/nftables/rule-expressions.ts';
import { elementKey, type SetSpec, type TableChange, type TableSpec } from '../../src/nftables/table.ts';
import type { Packet } from '../../src/policy/index.ts';

/** What happened to a packet. */
export interface Outcome {
	/** `undefined`: the chain ended. */
	readonly verdict: 'accept' | 'drop' | undefined;
	/** Prefixes of log statements, in order. */
	readonly logs: readonly string[];
	/** Names of counters, in order. */
	readonly counters: readonly string[];
	/** Rules that were begun. */
	readonly rules: number;
}

interface SimulatedSet extends Omit<SetSpec, 'elements'> {
	readonly elements: Map<string, SetElement>;
}

/** The kernel's answer to what cannot be done. */
export class RefusedError extends Error {}

export class SimulatedTable {
	readonly #chains = new Map<string, readonly string[]>();
	readonly #sets = new Map<string, SimulatedSet>();
	readonly #expressions = new Map<string, readonly Expression[]>();
	/** The table before the transaction that a packet meets, and how many look-ups still see it. */
	#across: { readonly before: SimulatedTable; left: number } | undefined;

	/** Carries out a change in the order of its transactions. */
	apply(change: TableChange): void {
		for (const { name, rules } of change.addChains) this.#chains.set(name, rules);
		for (const { elements, ...set } of change.addSets) {
			this.#sets.set(set.name, { ...set, elements: new Map() });
			this.#add(set.name, elements);
		}
		for (const { set, verb, elements } of change.elements)
			if (verb === 'add') this.#add(set, elements);
			else
				for (const element of elements)
					if (!this.#set(set).elements.delete(elementKey(element))) throw new RefusedError(`no such element in ${set}`);
		for (const { name } of change.removeChains) this.#chains.delete(name);
		for (const { name } of change.removeSets) this.#sets.delete(name);
		for (const [name, { elements }] of this.#sets)
			for (const { data } of elements.values())
				if (data !== undefined && 'chain' in data && !this.#chains.has(data.chain))
					throw new RefusedError(`${name} leads to ${data.chain}, which is gone`);
	}

	/** A table with the same content. */
	copy(): SimulatedTable {
		const made = new SimulatedTable();
		for (const [name, rules] of this.#chains) made.#chains.set(name, rules);
		for (const [name, set] of this.#sets) made.#sets.set(name, { ...set, elements: new Map(set.elements) });
		return made;
	}

	/**
	 * Sends a packet through the chain that a map has for a key while the transaction from `before` to
	 * this table commits: behind the first `lookUps` look-ups, the map's included. `undefined`: the
	 * packet was through before.
	 */
	runAcross(
		before: SimulatedTable,
		lookUps: number,
		map: string,
		key: Uint8Array,
		packet: Packet,
	): Outcome['verdict'] | 'through' {
		this.#across = { before, left: lookUps };
		try {
			const data = this.#find(map, key)?.data;
			const chain = data !== undefined && 'chain' in data ? data.chain : undefined;
			const verdict = chain === undefined ? 'drop' : this.run(chain, packet).verdict;
			return this.#across.left > 0 ? 'through' : verdict;
		} finally {
			this.#across = undefined;
		}
	}

	/** Everything that it holds, as comparable text. */
	content(): readonly string[] {
		return describe({
			chains: new Map([...this.#chains].map(([name, rules]) => [name, { name, rules }])),
			sets: new Map([...this.#sets].map(([name, set]) => [name, { ...set, elements: [...set.elements.values()] }])),
			counters: new Set(),
		});
	}

	/** The chain that a map of this table has for a key. */
	chainOf(map: string, key: Uint8Array): string | undefined {
		const data = this.#find(map, key)?.data;
		return data !== undefined && 'chain' in data ? data.chain : undefined;
	}

	/** Sends a packet through a chain. */
	run(chain: string, packet: Packet): Outcome {
		const trace = { logs: [] as string[], counters: [] as string[], rules: 0 };
		const verdict = this.#chain(chain, packet, trace);
		return { verdict: verdict === 'return' ? undefined : verdict, ...trace };
	}

	get #earlierSets(): ReadonlyMap<string, SimulatedSet> | undefined {
		const before = this.#across?.before;
		return before === undefined ? undefined : before.#sets;
	}

	get #earlierChains(): ReadonlyMap<string, readonly string[]> | undefined {
		const before = this.#across?.before;
		return before === undefined ? undefined : before.#chains;
	}

	#set(name: string): SimulatedSet {
		// What goes is there until no packet uses it.
		const set = this.#sets.get(name) ?? this.#earlierSets?.get(name);
		if (set === undefined) throw new RefusedError(`no set ${name}`);
		return set;
	}

	#add(name: string, elements: readonly SetElement[]): void {
		const set = this.#set(name);
		for (const element of elements) {
			const key = elementKey(element);
			if (set.elements.has(key)) throw new RefusedError(`${name} has this element`);
			set.elements.set(key, element);
		}
	}

	/** In a set of ranges, the range that begins last before the key. */
	#find(name: string, key: Uint8Array): SetElement | undefined {
		if (this.#across !== undefined && this.#across.left > 0) {
			this.#across.left--;
			// What comes is empty until then, and nothing leads there.
			const { before } = this.#across;
			return before.#sets.has(name) ? before.#find(name, key) : undefined;
		}
		const set = this.#set(name);
		if (!set.declaration.includes('flags interval')) return set.elements.get(elementKey({ key }));
		let found: SetElement | undefined;
		for (const element of set.elements.values()) {
			if (Buffer.compare(element.key, key) > 0) continue;
			const order = found === undefined ? 1 : Buffer.compare(element.key, found.key);
			if (order > 0 || (order === 0 && element.intervalEnd !== true)) found = element;
		}
		return found?.intervalEnd === true ? undefined : found;
	}

	#chain(
		name: string,
		packet: Packet,
		trace: { logs: string[]; counters: string[]; rules: number },
	): 'accept' | 'drop' | 'return' | undefined {
		const rules = this.#chains.get(name) ?? this.#earlierChains?.get(name);
		if (rules === undefined) throw new RefusedError(`no chain ${name}`);
		for (const text of rules) {
			trace.rules++;
			const verdict = this.#rule(text, packet, trace);
			if (verdict === undefined || verdict.type === 'continue') continue;
			if ('chain' in verdict) {
				const inner = this.#chain(verdict.chain, packet, trace);
				if (inner === 'accept' || inner === 'drop' || verdict.type === 'goto') return inner;
				continue;
			}
			if (verdict.type === 'accept' || verdict.type === 'drop' || verdict.type === 'return') return verdict.type;
			throw new RefusedError(`verdict ${verdict.type}`);
		}
		return undefined;
	}

	#rule(text: string, packet: Packet, trace: { logs: string[]; counters: string[] }) {
		let expressions = this.#expressions.get(text);
		if (expressions === undefined) {
			expressions = ruleExpressions(text);
			if (expressions === undefined) throw new RefusedError(`not understood: ${text}`);
			this.#expressions.set(text, expressions);
		}
		const registers = new Uint8Array(64);
		const at = (register: number, length: number) => registers.subarray(register * 4, register * 4 + length);
		const load = (register: number, bytes: Uint8Array) => {
			at(register, (bytes.length + 3) & ~3).fill(0);
			registers.set(bytes, register * 4);
		};
		for (const expression of expressions)
			switch (expression.type) {
				case 'meta':
					if (expression.key === 'nfproto') load(0, Uint8Array.of(packet.source.family === 'ipv4' ? 2 : 10));
					else if (expression.key === 'l4proto') load(expression.register, Uint8Array.of(packet.protocol));
					else throw new RefusedError('marks are not simulated');
					break;
				case 'payload': {
					const bytes = headerOf(packet, expression.base).subarray(
						expression.offset,
						expression.offset + expression.bytes,
					);
					if (bytes.length < expression.bytes) return undefined;
					load(expression.register, bytes);
					break;
				}
				case 'bitwise':
					expression.mask.forEach((mask, index) => {
						const place = expression.register * 4 + index;
						registers[place] = ((registers[place] ?? 0) & mask) ^ (expression.xor[index] ?? 0);
					});
					break;
				case 'compare': {
					const order = Buffer.compare(at(expression.register, expression.value.length), expression.value);
					const holds = { equal: order === 0, 'not-equal': order !== 0, 'at-least': order >= 0, 'at-most': order <= 0 };
					if (!holds[expression.operator]) return undefined;
					break;
				}
				case 'outside': {
					const value = at(expression.register, expression.from.length);
					if (Buffer.compare(value, expression.from) >= 0 && Buffer.compare(value, expression.to) <= 0)
						return undefined;
					break;
				}
				case 'lookup': {
					const key = at(expression.register, keyBytes(this.#set(expression.set))).slice();
					if ((this.#find(expression.set, key) !== undefined) === expression.inverted) return undefined;
					break;
				}
				case 'lookup-verdict': {
					const data = this.#find(
						expression.map,
						at(expression.register, keyBytes(this.#set(expression.map))).slice(),
					)?.data;
					return data instanceof Uint8Array ? undefined : data;
				}
				case 'verdict':
					return expression.verdict;
				case 'counter':
					trace.counters.push(expression.name);
					break;
				case 'log':
					trace.logs.push(expression.prefix);
					break;
				case 'limit':
					break;
				default:
					throw new RefusedError(`expression ${expression.type}`);
			}
		return undefined;
	}
}

const fieldBytes: Readonly<Record<string, number>> = {
	ipv4_addr: 4,
	ipv6_addr: 16,
	inet_proto: 1,
	inet_service: 2,
	ifname: 16,
};

/** Fields of a concatenation take whole words. */
function keyBytes({ declaration }: Pick<SetSpec, 'declaration'>): number {
	const fields = (/^type ([a-z0-9_ .]+)/.exec(declaration)?.[1] ?? '').trim().split(' . ');
	const sizes = fields.map((field) => fieldBytes[field] ?? Number.NaN);
	return sizes.length === 1 ? (sizes[0] ?? Number.NaN) : sizes.reduce((sum, size) => sum + ((size + 3) & ~3), 0);
}

function headerOf(packet: Packet, base: 'network' | 'transport'): Uint8Array {
	if (base === 'transport') {
		if (packet.icmp !== undefined) return Uint8Array.of(packet.icmp.type, packet.icmp.code, 0, 0);
		const { sourcePort, destinationPort } = packet;
		return Uint8Array.of(sourcePort >> 8, sourcePort & 255, destinationPort >> 8, destinationPort & 255);
	}
	const header = new Uint8Array(40);
	const [source, destination] = packet.source.family === 'ipv4' ? [12, 16] : [8, 24];
	header.set(packet.source.bytes, source);
	header.set(packet.destination.bytes, destination);
	return header;
}

/** A table as sorted text. */
export function describe({ chains, sets }: TableSpec): readonly string[] {
	const element = ({ key, intervalEnd, data }: SetElement): string => {
		const to = data !== undefined && 'chain' in data ? ` ${data.type} ${data.chain}` : '';
		const text = key.length === 4 || key.length === 16 ? formatAddress(key) : Buffer.from(key).toString('hex');
		return `${text}${intervalEnd === true ? ' end' : ''}${to}`;
	};
	return [
		...[...chains.values()].map(({ name, rules }) => `chain ${name}: ${rules.join(' | ')}`),
		...[...sets.values()].map(
			({ name, declaration, elements }) => `set ${name} ${declaration}: ${elements.map(element).sort().join(', ')}`,
		),
	].sort();
}
