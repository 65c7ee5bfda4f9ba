import { describePeerChange } from '../bgp/index.ts';
import { ClusterAccessError } from '../cli/index.ts';
import { type Config, ConfigError, loadConfig } from '../config/index.ts';
import { ControlError, ControlServer, type ReloadView, type StatusView } from '../control/index.ts';
import { Boundary, type Clock, type ErrorView, guardedClock, inSlices, systemClock } from '../core/index.ts';
import type { NodeStatusSources } from '../node/index.ts';
import { applyReload } from './apply.ts';
import { compose } from './compose.ts';
import { descriptorAlarm, descriptorLimit, descriptorsInUse } from './descriptors.ts';
import { EventLoopMonitor } from './event-loop.ts';
import { createHandlers } from './handlers.ts';
import { type HealthAnswer, HealthMonitor, healthAnswer } from './health.ts';
import { identifierText } from './identity.ts';
import type { DaemonLog } from './log.ts';
import { createMetrics } from './metrics/metrics.ts';
import { MonitorHub } from './monitor.ts';
import { readPasswords } from './passwords.ts';
import { optionsByName, type PasswordKeys } from './peer-options.ts';
import { readResourceFiles } from './resource-files.ts';
import type { Rooms } from './rooms.ts';
import { followRoutes } from './route-events.ts';
import { planSteps } from './running.ts';
import { nextHopsStatus, statusOf } from './status.ts';

/** The inputs of the daemon. */
export interface DaemonOptions {
	readonly configFile: string;
	readonly config: Config;
	readonly node: string;
	readonly version: string;
	readonly log: DaemonLog;
}

const descriptorCheckMs = 30_000;
/** Names in a line of the log. */
const mostNamesLogged = 50;

/** The running daemon: rooms, control socket, and the configuration in force. */
export class Daemon {
	readonly #options: DaemonOptions;
	readonly #control: ControlServer;
	readonly #hub = new MonitorHub();
	readonly #eventLoop = new EventLoopMonitor();
	readonly #health: HealthMonitor;
	readonly #startedAtMs = Date.now();
	readonly #boundary: Boundary;
	/** For everything the daemon constructs: an exception of a timer is a count, not the end. */
	readonly #clock: Clock;
	#rooms: Rooms | undefined;
	#config: Config;
	#keys: PasswordKeys = new Map();
	#loadedAt = new Date();
	#reloading: Promise<unknown> = Promise.resolve();
	#reloads = { done: 0, refused: 0 };
	#lastReloadError: ErrorView | undefined;
	#alarm: NodeJS.Timeout | undefined;
	#alarmed = false;

	constructor(options: DaemonOptions) {
		const { config, log, version } = options;
		this.#options = options;
		this.#config = config;
		this.#boundary = new Boundary({ log, clock: systemClock });
		this.#clock = guardedClock(systemClock, (error) => this.#boundary.report('timer', error));
		this.#health = new HealthMonitor({
			rooms: () => this.#rooms,
			config: () => this.#config,
			recentBlockSeconds: () => this.#eventLoop.recentSeconds(),
			lastReloadError: () => this.#lastReloadError,
			clock: this.#clock,
			log: log.child({ component: 'health' }),
			onNetwork: (reason) => this.#rooms?.cluster?.duties.setNetworkProblem(reason),
		});
		this.#control = new ControlServer({
			socket: config.control.socket,
			group: config.control.group,
			metrics: config.metrics.listen,
			boundary: this.#boundary,
			handlers: createHandlers({
				rooms: () => this.#ready(),
				hub: this.#hub,
				status: () => this.status(),
				problems: () => this.#health.problems(),
				config: () => ({ file: options.configFile, loadedAt: this.#loadedAt.toISOString(), config: this.#config }),
				reload: (dryRun) => this.reload(dryRun),
			}),
			renderHealth: (what) => this.#renderHealth(what),
			renderMetrics: createMetrics({
				version,
				eventLoop: this.#eventLoop,
				boundary: this.#boundary,
				monitors: () => this.#hub.statistics,
				speaker: () => this.#rooms?.speaker,
				rib: () => this.#rooms?.rib.statistics(),
				fib: () => this.#rooms?.kernel?.fib,
				planes: async () => (await this.#rooms?.planes.views()) ?? [],
				nextHops: () => (this.#rooms?.nextHops === undefined ? undefined : nextHopsStatus(this.#rooms.rib.nextHops())),
				cluster: () => this.#rooms?.cluster,
				problems: async () => (this.#rooms === undefined ? undefined : this.#health.problems()),
				services: async () => this.#rooms?.services?.figures(),
				policy: async () => this.#rooms?.policy?.figures(),
				reloads: () => this.#reloads,
			}),
		});
	}

	/**
	 * Takes the control socket, then starts every room. @throws ConfigError, SocketInUseError, or
	 * the system's errors
	 */
	async start(): Promise<void> {
		const { config, configFile, node, log } = this.#options;
		this.#keys = await readPasswords(config, configFile);
		// The socket is first: a second daemon must not change sessions or kernel.
		const { leftBehind } = await this.#control.start();
		try {
			const rooms = await compose({
				config,
				configFile,
				node,
				keys: this.#keys,
				log,
				restarting: leftBehind,
				boundary: this.#boundary,
				clock: this.#clock,
			});
			this.#rooms = rooms;
			rooms.speaker.onEvent(({ type, at, peer, state, reason }) => {
				// `established` follows as a separate event.
				if (type === 'state' && state === 'established') return;
				if (this.#hub.watched('session'))
					this.#hub.publish({
						type: 'session',
						at,
						event: type,
						peer,
						state,
						...(reason === undefined ? {} : { reason }),
					});
			});
			rooms.cluster?.report(() => this.#nodeStatus(rooms));
			this.#hub.setRouteSource(() => followRoutes(rooms.rib, this.#hub));
		} catch (error) {
			await this.#control.stop();
			throw error;
		}
		this.#alarm = setInterval(() => this.#watchDescriptors(), descriptorCheckMs).unref();
		this.#eventLoop.start();
		await this.#health.start();
	}

	/**
	 * Ends every session (CEASE 6/2, or silently if neighbours should bridge a restart); kernel
	 * routes stay. Pods whose deletion has begun are served to their end.
	 */
	async stop(reason: string, graceful: boolean): Promise<void> {
		await this.#rooms?.cluster?.untilPodsEnded();
		const rooms = this.#rooms;
		this.#rooms = undefined;
		if (rooms !== undefined) {
			rooms.follower?.stop();
			rooms.kernel?.tunnelProbe.stop();
			await rooms.services?.stop();
			rooms.policy?.stop();
			await rooms.cluster?.stop(!graceful);
			// The kernel side stops first: the ending sessions withdraw routes from the tables,
			// which must stay in the kernel.
			await rooms.planes.stop();
			await rooms.ways?.stop();
			await rooms.speaker.stop({ graceful, reason });
		}
		this.#eventLoop.stop();
		this.#health.stop();
		clearInterval(this.#alarm);
		// Peers that keep the routes must receive an OPEN that announces the restart.
		await this.#control.stop({ leaveBehind: graceful });
	}

	/** A rejected promise that nothing awaits: the daemon continues without that work. */
	rejected(reason: unknown): void {
		this.#boundary.report('promise', reason);
	}

	/** A reload without a waiting caller: errors are logged. */
	async reloadBySignal(): Promise<void> {
		try {
			await this.reload(false);
		} catch (error) {
			// A refused file was logged where it was detected.
			if (!(error instanceof ControlError)) this.#boundary.report('config', error);
		}
	}

	/**
	 * Reads the file again and applies the differences. One reload at a time. @throws ControlError
	 * if the file is invalid; the running configuration stays
	 */
	async reload(dryRun: boolean): Promise<ReloadView> {
		const turn = this.#reloading.then(() => this.#reload(dryRun));
		this.#reloading = turn.catch(() => undefined);
		return turn;
	}

	/** The status of all rooms. */
	async status(): Promise<StatusView> {
		const { node, version, configFile } = this.#options;
		const rooms = this.#ready();
		const fibCounts = (await rooms.kernel?.fib.overview())?.counts;
		const planes = await rooms.planes.views();
		return statusOf({
			fibCounts,
			planes,
			node,
			version,
			configFile,
			rooms: this.#ready(),
			startedAtMs: this.#startedAtMs,
			nowMs: Date.now(),
			loadedAt: this.#loadedAt.toISOString(),
			lastReloadError: this.#lastReloadError,
			longestBlockSeconds: this.#eventLoop.longestSeconds(),
			problems: await this.#health.problems(),
		});
	}

	async #renderHealth(what: 'alive' | 'ready'): Promise<HealthAnswer> {
		return healthAnswer(what, this.#rooms === undefined ? undefined : await this.#health.problems());
	}

	/** The status of this node in the cluster. */
	#nodeStatus({ speaker, rib, kernel }: Rooms): NodeStatusSources {
		return {
			version: this.#options.version,
			routerId: identifierText(speaker.identity.routerId),
			startedAt: new Date(this.#startedAtMs),
			configuredAt: this.#loadedAt,
			peers: speaker.peers(),
			routes: (family, limit) => rib.routes({ family, limit }),
			kernelRoutes: (prefix) => kernel?.fib.routesOf(prefix) ?? [],
		};
	}

	async #reload(dryRun: boolean): Promise<ReloadView> {
		const { configFile, log } = this.#options;
		const rooms = this.#ready();
		const before = this.#config;
		const { next, keys } = await this.#load(dryRun);
		const was = optionsByName(before, this.#keys);
		const { view: plan, after } = await inSlices(
			planSteps(configFile, dryRun, before, next, (config) => {
				const becomes = optionsByName(config, keys);
				return (name) => {
					const [from, to] = [was(name), becomes(name)];
					return from === undefined || to === undefined ? undefined : describePeerChange(from, to);
				};
			}),
		);
		if (dryRun) return plan;
		await applyReload(rooms, { node: this.#options.node, before, after, keys, log });
		this.#config = after;
		this.#keys = keys;
		this.#loadedAt = new Date();
		this.#lastReloadError = undefined;
		this.#reloads.done++;
		log.info('configuration reloaded', {
			file: configFile,
			changes: plan.changes.length,
			resets: plan.resets.slice(0, mostNamesLogged),
			...(plan.resets.length > mostNamesLogged ? { resetCount: plan.resets.length } : {}),
		});
		this.#hub.publish({
			type: 'config',
			at: new Date().toISOString(),
			event: 'reloaded',
			message: `${plan.changes.length} changes`,
		});
		return plan;
	}

	/**
	 * The current file; its resource files can be read. @throws ControlError with the errors of
	 * either
	 */
	async #load(dryRun: boolean): Promise<{ readonly next: Config; readonly keys: PasswordKeys }> {
		const { configFile, log } = this.#options;
		try {
			const next = await loadConfig(configFile);
			readResourceFiles(next.networkPolicy.resourceFiles);
			return { next, keys: await readPasswords(next, configFile) };
		} catch (error) {
			if (!(error instanceof ConfigError || error instanceof ClusterAccessError)) throw error;
			if (!dryRun) {
				const at = new Date().toISOString();
				this.#reloads.refused++;
				this.#lastReloadError = { at, message: error.message };
				log.error('configuration refused, the running one stays', {
					file: configFile,
					...(error instanceof ConfigError ? { problems: error.problems } : { reason: error.message }),
				});
				this.#hub.publish({ type: 'config', at, event: 'rejected', message: error.message });
			}
			throw new ControlError(
				422,
				'config-invalid',
				error.message,
				'Nothing was changed: the daemon goes on with the configuration it has.',
			);
		}
	}

	#ready(): Rooms {
		if (this.#rooms === undefined)
			throw new ControlError(503, 'not-ready', 'the daemon is starting or stopping', 'try again in a second');
		return this.#rooms;
	}

	/** The runtime silently closes a connection without a free descriptor. */
	#watchDescriptors(): void {
		const alarm = descriptorAlarm(descriptorLimit(), descriptorsInUse());
		if (alarm !== undefined && !this.#alarmed) this.#options.log.error(alarm);
		this.#alarmed = alarm !== undefined;
	}
}
