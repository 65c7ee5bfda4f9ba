import type { Config } from '../config/index.ts';
import {
	type Clock,
	type ErrorView,
	inSlices,
	type Logger,
	podInterfacePrefix,
	type Steps,
	type Timer,
} from '../core/index.ts';
import {
	blocks,
	checkLimits,
	checkSettings,
	evaluate,
	type HealthFacts,
	HealthTracker,
	type PeerFact,
	type Problem,
	readConnections,
	type SettingNeeds,
	settingsToWrite,
	sustained,
} from '../health/index.ts';
import { interfacesWithSettings, readSetting, writeSetting } from '../linux/index.ts';
import { directDeviceNames } from '../vxlan/index.ts';
import { descriptorAlarm, descriptorLimit, descriptorsInUse, descriptorWarning } from './descriptors.ts';
import { blocksOf, poolsOf } from './node-state.ts';
import { interfaceWarnings, policyWarnings } from './policy-warnings.ts';
import type { Rooms } from './rooms.ts';
import { nextHopsStatus } from './status.ts';

/** The inputs of health. */
export interface HealthDependencies {
	/** `undefined` while the daemon starts or stops. */
	readonly rooms: () => Rooms | undefined;
	readonly config: () => Config;
	readonly recentBlockSeconds: () => number;
	readonly lastReloadError: () => ErrorView | undefined;
	readonly clock: Clock;
	readonly log: Logger;
	/**
	 * Called after each check with the reason why the network of this node does not work;
	 * `undefined`: it works.
	 */
	readonly onNetwork: (reason: string | undefined) => void;
}

const lookMs = 5000;
/** Number of checks between requests to the API server that only serve health. */
const looksPerRequest = 6;
/** Number of checks between two lists of the kernel's routes. */
const looksPerLeftRoutes = 2;
const mostFailedRoutes = 50;
/**
 * Age from which a problem changes the condition of the Node: a start and a change of pools take
 * less.
 */
const networkPatienceMs = 15_000;

/**
 * Checks this node every 5 s, writes the required kernel settings once, and logs problems that
 * begin and end.
 */
export class HealthMonitor {
	readonly #dependencies: HealthDependencies;
	readonly #tracker = new HealthTracker();
	readonly #written = new Set<string>();
	#known = new Map<string, Problem>();
	/** Problems that the condition of the Node shows. */
	#blocking: readonly Problem[] = [];
	#noAddresses: string | undefined;
	#timer: Timer | undefined;
	#looks = 0;
	#stopped = false;

	constructor(dependencies: HealthDependencies) {
		this.#dependencies = dependencies;
	}

	/** Resolves after the first check. */
	async start(): Promise<void> {
		await this.#look();
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
	}

	/** The current problems. Reads kernel settings, sends nothing. */
	async problems(): Promise<readonly Problem[]> {
		const rooms = this.#dependencies.rooms();
		if (rooms === undefined) return [];
		return this.#tracker.update(evaluate(await this.#facts(rooms)), this.#dependencies.clock.wallMs());
	}

	async #look(): Promise<void> {
		const { clock, log } = this.#dependencies;
		try {
			await this.#lookOnce();
		} catch (error) {
			log.error('health could not be determined', { error: error instanceof Error ? error.message : String(error) });
		}
		if (!this.#stopped) this.#timer = clock.after(lookMs, () => void this.#look());
	}

	async #lookOnce(): Promise<void> {
		const { clock, rooms, onNetwork } = this.#dependencies;
		const running = rooms();
		if (running === undefined) return;
		const first = this.#looks === 0;
		if (this.#looks % looksPerLeftRoutes === 0) await running.kernel?.leftRoutes.look();
		if (this.#looks++ % looksPerRequest === 0) void this.#askForAddresses(running);
		// A newly created tunnel device counts as new.
		this.#writeSettings();
		const found = await this.problems();
		if (this.#stopped) return;
		this.#logChanges(found);
		// A problem of the first check is not caused by a change in progress: the planes had their
		// first pass.
		const patienceMs = first ? 0 : networkPatienceMs;
		this.#blocking = sustained(blocks('network', found), this.#blocking, clock.wallMs() - patienceMs);
		const [blocking] = this.#blocking;
		onNetwork(blocking && `${blocking.text} ${blocking.reason}`);
	}

	async #askForAddresses({ addresses }: Rooms): Promise<void> {
		if (addresses === undefined) return;
		try {
			await addresses.cniStatus({});
			this.#noAddresses = undefined;
		} catch (error) {
			this.#noAddresses = error instanceof Error ? error.message : String(error);
		}
	}

	#logChanges(found: readonly Problem[]): void {
		const { log } = this.#dependencies;
		// Sessions have separate log lines.
		const logged = found.filter(({ id }) => id !== 'session-down' && id !== 'no-session');
		const now = new Map(logged.map((problem) => [`${problem.id} ${problem.subject}`, problem]));
		for (const [key, { id, severity, subject, reason, remedy }] of now)
			if (!this.#known.has(key))
				log[severity === 'error' ? 'error' : 'warn']('problem', { id, subject, reason, remedy });
		for (const [key, { id, subject }] of this.#known) if (!now.has(key)) log.info('problem solved', { id, subject });
		this.#known = now;
	}

	/** Writes each setting once: if another program reverts it, health reports it. */
	#writeSettings(): void {
		const { rooms, config, log } = this.#dependencies;
		const running = rooms();
		if (running?.kernel === undefined || !config().fib.hostSettings) return;
		const checks = checkSettings(this.#needs(running), readSetting);
		// The next interface of that name is another one.
		const present = new Set(checks.map(({ path }) => path));
		for (const path of this.#written) if (!present.has(path)) this.#written.delete(path);
		for (const { path, value } of settingsToWrite(checks)) {
			if (this.#written.has(path)) continue;
			this.#written.add(path);
			try {
				if (path === 'net/ipv6/conf/all/forwarding') keepRouterAdvertisements();
				writeSetting(path, value);
				log.info('kernel setting written', { setting: path, value });
			} catch (error) {
				log.warn('kernel setting could not be written', {
					setting: path,
					value,
					reason: error instanceof Error ? error.message : String(error),
				});
			}
		}
	}

	#needs({ planes, kernel, services }: Rooms): SettingNeeds {
		const { state } = planes;
		const prefixes =
			state === undefined ? [] : [...poolsOf(state).map(({ cidr }) => cidr as string), ...blocksOf(state)];
		return {
			ipv4: prefixes.some((prefix) => !prefix.includes(':')),
			ipv6: prefixes.some((prefix) => prefix.includes(':')),
			tunnels: kernel?.tunnelDevices ?? [],
			interfaces: [],
			direct: services?.kernel?.direct.usesDevice === true ? Object.values(directDeviceNames) : [],
			pods: interfacesWithSettings('ipv4').filter((name) => name.startsWith(podInterfacePrefix)),
		};
	}

	async #facts(rooms: Rooms): Promise<HealthFacts> {
		const { recentBlockSeconds, lastReloadError, config } = this.#dependencies;
		const { speaker, rib, kernel, cluster, nextHops, follower, addresses } = rooms;
		const now = config();
		const limit = descriptorLimit();
		const { configured, dynamic } = speaker.peerCounts();
		const sessions = configured + dynamic + (now.bgp?.peerRanges ?? []).reduce((sum, range) => sum + range.limit, 0);
		return {
			peers: await inSlices(notUp(speaker)),
			fib: kernel && {
				failed: kernel.fib.failed(mostFailedRoutes),
				failedCount: kernel.fib.stats().failing,
				refusal: kernel.fib.refusal,
				staticProblems: kernel.fib.staticProblems(),
			},
			leftRoutes: kernel?.leftRoutes.found ?? [],
			planes: await rooms.planes.viewsBut('routes'),
			...(rooms.services?.refusal === undefined ? {} : { servicesRefusal: rooms.services.refusal }),
			networkPolicy: rooms.policy && (await import('./policy/view.ts')).policyFacts(rooms.policy),
			settings: kernel === undefined ? [] : checkSettings(this.#needs(rooms), readSetting),
			limits:
				kernel === undefined ? [] : checkLimits({ connections: readConnections(readSetting), tunnels: [], pods: [] }),
			mtuHoles: kernel?.tunnelProbe.holes ?? [],
			unreachableNextHops: nextHops === undefined ? [] : nextHopsStatus(rib.nextHops()).unreachable,
			...peerFacts(rooms),
			cluster: cluster && {
				server: cluster.server,
				awaySinceMs: cluster.awaySinceMs(),
				refusals: cluster.refusals,
				unreadable: cluster.unreadable,
				unusable: cluster.problems,
				notFollowed: follower?.problems ?? [],
				noAddresses: addresses === undefined ? undefined : this.#noAddresses,
			},
			recentBlockSeconds: recentBlockSeconds(),
			lastReloadError: lastReloadError(),
			descriptors: [descriptorWarning(limit, sessions), descriptorAlarm(limit, descriptorsInUse())].filter(
				(text) => text !== undefined,
			),
			policies: policyWarnings(now),
			interfacePolicies: nextHops === undefined ? interfaceWarnings([...speaker.eachPeerOptions()], false) : [],
		};
	}
}

/** The facts about single peers. */
export const peerFacts = ({
	rib,
	speaker,
}: Pick<Rooms, 'rib' | 'speaker'>): Pick<HealthFacts, 'withoutNextHop' | 'nearLimit' | 'withoutKey'> => ({
	withoutNextHop: rib.withoutNextHop(),
	nearLimit: rib.nearLimit(),
	withoutKey: speaker.withoutKey(),
});

/**
 * The sessions that may be a problem; none if all are established, so that thousands of peers cost
 * nothing.
 */
function* notUp(speaker: Rooms['speaker']): Steps<readonly PeerFact[]> {
	const { configured, dynamic, disabled, states } = speaker.peerCounts();
	if (states.established >= configured + dynamic - disabled) return [];
	const listed: PeerFact[] = [];
	for (const peer of speaker.eachPeer()) {
		listed.push(peer);
		yield;
	}
	return listed;
}

/**
 * A forwarding host ignores router advertisements, and with them its default route, unless
 * accept_ra is 2.
 */
function keepRouterAdvertisements(): void {
	for (const name of interfacesWithSettings('ipv6')) {
		const path = `net/ipv6/conf/${name}/accept_ra`;
		if (readSetting(path) === '1') writeSetting(path, '2');
	}
}

/** The response of `/healthz` or `/readyz`. */
export interface HealthAnswer {
	readonly ok: boolean;
	/** `ok`, or one line for each blocking problem. */
	readonly text: string;
}

/**
 * `found`: `undefined` while the daemon starts or stops. Alive: the event loop turns, otherwise
 * there would be no response. Pure.
 */
export function healthAnswer(what: 'alive' | 'ready', found: readonly Problem[] | undefined): HealthAnswer {
	if (what === 'alive') return { ok: true, text: 'ok\n' };
	if (found === undefined) return { ok: false, text: 'starting or stopping\n' };
	const blocking = blocks('ready', found);
	if (blocking.length === 0) return { ok: true, text: 'ok\n' };
	return {
		ok: false,
		text: blocking.map(({ id, subject, reason }) => `${id} ${subject}: ${reason}\n`).join(''),
	};
}
