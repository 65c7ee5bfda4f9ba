import { describePeerChange } from '../bgp/index.ts';
import { type Config, ConfigError, loadConfig } from '../config/index.ts';
import { ControlError, ControlServer, type ReloadView, type StatusView } from '../control/index.ts';
import type { ErrorView } from '../core/index.ts';
import { applyReload } from './apply.ts';
import type { NodeStatusSources } from './cluster/node-status.ts';
import { compose } from './compose.ts';
import { descriptorAlarm, descriptorLimit, descriptorsInUse, descriptorWarning } from './descriptors.ts';
import { EventLoopMonitor } from './event-loop.ts';
import { createHandlers } from './handlers.ts';
import { identifierText } from './identity.ts';
import { untouchedView } from './kernel-side.ts';
import type { DaemonLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { MonitorHub } from './monitor.ts';
import { readPasswords } from './passwords.ts';
import { type PasswordKeys, peerOptionsOf } from './peer-options.ts';
import { interfaceWarnings, policyWarnings } from './policy-warnings.ts';
import type { Rooms } from './rooms.ts';
import { followRoutes } from './route-events.ts';
import { afterReload, planReload } from './running.ts';
import { nextHopsStatus, statusOf } from './status.ts';

/** What the daemon is started with. */
export interface DaemonOptions {
	readonly configFile: string;
	readonly config: Config;
	readonly node: string;
	readonly version: string;
	readonly log: DaemonLog;
}

const descriptorCheckMs = 30_000;

/** The running daemon: rooms, control socket, and the configuration that holds. */
export class Daemon {
	readonly #options: DaemonOptions;
	readonly #control: ControlServer;
	readonly #hub = new MonitorHub();
	readonly #eventLoop = new EventLoopMonitor();
	readonly #startedAtMs = Date.now();
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
		this.#control = new ControlServer({
			socket: config.control.socket,
			group: config.control.group,
			metrics: config.metrics.listen,
			log: log.child({ room: 'control' }),
			handlers: createHandlers({
				rooms: () => this.#ready(),
				hub: this.#hub,
				status: () => this.status(),
				config: () => ({ file: options.configFile, loadedAt: this.#loadedAt.toISOString(), config: this.#config }),
				reload: (dryRun) => this.reload(dryRun),
			}),
			renderMetrics: createMetrics({
				version,
				eventLoop: this.#eventLoop,
				peers: () => this.#rooms?.speaker.peers() ?? [],
				rib: () => this.#rooms?.rib.statistics(),
				fib: () => this.#rooms?.kernel?.fib.view(),
				nextHops: () => (this.#rooms?.nextHops === undefined ? undefined : nextHopsStatus(this.#rooms.rib.nextHops())),
				cluster: () => this.#rooms?.cluster,
				reloads: () => this.#reloads,
			}),
		});
	}

	/** Takes the control socket, then starts every room. @throws ConfigError, SocketInUseError, or the system's errors */
	async start(): Promise<void> {
		const { config, configFile, node, log } = this.#options;
		this.#keys = await readPasswords(config, configFile);
		// The socket comes first: a second daemon must not touch sessions or kernel.
		const { leftBehind } = await this.#control.start();
		try {
			const rooms = await compose({ config, configFile, node, keys: this.#keys, log, restarting: leftBehind });
			this.#rooms = rooms;
			rooms.speaker.onEvent(({ type, at, peer, state, reason }) => {
				if (this.#hub.watched('session')) this.#hub.tell({ type: 'session', at, event: type, peer, state, ...(reason === undefined ? {} : { reason }) });
			});
			rooms.cluster?.report(() => this.#nodeStatus(rooms));
			this.#hub.setRouteSource(() => followRoutes(rooms.rib, this.#hub));
		} catch (error) {
			await this.#control.stop();
			throw error;
		}
		for (const warning of this.#warnings()) log.warn(warning);
		this.#alarm = setInterval(() => this.#watchDescriptors(), descriptorCheckMs).unref();
		this.#eventLoop.start();
	}

	/** Ends every session (CEASE 6/2, or silently when neighbours are to bridge a restart); kernel routes stay. */
	async stop(reason: string, graceful: boolean): Promise<void> {
		const rooms = this.#rooms;
		this.#rooms = undefined;
		if (rooms !== undefined) {
			await rooms.cluster?.stop(!graceful);
			// The kernel first: what the ending sessions take from the tables must stay in it.
			await rooms.kernel?.stop();
			await rooms.nextHops?.stop();
			await rooms.speaker.stop({ graceful, reason });
		}
		this.#eventLoop.stop();
		clearInterval(this.#alarm);
		// Whoever is bridged over must find a daemon that says it restarts.
		await this.#control.stop({ leaveBehind: graceful });
	}

	/** Reads the file again and applies what differs. One at a time. @throws ControlError where the file can't be used; what runs stays */
	async reload(dryRun: boolean): Promise<ReloadView> {
		const turn = this.#reloading.then(() => this.#reload(dryRun));
		this.#reloading = turn.catch(() => undefined);
		return turn;
	}

	/** One screen about everything. */
	status(): StatusView {
		const { node, version, configFile } = this.#options;
		return statusOf({
			node,
			version,
			configFile,
			rooms: this.#ready(),
			startedAtMs: this.#startedAtMs,
			nowMs: Date.now(),
			loadedAt: this.#loadedAt.toISOString(),
			lastReloadError: this.#lastReloadError,
			longestBlockSeconds: this.#eventLoop.longestSeconds(),
			warnings: this.#warnings(),
		});
	}

	/** What this node tells of itself in the cluster. */
	#nodeStatus({ speaker, rib, kernel }: Rooms): NodeStatusSources {
		return {
			version: this.#options.version,
			routerId: identifierText(speaker.identity.routerId),
			startedAt: new Date(this.#startedAtMs),
			configuredAt: this.#loadedAt,
			peers: speaker.peers(),
			routes: (family, limit) => rib.routes({ family, limit }),
			fib: kernel?.fib.view() ?? untouchedView,
		};
	}

	async #reload(dryRun: boolean): Promise<ReloadView> {
		const { configFile, log } = this.#options;
		const rooms = this.#ready();
		const before = this.#config;
		const { next, keys } = await this.#load(dryRun);
		const optionsIn = (config: Config, name: string, passwords: PasswordKeys) => {
			const peer = config.bgp?.peers.find((candidate) => candidate.name === name);
			return peer && peerOptionsOf(config, peer, passwords);
		};
		const after = afterReload(before, next);
		const plan = planReload(configFile, dryRun, before, next, (name) => {
			const [was, becomes] = [optionsIn(before, name, this.#keys), optionsIn(after, name, keys)];
			return was === undefined || becomes === undefined ? undefined : describePeerChange(was, becomes);
		});
		if (dryRun) return plan;
		await applyReload(rooms, { before, after, keys, log });
		this.#config = after;
		this.#keys = keys;
		this.#loadedAt = new Date();
		this.#lastReloadError = undefined;
		this.#reloads.done++;
		log.info('configuration reloaded', { file: configFile, changes: plan.changes.length, resets: plan.resets });
		this.#hub.tell({ type: 'config', at: new Date().toISOString(), event: 'reloaded', message: `${plan.changes.length} changes` });
		return plan;
	}

	/** The file as it is now. @throws ControlError with what is wrong with it */
	async #load(dryRun: boolean): Promise<{ readonly next: Config; readonly keys: PasswordKeys }> {
		const { configFile, log } = this.#options;
		try {
			const next = await loadConfig(configFile);
			return { next, keys: await readPasswords(next, configFile) };
		} catch (error) {
			if (!(error instanceof ConfigError)) throw error;
			if (!dryRun) {
				const at = new Date().toISOString();
				this.#reloads.refused++;
				this.#lastReloadError = { at, message: error.message };
				log.error('configuration refused, the running one stays', { file: configFile, problems: error.problems });
				this.#hub.tell({ type: 'config', at, event: 'rejected', message: error.message });
			}
			throw new ControlError(422, 'config-invalid', error.message, 'Nothing was changed: the daemon goes on with the configuration it has.');
		}
	}

	#ready(): Rooms {
		if (this.#rooms === undefined) throw new ControlError(503, 'not-ready', 'the daemon is starting or stopping', 'try again in a second');
		return this.#rooms;
	}

	/** The runtime closes a connection for which no file is left without telling anybody. */
	#watchDescriptors(): void {
		const alarm = descriptorAlarm(descriptorLimit(), descriptorsInUse());
		if (alarm !== undefined && !this.#alarmed) this.#options.log.error(alarm);
		this.#alarmed = alarm !== undefined;
	}

	#warnings(): string[] {
		const { bgp } = this.#config;
		const sessions = (bgp?.peers.length ?? 0) + (bgp?.peerRanges ?? []).reduce((sum, { limit }) => sum + limit, 0);
		const limit = descriptorLimit();
		const { speaker, nextHops } = this.#rooms ?? {};
		const options = (speaker?.peers() ?? []).flatMap(({ name }) => speaker?.peerOptions(name) ?? []);
		return [
			descriptorWarning(limit, sessions),
			descriptorAlarm(limit, descriptorsInUse()),
			...policyWarnings(this.#config),
			...(this.#rooms?.kernel?.fib.staticProblems() ?? []),
			...interfaceWarnings(options, nextHops !== undefined),
		].filter((warning) => warning !== undefined);
	}
}
