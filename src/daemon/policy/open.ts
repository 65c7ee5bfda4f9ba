import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Config } from '../../config/index.ts';
import { type Clock, canonicalAddress, type Logger } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import { Conntrack, loadRuleset } from '../../linux/index.ts';
import { ConnectionCutter, NftablesPolicy, type PolicyCounter, policyTable, TableWatch } from '../../nftables/index.ts';
import type { Cluster } from '../../node/index.ts';
import { findOtherEngine, hostPortsOf, type OtherEngine } from '../../policy/index.ts';
import { findOtherProxy } from '../../services/index.ts';
import { readResourceFiles } from '../resource-files.ts';
import type { Rooms } from '../rooms.ts';
import { readProxySigns } from '../services/other-proxy.ts';
import type { ServicesWithSockets, SocketDependencies } from '../services/sockets.ts';
import { type DataplaneName, PolicyBackends } from './backends.ts';
import { EventFollower, openPacketLog } from './drops.ts';
import { adoptEbpf, EbpfUnavailableError, type OpenedEbpf, openEbpf, removeEbpf } from './ebpf.ts';
import { type PolicyFigures, PolicyLabels, policyFigures } from './figures.ts';
import { findForeignRules } from './foreign-rules.ts';
import { hostEndpointAt } from './names.ts';
import { ProblemEvents } from './problem-events.ts';
import { ProgramEvents } from './program-events.ts';
import { PolicyReporter, reportOf } from './reporter.ts';
import { PolicySide } from './side.ts';

export interface PolicyRoomDependencies {
	readonly node: string;
	readonly config: Config;
	/** See `hasObsoletePolicy`. */
	readonly removesObsolete: boolean;
	/** `undefined`: `datastore: none`; resources are read from files. */
	readonly cluster: Cluster | undefined;
	readonly planes: Rooms['planes'];
	/** The programmer of Services on this node. */
	readonly services?: () => ServicesWithSockets | undefined;
	readonly log: Logger;
	readonly clock: Clock;
}

/** Network policy of this node, connected to the registry of planes. */
export interface OpenedPolicy {
	readonly side: PolicySide;
	/** `undefined`: policies are not enforced, by the file or because of another engine. */
	readonly kernel: PolicyBackends | undefined;
	/** Another engine is on this node, and enforcement is refused. */
	readonly refusal: OtherEngine | undefined;
	readonly drops: EventFollower;
	/** Connections of pods as they begin; only eBPF reports them. */
	readonly flows: EventFollower;
	/** Where maps and programs are pinned. */
	readonly pinDirectory: string;
	/** What all nodes report; `undefined`: no cluster, or enforcement is not configured. */
	readonly reporter: PolicyReporter | undefined;
	/**
	 * The interface by which this node reaches other hosts: that of its default route, else of the
	 * first address.
	 */
	readonly uplink: string;
	/** Packets decided by policies; `undefined`: not enforced, or not readable. */
	counters(): Promise<readonly PolicyCounter[] | undefined>;
	/** For metrics; asked several times in one turn of the event loop, the kernel is read once. */
	figures(): Promise<PolicyFigures>;
	/** Applies a new file: its resource files are read again. @throws ClusterAccessError */
	reload(config: Config): void;
	stop(): void;
}

/** Constructs and starts network policy; `undefined`: it is neither enforced nor shown. */
export async function openPolicy(dependencies: PolicyRoomDependencies): Promise<OpenedPolicy | undefined> {
	const { node, config, cluster, planes, clock } = dependencies;
	const { networkPolicy } = config;
	const log = dependencies.log.child({ component: 'policy' });
	if (dependencies.removesObsolete) await removeEarlier(dependencies, log);
	if (!networkPolicy.enforce && networkPolicy.resourceFiles.length === 0) return undefined;
	const objects = resourcesOf(config);
	const refusal = networkPolicy.enforce && !networkPolicy.besideOthers ? await otherEngine() : undefined;
	if (refusal !== undefined)
		log.error('network policy not enforced: another engine is on this node', {
			engine: refusal.name,
			seen: refusal.seen,
			hint: refusal.hint,
		});
	const resync = () => side.plane.resync();
	const backends = networkPolicy.enforce && refusal === undefined ? openKernel(dependencies, resync, log) : undefined;
	const { nftables, kernel } = backends ?? {};
	let { dataplane } = config;
	let ofFelix: DataplaneName | undefined;
	const choose = () => {
		// The file decides before the cluster.
		if (kernel?.want(dataplane ?? ofFelix ?? 'nftables') === true) resync();
	};
	let reporter: PolicyReporter | undefined;
	const hostInterfaces = interfacesByAddress();
	const side: PolicySide = new PolicySide({
		node,
		onProgress: () => reporter?.changed(),
		cluster: cluster === undefined ? undefined : { client: cluster.client, layout: cluster.layout },
		kernel,
		hostInterfaces,
		onDataplane: (bpfEnabled) => {
			ofFelix = bpfEnabled === undefined ? undefined : bpfEnabled ? 'ebpf' : 'nftables';
			choose();
		},
		clock,
		random: Math.random,
		log,
	});
	if (cluster !== undefined && networkPolicy.enforce) {
		reporter = openReporter(node, cluster, side, refusal !== undefined, { log, clock });
		const earlier = await reporter.earlier();
		if (earlier?.mode === 'enforced') side.progress.restore(earlier.recent);
	}
	const events =
		reporter &&
		cluster &&
		new ProblemEvents({
			...{ node, client: cluster.client, clock, random: Math.random, log },
			problems: () => side.feed.problems,
		});
	// The side applies changes itself; the registry shows and stops the plane.
	planes.register(side.plane, () => undefined);
	choose();
	side.start(objects);
	events?.start();
	const nameOf = (address: string) => {
		const { calculator } = side;
		const ofHost = hostEndpointAt(hostInterfaces.get(address), calculator.state.hosts.values());
		return calculator.podsAt(address)[0] ?? ofHost ?? calculator.nodeAt(address) ?? address;
	};
	const programEvents = new ProgramEvents({ ebpf: () => kernel?.ebpf, nameOf, clock, log });
	const watch =
		kernel &&
		new TableWatch(policyTable, {
			isIntact: () => kernel.isIntact(side.calculator.state),
			repair: resync,
			clock,
			log,
		});
	const labels = new PolicyLabels();
	let figures: Promise<PolicyFigures> | undefined;
	const counters = async () => {
		try {
			return kernel === undefined ? undefined : await kernel.counters();
		} catch (error) {
			log.warn('counters of policy not read', { reason: error instanceof Error ? error.message : String(error) });
			return undefined;
		}
	};
	return {
		side,
		kernel,
		refusal,
		uplink: uplinkOf(),
		reporter,
		drops: new EventFollower([
			openPacketLog({
				reference: (prefix) => nftables?.dropReference(prefix),
				nameOf,
				clock,
				log,
			}),
			programEvents.source('drops'),
		]),
		flows: new EventFollower([programEvents.source('flows')]),
		pinDirectory: config.ebpf.pinDirectory,
		counters,
		figures() {
			figures ??= policyFigures({ side, kernel, counters }, labels).finally(() => {
				figures = undefined;
			});
			return figures;
		},
		reload(after) {
			dataplane = after.dataplane;
			choose();
			side.setFiles(resourcesOf(after));
		},
		stop() {
			watch?.stop();
			reporter?.stop();
			events?.stop();
			side.stop();
		},
	};
}

function openReporter(
	node: string,
	{ client }: Cluster,
	side: PolicySide,
	refused: boolean,
	{ log, clock }: Pick<PolicyRoomDependencies, 'log' | 'clock'>,
): PolicyReporter {
	return new PolicyReporter({
		node,
		client,
		report: () => reportOf(node, side, refused),
		nodeUid: () => side.nodes.get(node),
		nodeCount: () => side.nodes.size,
		clock,
		random: Math.random,
		log,
	});
}

/** Nothing judges packets by a state of the policy that is not followed any more. */
async function removeEarlier(dependencies: PolicyRoomDependencies, log: Logger): Promise<void> {
	try {
		const { kernel } = openKernel(dependencies, () => {}, log);
		await kernel.removeEarlier();
		kernel.close();
	} catch (error) {
		log.warn('network policy of an earlier process not removed', {
			reason: error instanceof Error ? error.message : String(error),
		});
	}
}

/** @throws SystemCallError */
function openKernel(
	{ config: { ebpf }, services, clock }: PolicyRoomDependencies,
	retry: () => void,
	log: Logger,
): { readonly nftables: NftablesPolicy; readonly kernel: PolicyBackends } {
	const { pinDirectory } = ebpf;
	const conntrack = new Conntrack();
	const cutter = new ConnectionCutter({
		conntrack,
		ownAddresses: () => new Set(interfacesByAddress().keys()),
		beside: async (policy, own) => (await kernel.ebpf?.kernel.connections.cut(policy, own)) ?? { cut: 0, restored: 0 },
		onCut: ({ cut, restored }) => log.info('established connections follow the policy', { cut, restored }),
		onError: (error) => log.warn('established connections not checked', { reason: String(error) }),
	});
	const nftables = new NftablesPolicy({}, { load: loadRuleset });
	const kernel: PolicyBackends = new PolicyBackends({
		nftables,
		openEbpf: () =>
			openWithSockets(() => openEbpf(pinDirectory, conntrack, () => services?.()?.outside), services?.(), {
				...ebpf,
				conntrack,
				clock,
				log,
			}),
		hostPorts: async () => {
			const { nftTables, iptablesChains } = await readProxySigns();
			return hostPortsOf({ nftTables, chains: iptablesChains });
		},
		onEarlyRules: (endpoint) => services?.()?.followPolicy(endpoint),
		onHosts: (endpoint) => services?.()?.followHosts(endpoint),
		redirectsPods: ebpf.podRedirect,
		foreignRules: findForeignRules,
		track: (flows) => conntrack.add(flows),
		adoptEbpf: async () => {
			const earlier = adoptEbpf(pinDirectory, conntrack);
			if (earlier === undefined) {
				services?.()?.withoutPrograms();
				return undefined;
			}
			await services?.()?.adopt({ ...ebpf, conntrack, clock, log });
			return withServices(earlier, services?.());
		},
		removeEbpf: () => removeEbpf(pinDirectory),
		cutter,
		retry,
		clock,
		log,
	});
	return { nftables, kernel };
}

/**
 * Sockets first: egress rules of the programs see backends, and not the addresses of services.
 * @throws EbpfUnavailableError
 */
async function openWithSockets(
	open: () => OpenedEbpf,
	services: ServicesWithSockets | undefined,
	{
		pinDirectory,
		cgroup,
		interfaces,
		...rest
	}: Config['ebpf'] & Pick<SocketDependencies, 'conntrack' | 'clock' | 'log'>,
): Promise<OpenedEbpf> {
	const other = services === undefined ? findOtherProxy(await readProxySigns()) : undefined;
	if (other !== undefined)
		throw new EbpfUnavailableError([
			'another service proxy translates addresses of services behind the programs ' +
				`(${other.seen.join('; ')}): services.proxy: true takes its place`,
		]);
	const opened = open();
	try {
		await services?.start({ pinDirectory, cgroup, interfaces, ...rest });
	} catch (error) {
		opened.close();
		throw new EbpfUnavailableError([`services at sockets: ${error instanceof Error ? error.message : String(error)}`]);
	}
	return withServices(opened, services);
}

/** Programs of policy, and those of services, which are shown and go with them. */
const withServices = (opened: OpenedEbpf, services: ServicesWithSockets | undefined): OpenedEbpf => ({
	...opened,
	serviceMaps: () => services?.programMaps,
	outside: () => services?.outside,
	translator: (policy) => services?.translationByRules(policy),
	async remove() {
		await services?.stop();
		await opened.remove({ keepsTranslation: services?.drains ?? false });
	},
});

/** The objects of the files in the configuration. @throws ClusterAccessError */
const resourcesOf = ({ networkPolicy }: Config): readonly JsonObject[] =>
	readResourceFiles(networkPolicy.resourceFiles).map(({ object }) => object);

async function otherEngine(): Promise<OtherEngine | undefined> {
	const { nftTables, iptablesChains } = await readProxySigns();
	return findOtherEngine({ nftTables, chains: iptablesChains });
}

/**
 * From the kernel's routing table: the interface of the default route; without one the first that
 * is not the loopback.
 */
function uplinkOf(): string {
	try {
		const rows = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
		const row = rows.map((line) => line.split('\t')).find(([, destination]) => destination === '00000000');
		if (row?.[0] !== undefined) return row[0];
	} catch {
		// No IPv4 in this kernel.
	}
	return Object.keys(networkInterfaces()).find((name) => name !== 'lo') ?? 'lo';
}

function interfacesByAddress(): ReadonlyMap<string, string> {
	const found = new Map<string, string>();
	for (const [name, addresses] of Object.entries(networkInterfaces()))
		for (const { address } of addresses ?? []) found.set(canonicalAddress(address.replace(/%.*$/, '')), name);
	return found;
}
