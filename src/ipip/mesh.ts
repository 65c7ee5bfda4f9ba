import type { Clock, Encapsulate, Logger, Random, Timer } from '../core/index.ts';
import { DumpInterruptedError } from '../linux/index.ts';
import { type DeviceStep, deviceSteps, linkAddress, tunnelMtuBytes } from './device.ts';
import { encapsulation } from './encapsulation.ts';
import { interfaceAddresses, type LinkKernel } from './links.ts';
import { type LoadRules, RuleKeeper } from './nftables.ts';
import { guardRules, natRules, noGuardRules } from './rules.ts';
import type { InterfaceAddress, TunnelPool } from './types.ts';

/** What the mesh of tunnels is to be. */
export interface IpipOptions {
	/** Default `tunl0`, the device that takes packets from every node. */
	readonly device?: string;
	/** Default: 20 less than the least of the interfaces between nodes. */
	readonly mtuBytes?: number;
	/** Take tunnelled packets from known nodes alone. Default `true`. */
	readonly guard?: boolean;
	/** Between looks at the device, besides events. Default 60. */
	readonly auditSeconds?: number;
}

export interface IpipDependencies {
	readonly links: LinkKernel;
	/** Default: `nft -f -`. */
	readonly loadRules: LoadRules;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
	/** How packets leave from now on: called at the start and whenever pools or own addresses change. */
	readonly onEncapsulate: (encapsulate: Encapsulate) => void;
}

const defaults = { device: 'tunl0', guard: true, auditSeconds: 60 };
const eventDelayMs = 50;
/** Until the interfaces are read again that changed faster than they could be read. */
const interruptedDelayMs = 1000;
const mostStepsInARow = 10;

/** Keeps the tunnel device, its guard and the masquerade as they should be. */
export class IpipMesh {
	readonly #options: IpipOptions & typeof defaults;
	readonly #dependencies: IpipDependencies;
	readonly #guard: RuleKeeper;
	readonly #nat: RuleKeeper;
	#pools: readonly TunnelPool[] = [];
	/** `undefined`: not told yet, so that what a former life left stays. */
	#addresses: readonly string[] | undefined;
	/** Somebody else has the device. */
	#leftAlone = false;
	#interfaces: readonly InterfaceAddress[] = [];
	#running: Promise<void> | undefined;
	#again = false;
	#complained = '';
	#stopped = false;
	readonly #timers = new Map<'audit' | 'event', Timer>();

	constructor(options: IpipOptions, dependencies: IpipDependencies) {
		this.#options = { ...defaults, ...options };
		this.#dependencies = dependencies;
		const { loadRules: load, clock, random, log } = dependencies;
		this.#guard = new RuleKeeper('guard', { load, clock, random, log });
		this.#nat = new RuleKeeper('nat', { load, clock, random, log });
	}

	/** Looks at the interfaces, sets up what is needed, and watches. Resolves after the first pass, however it went. */
	async start(): Promise<void> {
		this.#dependencies.links.watch(() => this.#lookIn(eventDelayMs));
		if (!this.#options.guard) this.#guard.set(noGuardRules, false);
		this.#armAudit();
		await this.#refresh();
	}

	/** Stops watching. Device and rules stay, so that packets flow until the next start. */
	async stop(): Promise<void> {
		this.#stopped = true;
		for (const timer of this.#timers.values()) timer.cancel();
		await Promise.all([this.#running, this.#guard.stop(), this.#nat.stop()]);
		this.#dependencies.links.close();
	}

	/** The IP pools of the cluster, all of them. */
	async setPools(pools: readonly TunnelPool[]): Promise<void> {
		this.#pools = pools;
		this.#nat.set(
			natRules(pools),
			pools.some(({ natOutgoing }) => natOutgoing),
		);
		this.#tellEncapsulation();
		await this.#refresh();
	}

	/** This node's tunnel addresses. */
	async setTunnelAddresses(addresses: readonly string[]): Promise<void> {
		this.#addresses = addresses;
		await this.#refresh();
	}

	/** While somebody else uses the device, it is not touched. */
	async setLeftAlone(leftAlone: boolean): Promise<void> {
		if (leftAlone === this.#leftAlone) return;
		this.#leftAlone = leftAlone;
		await this.#refresh();
	}

	/** The nodes that tunnelled packets may come from. */
	setTunnelEnds(addresses: ReadonlySet<string>): void {
		if (this.#options.guard) this.#guard.set(guardRules(addresses));
	}

	/** Resolves when nothing is under way. */
	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
		await this.#guard.whenIdle();
		await this.#nat.whenIdle();
	}

	/** This node's addresses as they were last seen. */
	get interfaces(): readonly InterfaceAddress[] {
		return this.#interfaces;
	}

	#tellEncapsulation(): void {
		const { device } = this.#options;
		this.#dependencies.onEncapsulate(encapsulation({ interfaces: this.#interfaces, pools: this.#pools, tunnelDevice: device }));
	}

	/** One look at the kernel; what comes meanwhile makes another. */
	#refresh(): Promise<void> {
		if (this.#stopped) return Promise.resolve();
		this.#again = true;
		this.#running ??= this.#lookWhileAsked().finally(() => {
			this.#running = undefined;
		});
		return this.#running;
	}

	async #lookWhileAsked(): Promise<void> {
		while (this.#again && !this.#stopped) {
			this.#again = false;
			try {
				await this.#look();
				this.#complained = '';
			} catch (error) {
				const reason = error instanceof Error ? error.message : String(error);
				if (error instanceof DumpInterruptedError) {
					// Nothing is wrong: many pods come or go at once.
					this.#dependencies.log.debug('the interfaces changed while they were read', { reason });
					this.#lookIn(interruptedDelayMs);
					continue;
				}
				// A kernel without ipip stays so; it is asked again at each audit.
				if (reason !== this.#complained) this.#dependencies.log.error('the tunnel device is not as it should be', { device: this.#options.device, reason });
				this.#complained = reason;
			}
		}
	}

	async #look(): Promise<void> {
		const { links: kernel, log } = this.#dependencies;
		const { device } = this.#options;
		for (let round = 0; round < mostStepsInARow; round++) {
			const [links, addresses] = [await kernel.links(), await kernel.addresses()];
			this.#learnInterfaces(interfaceAddresses(links, addresses));
			// Without a pool that tunnels there is no need of a device; one that is there is left alone.
			if (this.#leftAlone || this.#pools.every(({ ipipMode, foreign }) => ipipMode === 'Never' || foreign !== undefined)) return;
			const link = links.find(({ name }) => name === device);
			const mtuBytes = this.#options.mtuBytes ?? tunnelMtuBytes(links, addresses);
			const steps = deviceSteps({ name: device, mtuBytes, addresses: this.#addresses }, link, addresses);
			if (steps.length === 0) return;
			for (const step of steps) await this.#carryOut(step, link?.index ?? 0);
			log.info('tunnel device set up', { device, mtuBytes, addresses: this.#addresses });
		}
		throw new Error(`somebody else keeps changing it: not right after ${mostStepsInARow} attempts`);
	}

	async #carryOut(step: DeviceStep, index: number): Promise<void> {
		const { links } = this.#dependencies;
		switch (step.type) {
			case 'create':
				await links.addLink({ name: this.#options.device, kind: 'ipip' });
				break;
			case 'set': {
				const { mtuBytes, up } = step;
				await links.changeLink({ index, ...(mtuBytes === undefined ? {} : { mtuBytes }), ...(up === undefined ? {} : { up }) });
				break;
			}
			case 'address':
				await links.changeAddress(step.verb, linkAddress(index, step.address, step.length));
				break;
			default:
				step satisfies never;
		}
	}

	#learnInterfaces(interfaces: readonly InterfaceAddress[]): void {
		const text = (each: readonly InterfaceAddress[]) => JSON.stringify(each);
		if (text(interfaces) === text(this.#interfaces)) return;
		this.#interfaces = interfaces;
		this.#tellEncapsulation();
	}

	#armAudit(): void {
		this.#arm('audit', this.#options.auditSeconds * 1000, () => {
			this.#armAudit();
			return this.#refresh();
		});
	}

	/** Changes that come before are seen by the same look. */
	#lookIn(delayMs: number): void {
		if (!this.#timers.has('event')) this.#arm('event', delayMs, () => this.#refresh());
	}

	#arm(name: 'audit' | 'event', delayMs: number, callback: () => Promise<void>): void {
		const timer = this.#dependencies.clock.after(delayMs, () => {
			this.#timers.delete(name);
			void callback();
		});
		this.#timers.set(name, timer);
	}
}
