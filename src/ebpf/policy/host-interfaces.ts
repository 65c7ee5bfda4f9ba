import type { Flow, Link } from '../../linux/index.ts';
import type { Direction, HostEndpoint, NodePolicy } from '../../policy/index.ts';
import type { AssembledProgram } from '../assembly/layout.ts';
import type { Attacher, AttachPoint } from '../kernel/attach.ts';
import { LoadedProgram } from '../kernel/program.ts';
import type { RuleChain } from './chain.ts';
import type { ChainKeeper, ChainRequest } from './chain-keeper.ts';
import { type EarlyProgram, earlyPolicy, earlyPrograms } from './early-stages.ts';
import type { EndpointKeeper, EndpointState } from './endpoint-keeper.ts';
import type { EarlyStage } from './host-common.ts';
import { compileHostEarly } from './host-early.ts';
import { compileHostEntry, type HostEntryOptions } from './host-entry.ts';
import { type PolicyMaps, type RulesOf, rulesNumber } from './maps.ts';
import {
	earlyConnectionEntries,
	type FamilyTuple,
	hostConnectionEntries,
	takeOver,
	takeOverEarly,
} from './take-over.ts';

const directions = ['ingress', 'egress'] as const;
const bothRules = ['own', 'forward'] as const;
/** Host endpoint for all interfaces that have none of their own. */
const everyInterface = '*';
const ethernetAddressBytes = 6;

/** An interface of the host that is no pod's, no loopback, and no part of a bridge or bond. */
export interface HostLink {
	readonly index: number;
	readonly name: string;
	/** `ip`: its packets begin with the header of IP. */
	readonly link: HostEntryOptions['link'];
}

export interface HostInterfacesDependencies {
	/** Of `hostPurpose`. */
	readonly attacher: Attacher;
	/** Of `untrackedPurpose` and `preDnatPurpose`. */
	readonly early: Readonly<Record<EarlyStage, Attacher>>;
	readonly links: () => Promise<readonly HostLink[]>;
	/** Connections that programs translate, as they come in. */
	readonly translated?: () => Iterable<FamilyTuple>;
}

/** An interface with the host endpoint that holds for it. */
interface PresentHost {
	readonly host: HostEndpoint;
	readonly at: HostLink;
}

interface AttachedHost extends EndpointState {
	readonly host: HostEndpoint;
	readonly at: HostLink;
	/** Ids of its chains, by `rulesNumber`. */
	readonly chains: ReadonlyMap<number, string>;
}

interface Entries {
	readonly settings: string;
	readonly programs: ReadonlyMap<string, LoadedProgram>;
}

interface HostRules {
	readonly of: RulesOf;
	readonly direction: Direction;
	readonly request: ChainRequest;
}

/** All rules of an endpoint; stages before translation where it has some. */
function rulesOf(host: HostEndpoint): HostRules[] {
	const toHost = 'accept' as const;
	return [
		...bothRules.flatMap((of) =>
			directions.map((direction) => {
				const policy = (of === 'own' ? host.normal : host.forward)[direction];
				return { of, direction, request: { policy, toHost } };
			}),
		),
		...earlyPrograms.flatMap((program): HostRules[] => {
			const policy = earlyPolicy(host, program);
			const { stage, direction } = program;
			return policy === undefined ? [] : [{ of: stage, direction, request: { policy, toHost, stage } }];
		}),
	];
}

/**
 * The interfaces that host endpoints may be for. A part of a bridge or bond is none: its packets
 * come by that. Pure.
 */
export function hostLinks(links: readonly Link[], workloadPrefix = 'cali'): HostLink[] {
	return links.flatMap(({ index, name, loopback, master, mac }): HostLink[] => {
		if (loopback || master !== undefined || name.startsWith(workloadPrefix)) return [];
		if (mac?.length === ethernetAddressBytes) return [{ index, name, link: 'ethernet' }];
		// Tunnels of IP have an address of IP in this place, or none.
		return mac === undefined || mac.length === 4 || mac.length === 16 ? [{ index, name, link: 'ip' }] : [];
	});
}

/** Interfaces with their host endpoint: that of their name, else that for every interface. Pure. */
export function presentHosts({ hosts }: Pick<NodePolicy, 'hosts'>, links: readonly HostLink[]): PresentHost[] {
	const byName = new Map([...hosts.values()].map((host) => [host.interfaceName, host]));
	return links.flatMap((at) => {
		const host = byName.get(at.name) ?? byName.get(everyInterface);
		return host === undefined ? [] : [{ host, at }];
	});
}

/**
 * The programs at the interfaces of host endpoints, with chains and maps of `EbpfPolicy`. The same
 * order as there: load, put in place, let endpoints follow, take away.
 */
export class HostInterfaces {
	readonly #dependencies: HostInterfacesDependencies;
	readonly #maps: PolicyMaps;
	readonly #chains: ChainKeeper;
	readonly #endpoints: EndpointKeeper;
	/** By index of the interface. */
	readonly #attached = new Map<number, AttachedHost>();
	#links: readonly HostLink[] = [];
	#entries: Entries = { settings: '', programs: new Map() };

	constructor(
		dependencies: HostInterfacesDependencies,
		maps: PolicyMaps,
		chains: ChainKeeper,
		endpoints: EndpointKeeper,
	) {
		this.#dependencies = dependencies;
		this.#maps = maps;
		this.#chains = chains;
		this.#endpoints = endpoints;
	}

	/** Interfaces where programs judge at an early stage, with the names of these programs. */
	get early(): ReadonlyMap<string, readonly string[]> {
		const names = ({ host }: AttachedHost) => earlyOf(host).map(({ name }) => name);
		return new Map([...this.#attached.values()].map((one) => [one.at.name, names(one)]));
	}

	/** Keys of the endpoints by the names of the interfaces that programs judge. */
	get judged(): ReadonlyMap<string, string> {
		return new Map([...this.#attached.values()].map(({ host, at }) => [at.name, host.key]));
	}

	get states(): Iterable<EndpointState> {
		return this.#attached.values();
	}

	/** Ids of the chains in use. */
	get chainIds(): readonly string[] {
		return [...this.#attached.values()].flatMap(({ chains }) => [...chains.values()]);
	}

	/** The endpoint and its rules at an interface. */
	find(
		interfaceIndex: number,
		of: RulesOf,
		direction: Direction,
	): { readonly endpoint: string; readonly chain: RuleChain | undefined } | undefined {
		const found = this.#attached.get(interfaceIndex);
		const id = found?.chains.get(rulesNumber(direction, of)) ?? '';
		return found && { endpoint: found.host.key, chain: this.#chains.get(id)?.chain };
	}

	/** Looks at the interfaces, unless there is no endpoint for one. */
	async look({ hosts }: Pick<NodePolicy, 'hosts'>): Promise<void> {
		this.#links = hosts.size === 0 ? [] : await this.#dependencies.links();
	}

	/** Are the programs at the interfaces that exist now? */
	async isIntact(policy: Pick<NodePolicy, 'hosts'>): Promise<boolean> {
		if (policy.hosts.size === 0) return this.#attached.size === 0;
		const present = presentHosts(policy, await this.#dependencies.links());
		return (
			present.length === this.#attached.size &&
			present.every(({ host, at }) => this.#attached.get(at.index)?.host.key === host.key)
		);
	}

	/** At the last look. */
	present(policy: Pick<NodePolicy, 'hosts'>): readonly PresentHost[] {
		return presentHosts(policy, this.#links);
	}

	/**
	 * Before the first programs, and before the first of preDNAT policy: connections that the kernel
	 * tracks, or programs translate, pass without a rule. @throws SystemCallError
	 */
	async takeOver(
		policy: Pick<NodePolicy, 'hosts'>,
		flows: (() => Promise<readonly Flow[]>) | undefined,
	): Promise<void> {
		const present = this.present(policy);
		const dependencies = { maps: this.#maps, ...(flows === undefined ? {} : { flows }) };
		if (present.length > 0 && this.#attached.size === 0) await takeOver(dependencies, hostConnectionEntries);
		if (!present.some(judgesFirst) || [...this.#attached.values()].some(judgesFirst)) return;
		await takeOver(dependencies, earlyConnectionEntries);
		takeOverEarly(this.#maps, this.#dependencies.translated?.() ?? []);
	}

	requests(present: readonly PresentHost[]): ChainRequest[] {
		return present.flatMap(({ host }) => rulesOf(host).map(({ request }) => request));
	}

	/**
	 * Loads what goes to these interfaces; the result closes what it replaces. @throws VerifierError,
	 * SystemCallError
	 */
	load(present: readonly PresentHost[], { settings, sets }: Pick<NodePolicy, 'settings' | 'sets'>): () => void {
		const knowsNodes = sets.has(settings.nodes);
		const text = JSON.stringify({ ...settings, knowsNodes });
		const former = this.#entries;
		const programs = new Map<string, LoadedProgram>();
		const made: LoadedProgram[] = [];
		const load = (id: string, name: string, compile: () => AssembledProgram) => {
			if (programs.has(id)) return;
			const standing = former.settings === text ? former.programs.get(id) : undefined;
			const program = standing ?? LoadedProgram.load(compile(), { name, type: 'schedClassifier', maps: this.#maps });
			if (standing === undefined) made.push(program);
			programs.set(id, program);
		};
		try {
			for (const { host, at } of present) {
				const { link } = at;
				for (const direction of directions)
					load(`${link} ${direction}`, direction === 'ingress' ? 'host_in' : 'host_out', () =>
						compileHostEntry({ direction, settings, link, knowsNodes }),
					);
				for (const early of earlyOf(host)) {
					const { stage, direction } = early;
					load(earlyId(link, early), early.name, () => compileHostEarly({ stage, direction, link, settings }));
				}
			}
		} catch (error) {
			for (const program of made) program.close();
			throw error;
		}
		this.#entries = { settings: text, programs };
		const kept = new Set(programs.values());
		return () => {
			for (const program of former.programs.values()) if (!kept.has(program)) program.close();
		};
	}

	/** @throws MapFullError, SystemCallError, NetlinkError */
	async install(present: readonly PresentHost[], checked: boolean, formerSettings: string): Promise<void> {
		for (const { host, at } of present) {
			const chains = new Map(
				rulesOf(host).map(({ of, direction, request }) => [rulesNumber(direction, of), this.#chains.idOf(request)]),
			);
			const place = (of: RulesOf, direction: Direction) =>
				this.#chains.get(chains.get(rulesNumber(direction, of)) ?? '')?.first ?? { ipv4: 0, ipv6: 0 };
			const places = (of: RulesOf) => ({ ingress: place(of, 'ingress'), egress: place(of, 'egress') });
			const before = this.#attached.get(at.index);
			const early = earlyOf(host);
			const next: AttachedHost = {
				...{ host, at, chains, interfaceIndex: at.index, addresses: [] },
				...{ first: places('own'), forward: places('forward') },
				early: early.map(({ stage, direction }) => ({ stage, direction, places: place(stage, direction) })),
			};
			const standing = checked ? undefined : before;
			const isNew = checked || before?.at.name !== at.name || formerSettings !== this.#entries.settings;
			// What denies before stands before later rules open.
			this.#endpoints.setEarly(next, standing);
			const had = new Set(before === undefined ? [] : earlyOf(before.host));
			for (const one of early) if (isNew || !had.has(one)) await this.#attachEarly(at, one);
			this.#endpoints.set(next, standing);
			if (isNew)
				for (const direction of directions) {
					const program = this.#entries.programs.get(`${at.link} ${direction}`);
					if (program !== undefined) await this.#dependencies.attacher.set(pointOf(at, direction), program);
				}
			for (const one of earlyPrograms)
				if (!early.includes(one) && (checked || had.has(one))) await this.#removeEarly(at, one);
			this.#endpoints.forget(next, before);
			this.#attached.set(at.index, next);
		}
	}

	async #attachEarly(at: HostLink, early: EarlyProgram): Promise<void> {
		const program = this.#entries.programs.get(earlyId(at.link, early));
		if (program !== undefined) await this.#dependencies.early[early.stage].set(pointOf(at, early.direction), program);
	}

	#removeEarly(at: HostLink, { stage, direction }: EarlyProgram): Promise<void> {
		return this.#dependencies.early[stage].remove(pointOf(at, direction));
	}

	/** What the entries in use were compiled for. */
	get settings(): string {
		return this.#entries.settings;
	}

	/** Takes the programs off all interfaces but these. @throws SystemCallError, NetlinkError */
	async keepOnly(present: readonly PresentHost[]): Promise<void> {
		const kept = new Set(present.map(({ at }) => at.index));
		for (const [index, attached] of this.#attached) {
			if (kept.has(index)) continue;
			for (const one of earlyOf(attached.host)) await this.#removeEarly(attached.at, one);
			for (const direction of directions) await this.#dependencies.attacher.remove(pointOf(attached.at, direction));
			this.#endpoints.remove(attached);
			this.#attached.delete(index);
		}
	}

	/** Removes what an earlier process left elsewhere. @throws SystemCallError, NetlinkError */
	async prune(): Promise<void> {
		await this.#dependencies.attacher.prune(
			[...this.#attached.values()].flatMap(({ at }) => directions.map((direction) => pointOf(at, direction))),
		);
		for (const stage of ['untracked', 'pre-dnat'] as const)
			await this.#dependencies.early[stage].prune(
				[...this.#attached.values()].flatMap(({ at, host }) =>
					earlyOf(host)
						.filter((one) => one.stage === stage)
						.map(({ direction }) => pointOf(at, direction)),
				),
			);
	}

	close(): void {
		for (const program of this.#entries.programs.values()) program.close();
		this.#entries = { settings: '', programs: new Map() };
		this.#dependencies.attacher.close();
		for (const attacher of Object.values(this.#dependencies.early)) attacher.close();
	}
}

const judgesFirst = ({ host }: PresentHost): boolean => host.preDnat.ingress.tiers.length > 0;
const earlyOf = (host: HostEndpoint): EarlyProgram[] =>
	earlyPrograms.filter((program) => earlyPolicy(host, program) !== undefined);
const earlyId = (link: HostLink['link'], { name }: EarlyProgram): string => `${link} ${name}`;

const pointOf = ({ index, name }: HostLink, hook: Direction): AttachPoint => ({
	interfaceIndex: index,
	interfaceName: name,
	hook,
});
