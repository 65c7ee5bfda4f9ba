import type { Clock, Logger, Timer } from '../core/index.ts';
import { type InterfaceAddress, interfaceAddresses, type TunnelPool, tunnelMtuBytes } from '../encapsulation/index.ts';
import { DumpInterruptedError, type LinkKernel } from '../linux/index.ts';
import { type DeviceStep, deviceSteps, linkAddress } from './device.ts';

/** The options of the tunnel mesh. */
export interface IpipOptions {
	/** Default `tunl0`, the device that receives packets from every node. */
	readonly device?: string;
	/**
	 * Until `setMtu` is called. Default: the smallest MTU of the interfaces between nodes, less 20.
	 */
	readonly mtuBytes?: number;
	/** Seconds between audits of the device, besides events. Default 60. */
	readonly auditSeconds?: number;
}

export interface IpipDependencies {
	readonly links: LinkKernel;
	readonly clock: Clock;
	readonly log: Logger;
	/** Called with this node's addresses at the start, and when they change. */
	readonly onInterfaces: (interfaces: readonly InterfaceAddress[]) => void;
}

const defaults = { device: 'tunl0', auditSeconds: 60 };
const eventDelayMs = 50;
/** Delay before the interfaces are read again after a read that concurrent changes interrupted. */
const interruptedDelayMs = 1000;
const mostStepsInARow = 10;

/** Keeps the tunnel device in its desired state. */
export class IpipMesh {
	readonly #options: IpipOptions & typeof defaults;
	readonly #dependencies: IpipDependencies;
	#pools: readonly TunnelPool[] = [];
	/** `undefined`: not known yet, so that addresses of an earlier process stay. */
	#addresses: readonly string[] | undefined;
	/** Another program owns the device. */
	#leftAlone = false;
	#mtuBytes: number | undefined;
	#interfaces: readonly InterfaceAddress[] = [];
	#running: Promise<void> | undefined;
	#again = false;
	#complained = '';
	#stopped = false;
	readonly #timers = new Map<'audit' | 'event', Timer>();

	constructor(options: IpipOptions, dependencies: IpipDependencies) {
		this.#options = { ...defaults, ...options };
		this.#mtuBytes = options.mtuBytes;
		this.#dependencies = dependencies;
	}

	/**
	 * Reads the interfaces, sets up the device if needed, and watches. Resolves after the first
	 * pass, successful or not.
	 */
	async start(): Promise<void> {
		this.#dependencies.links.watch(() => this.#lookIn(eventDelayMs));
		this.#armAudit();
		await this.#refresh();
	}

	/** Stops watching. The device stays, so that packets are forwarded until the next start. */
	async stop(): Promise<void> {
		this.#stopped = true;
		for (const timer of this.#timers.values()) timer.cancel();
		await this.#running;
		this.#dependencies.links.close();
	}

	/** All IP pools of the cluster. */
	async setPools(pools: readonly TunnelPool[]): Promise<void> {
		this.#pools = pools;
		await this.#refresh();
	}

	/** The MTU of the device; `undefined`: derived from the interfaces between nodes. */
	async setMtu(mtuBytes: number | undefined): Promise<void> {
		if (mtuBytes === this.#mtuBytes) return;
		this.#mtuBytes = mtuBytes;
		await this.#refresh();
	}

	/** This node's tunnel addresses. */
	async setTunnelAddresses(addresses: readonly string[]): Promise<void> {
		this.#addresses = addresses;
		await this.#refresh();
	}

	/** While another program uses the device, it is not changed. */
	async setLeftAlone(leftAlone: boolean): Promise<void> {
		if (leftAlone === this.#leftAlone) return;
		this.#leftAlone = leftAlone;
		await this.#refresh();
	}

	/** Resolves when no work is in progress. */
	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	get deviceName(): string {
		return this.#options.device;
	}

	/** One of our pools uses a tunnel, so the device must exist. */
	get needed(): boolean {
		return (
			!this.#leftAlone &&
			this.#pools.some(
				({ ipipMode, vxlanMode = 'Never', foreign }) =>
					ipipMode !== 'Never' && vxlanMode === 'Never' && foreign === undefined,
			)
		);
	}

	/**
	 * The reason why the device is not in its desired state, with the kernel's message;
	 * `undefined`: it is.
	 */
	get problem(): string | undefined {
		return this.#complained === '' ? undefined : this.#complained;
	}

	/** This node's addresses as they were last seen. */
	get interfaces(): readonly InterfaceAddress[] {
		return this.#interfaces;
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
					// No error: many pods are created or deleted at once.
					this.#dependencies.log.debug('the interfaces changed while they were read', { reason });
					this.#lookIn(interruptedDelayMs);
					continue;
				}
				// A kernel without ipip does not change; it is checked again at each audit.
				if (reason !== this.#complained)
					this.#dependencies.log.error('the tunnel device is not as it should be', {
						device: this.#options.device,
						reason,
					});
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
			// Without a pool with a tunnel no device is needed; an existing one is left unchanged.
			if (!this.needed) return;
			const link = links.find(({ name }) => name === device);
			const mtuBytes = this.#mtuBytes ?? tunnelMtuBytes(links, addresses);
			const steps = deviceSteps({ name: device, mtuBytes, addresses: this.#addresses }, link, addresses);
			if (steps.length === 0) return;
			for (const step of steps) await this.#carryOut(step, link?.index ?? 0);
			log.info('tunnel device set up', { device, mtuBytes, addresses: this.#addresses });
		}
		throw new Error(`another program keeps changing it: not right after ${mostStepsInARow} attempts`);
	}

	async #carryOut(step: DeviceStep, index: number): Promise<void> {
		const { links } = this.#dependencies;
		switch (step.type) {
			case 'create':
				await links.addLink({ name: this.#options.device, kind: 'ipip' });
				break;
			case 'set': {
				const { mtuBytes, up } = step;
				await links.changeLink({
					index,
					...(mtuBytes === undefined ? {} : { mtuBytes }),
					...(up === undefined ? {} : { up }),
				});
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
		this.#dependencies.onInterfaces(interfaces);
	}

	#armAudit(): void {
		this.#arm('audit', this.#options.auditSeconds * 1000, () => {
			this.#armAudit();
			return this.#refresh();
		});
	}

	/** Earlier changes are covered by the same read. */
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
