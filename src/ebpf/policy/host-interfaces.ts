import type { Link } from '../../linux/index.ts';
import type { Direction, HostEndpoint, NodePolicy } from '../../policy/index.ts';
import type { Attacher, AttachPoint } from '../kernel/attach.ts';
import { LoadedProgram } from '../kernel/program.ts';
import type { RuleChain } from './chain.ts';
import type { ChainKeeper, ChainRequest } from './chain-keeper.ts';
import type { EndpointKeeper, EndpointState } from './endpoint-keeper.ts';
import { compileHostEntry, type HostEntryOptions } from './host-entry.ts';
import type { PolicyMaps, RulesOf } from './maps.ts';

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
	readonly links: () => Promise<readonly HostLink[]>;
}

/** An interface with the host endpoint that holds for it. */
interface PresentHost {
	readonly host: HostEndpoint;
	readonly at: HostLink;
}

interface AttachedHost extends EndpointState {
	readonly host: HostEndpoint;
	readonly at: HostLink;
	/** Ids of its chains. */
	readonly chains: Readonly<Record<RulesOf, Readonly<Record<Direction, string>>>>;
}

interface Entries {
	readonly settings: string;
	readonly programs: ReadonlyMap<string, LoadedProgram>;
}

const policyOf = ({ normal, forward }: HostEndpoint, of: RulesOf, direction: Direction): ChainRequest => ({
	policy: (of === 'own' ? normal : forward)[direction],
	toHost: 'accept',
});

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

	/** Keys of the endpoints by the names of the interfaces that programs judge. */
	get judged(): ReadonlyMap<string, string> {
		return new Map([...this.#attached.values()].map(({ host, at }) => [at.name, host.key]));
	}

	get states(): Iterable<EndpointState> {
		return this.#attached.values();
	}

	/** Ids of the chains in use. */
	get chainIds(): readonly string[] {
		return [...this.#attached.values()].flatMap(({ chains }) =>
			bothRules.flatMap((of) => directions.map((direction) => chains[of][direction])),
		);
	}

	/** The endpoint and its rules at an interface. */
	find(
		interfaceIndex: number,
		of: RulesOf,
		direction: Direction,
	): { readonly endpoint: string; readonly chain: RuleChain | undefined } | undefined {
		const found = this.#attached.get(interfaceIndex);
		return found && { endpoint: found.host.key, chain: this.#chains.get(found.chains[of][direction])?.chain };
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

	requests(present: readonly PresentHost[]): ChainRequest[] {
		return present.flatMap(({ host }) =>
			bothRules.flatMap((of) => directions.map((direction) => policyOf(host, of, direction))),
		);
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
		try {
			for (const link of new Set(present.map(({ at }) => at.link)))
				for (const direction of directions) {
					const id = `${link} ${direction}`;
					const standing = former.settings === text ? former.programs.get(id) : undefined;
					const program =
						standing ??
						LoadedProgram.load(compileHostEntry({ direction, settings, link, knowsNodes }), {
							...{ name: direction === 'ingress' ? 'host_in' : 'host_out', type: 'schedClassifier' },
							maps: this.#maps,
						});
					if (standing === undefined) made.push(program);
					programs.set(id, program);
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
			const idsOf = (of: RulesOf) => ({
				ingress: this.#chains.idOf(policyOf(host, of, 'ingress')),
				egress: this.#chains.idOf(policyOf(host, of, 'egress')),
			});
			const chains = { own: idsOf('own'), forward: idsOf('forward') };
			const places = (of: RulesOf) => ({
				ingress: this.#chains.get(chains[of].ingress)?.first ?? { ipv4: 0, ipv6: 0 },
				egress: this.#chains.get(chains[of].egress)?.first ?? { ipv4: 0, ipv6: 0 },
			});
			const before = this.#attached.get(at.index);
			const next: AttachedHost = {
				...{ host, at, chains, interfaceIndex: at.index, addresses: [] },
				...{ first: places('own'), forward: places('forward') },
			};
			this.#endpoints.set(next, checked ? undefined : before);
			if (checked || before?.at.name !== at.name || formerSettings !== this.#entries.settings)
				for (const direction of directions) {
					const program = this.#entries.programs.get(`${at.link} ${direction}`);
					if (program !== undefined) await this.#dependencies.attacher.set(pointOf(at, direction), program);
				}
			this.#attached.set(at.index, next);
		}
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
	}

	close(): void {
		for (const program of this.#entries.programs.values()) program.close();
		this.#entries = { settings: '', programs: new Map() };
		this.#dependencies.attacher.close();
	}
}

const pointOf = ({ index, name }: HostLink, hook: Direction): AttachPoint => ({
	interfaceIndex: index,
	interfaceName: name,
	hook,
});
