/**
 * Connections that a router has moved to this node: their packets are given to the other nodes, one
 * of which has them. `dup` needs a table of its own for each family.
 */
import type { Clock, Family } from '../../core/index.ts';
import { type LoadRules, NfTables } from '../../linux/index.ts';
import type {
	HandoverFrontend,
	HandoverKernel,
	HandoverPackets,
	HandoverWindow,
	OpenHandoverWindow,
} from '../../services/index.ts';

/** The tables, by family. */
export const handoverTables = { ipv4: 'bgpmesh_handover', ipv6: 'bgpmesh_handover6' } as const;

const slots = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const families = ['ipv4', 'ipv6'] as const;
/**
 * A packet is given once: with this TTL it leaves, with less it arrives, and is never given on.
 * What is left is enough for the way to a pod.
 */
const givenTtl = 5;

const at = (family: Family): string => `${family === 'ipv4' ? 'ip' : 'ip6'} ${handoverTables[family]}`;

/** nft text that makes the table of a family, or leaves it as it is. Pure. */
export function handoverTableText(family: Family): string {
	const header = family === 'ipv4' ? 'ip' : 'ip6';
	const ttl = family === 'ipv4' ? 'ip ttl' : 'ip6 hoplimit';
	const key = `${header} daddr . th dport`;
	const table = at(family);
	const own = 'flags dynamic,timeout; timeout 30s; size 65536;';
	return [
		`add table ${table}`,
		`add counter ${table} given`,
		`add counter ${table} unknown`,
		`add set ${table} local { typeof ${key}; }`,
		`add set ${table} window { typeof ${key}; ${own} }`,
		...slots.map((slot) => `add map ${table} peer-${slot} { typeof ${key} : ${header} daddr; ${own} }`),
		...['give', 'unknown'].flatMap((chain) => [`add chain ${table} ${chain}`, `flush chain ${table} ${chain}`]),
		`add chain ${table} base { type filter hook prerouting priority -105; policy accept; }`,
		`flush chain ${table} base`,
		`add rule ${table} give ${ttl} set ${givenTtl}`,
		...slots.map((slot) => `add rule ${table} give dup to ${key} map @peer-${slot}`),
		`add rule ${table} give counter name given drop`,
		`add rule ${table} unknown ${ttl} < ${givenTtl} ${key} @local counter name unknown drop`,
		`add rule ${table} unknown ${ttl} > ${givenTtl} ${key} @window goto give`,
		// A connection begins with SYN; what is known to the connection table has another state.
		`add rule ${table} base tcp flags & syn == 0 ct state new,invalid jump unknown`,
		'',
	].join('\n');
}

/** nft text that replaces the frontends whose foreign packets end here. Pure. */
export function handoverFrontendText(frontends: readonly HandoverFrontend[]): string {
	const lines = families.flatMap((family) => {
		const own = frontends.filter((frontend) => frontend.family === family);
		const keys = [...new Set(own.map(({ address, port }) => `${address} . ${port}`))];
		return [
			`flush set ${at(family)} local`,
			...(keys.length === 0 ? [] : [`add element ${at(family)} local { ${keys.join(', ')} }`]),
		];
	});
	return `${lines.join('\n')}\n`;
}

/** A window and its end. */
export interface OpenWindow extends HandoverWindow {
	readonly seconds: number;
}

/**
 * nft text that replaces all open windows. An element with a time-out keeps its end, and its value,
 * when it is added again: the sets are emptied first, in the same transaction. Pure.
 */
export function handoverWindowText(windows: readonly OpenWindow[]): string {
	const lines = families.flatMap((family) => {
		const own = windows.filter((window) => window.family === family);
		const elements = (set: string, of: (window: OpenWindow) => string | undefined): string[] => {
			const listed = own.flatMap((window) => {
				const data = of(window);
				return data === undefined ? [] : [`${window.address} . ${window.port} timeout ${window.seconds}s${data}`];
			});
			const kind = set === 'window' ? 'set' : 'map';
			return [
				`flush ${kind} ${at(family)} ${set}`,
				...(listed.length === 0 ? [] : [`add element ${at(family)} ${set} { ${listed.join(', ')} }`]),
			];
		};
		return [
			...elements('window', () => ''),
			...slots.flatMap((slot) =>
				elements(`peer-${slot}`, ({ peers }) => (peers[slot] === undefined ? undefined : ` : ${peers[slot]}`)),
			),
		];
	});
	return `${lines.join('\n')}\n`;
}

/** The tables of handed over connections, in the network namespace of `load`. */
export class HandoverTable implements HandoverKernel {
	readonly #load: LoadRules;
	readonly #clock: Clock;
	#frontends: readonly HandoverFrontend[] = [];
	/** By address and port. */
	readonly #open = new Map<string, { readonly window: HandoverWindow; readonly untilMs: number }>();

	constructor({ load, clock }: { readonly load: LoadRules; readonly clock: Clock }) {
		this.#load = load;
		this.#clock = clock;
	}

	async keep(frontends: readonly HandoverFrontend[]): Promise<void> {
		// A node without such a Service has no table.
		if (frontends.length === 0 && this.#frontends.length === 0) return;
		this.#frontends = frontends;
		await this.#write(this.#clock.monotonicMs());
	}

	async open(windows: readonly HandoverWindow[], seconds: number): Promise<void> {
		const nowMs = this.#clock.monotonicMs();
		for (const [key, { untilMs }] of this.#open) if (untilMs <= nowMs) this.#open.delete(key);
		for (const window of windows) {
			const key = `${window.address} ${window.port}`;
			const peers = [...new Set([...window.peers, ...(this.#open.get(key)?.window.peers ?? [])])];
			this.#open.set(key, { window: { ...window, peers }, untilMs: nowMs + seconds * 1000 });
		}
		await this.#write(nowMs);
	}

	/** Windows that are open now. */
	get windows(): readonly OpenHandoverWindow[] {
		const nowMs = this.#clock.monotonicMs();
		return [...this.#open.values()].flatMap(({ window, untilMs }) =>
			untilMs <= nowMs ? [] : [{ ...window, secondsLeft: Math.ceil((untilMs - nowMs) / 1000) }],
		);
	}

	/** Packets of both families; nothing where no table was written. */
	async packets(): Promise<HandoverPackets> {
		const tables = new NfTables();
		try {
			const counters = [
				...(await tables.counters('ip', handoverTables.ipv4)),
				...(await tables.counters('ip6', handoverTables.ipv6)),
			];
			const of = (name: string): number =>
				counters.filter((counter) => counter.name === name).reduce((sum, { packets }) => sum + packets, 0);
			return { given: of('given'), unknown: of('unknown') };
		} finally {
			tables.close();
		}
	}

	/** Everything, each time: others may have flushed the tables. */
	async #write(nowMs: number): Promise<void> {
		const all = [...this.#open.values()].flatMap(({ window, untilMs }) =>
			untilMs <= nowMs ? [] : [{ ...window, seconds: Math.ceil((untilMs - nowMs) / 1000) }],
		);
		const tables = families.map(handoverTableText).join('');
		await this.#load(`${tables}${handoverFrontendText(this.#frontends)}${handoverWindowText(all)}`);
	}
}
