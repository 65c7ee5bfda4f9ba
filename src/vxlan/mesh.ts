import type { Clock, Family, Logger, PlaneFailure, Timer } from '../core/index.ts';
import { tunnelMtuBytes, tunnelOverheadBytes } from '../encapsulation/index.ts';
import { DumpInterruptedError, type Link, type LinkAddress, type Neighbour, NetlinkError } from '../linux/index.ts';
import { deviceSteps, type VxlanDevice, type VxlanStep } from './device.ts';
import { diffEntries, entryKey, type RemoteEnd, remoteEntries } from './entries.ts';
import type { VxlanKernel } from './kernel.ts';
import { type LocalEnd, vxlanDeviceNames } from './types.ts';

export interface VxlanOptions {
	/** Names of the devices. Default `vxlanDeviceNames`. */
	readonly names?: Readonly<Record<Family, string>>;
	/** Between looks at devices and entries, besides events. Default 60. */
	readonly auditSeconds?: number;
	/**
	 * How long a device stays after the last pool that needs it is gone: other nodes may still send
	 * to it. Default 60.
	 */
	readonly lingerSeconds?: number;
	/**
	 * How long packets keep the old address of this node as their source after a change, while the
	 * node has both: the other nodes accept those of the new one by then. Default 3.
	 */
	readonly moveDelaySeconds?: number;
}

/** Everything that devices and entries follow from. */
export interface VxlanState {
	readonly vni: number;
	readonly port: number;
	/** By family; `undefined`: what the host's interfaces allow, less the overhead. */
	readonly mtuBytes: Readonly<Partial<Record<Family, number>>>;
	/** This node's ends; a family without one has no device. */
	readonly local: Readonly<Partial<Record<Family, LocalEnd>>>;
	/** Families that a pool needs. */
	readonly families: readonly Family[];
	readonly remotes: readonly RemoteEnd[];
	/** Another program owns the devices: they are not touched. */
	readonly leftAlone: boolean;
}

export interface VxlanDependencies {
	readonly kernel: VxlanKernel;
	readonly clock: Clock;
	readonly log: Logger;
}

/** What one family's device holds, as far as it is known. */
interface Held {
	index: number | undefined;
	entries: Map<string, Neighbour>;
	/** Entries are read from the kernel again before the next difference. */
	stale: boolean;
	readonly failures: Map<string, string>;
	/** Since when no pool needs the device, monotonic milliseconds. */
	idleSinceMs: number | undefined;
	/** When the device takes over the node's new address, monotonic milliseconds. */
	moveDueMs: number | undefined;
}

const defaults = { names: vxlanDeviceNames, auditSeconds: 60, lingerSeconds: 60, moveDelaySeconds: 3 };
const eventDelayMs = 50;
const retryDelayMs = 1000;
const mostStepsInARow = 10;
const allFamilies: readonly Family[] = ['ipv4', 'ipv6'];
const overheads: Readonly<Record<Family, number>> = {
	ipv4: tunnelOverheadBytes.vxlan,
	ipv6: tunnelOverheadBytes.vxlanIpv6,
};

/** Keeps the VXLAN devices and their entries as they should be. */
export class VxlanMesh {
	readonly #options: VxlanOptions & typeof defaults;
	readonly #dependencies: VxlanDependencies;
	readonly #held: Readonly<Record<Family, Held>> = { ipv4: newHeld(), ipv6: newHeld() };
	#state: VxlanState | undefined;
	#running: Promise<void> | undefined;
	#again = false;
	#links: { readonly links: readonly Link[]; readonly addresses: readonly LinkAddress[] } | undefined;
	#stopped = false;
	readonly #timers = new Map<'audit' | 'event' | 'retry' | 'move', Timer>();

	constructor(options: VxlanOptions, dependencies: VxlanDependencies) {
		this.#options = { ...defaults, ...options };
		this.#dependencies = dependencies;
	}

	/** Watches interfaces; the first pass follows the first state. */
	start(): void {
		this.#dependencies.kernel.watch(() => {
			this.#links = undefined;
			this.#later('event', eventDelayMs);
		});
		this.#armAudit();
	}

	/** Takes over the desired state; only what differs is written. */
	apply(state: VxlanState): void {
		this.#state = state;
		void this.#refresh();
	}

	/** Stops watching. Devices and entries stay, so that packets flow until the next start. */
	async stop(): Promise<void> {
		this.#stopped = true;
		for (const timer of this.#timers.values()) timer.cancel();
		await this.#running;
		this.#dependencies.kernel.close();
	}

	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	/** Numbers of objects (devices and entries), and what the kernel refused. */
	counts(): { readonly desired: number; readonly installed: number; readonly failures: readonly PlaneFailure[] } {
		let desired = 0;
		let installed = 0;
		const failures: PlaneFailure[] = [];
		for (const family of allFamilies) {
			if (!this.#isNeeded(family)) continue;
			const held = this.#held[family];
			const wanted = remoteEntries(this.#state?.remotes ?? [], family, held.index ?? 0);
			desired += 1 + wanted.size;
			const differing = diffEntries(wanted, held.entries).filter(({ verb }) => verb === 'set').length;
			if (held.index !== undefined) installed += 1 + wanted.size - differing;
			for (const [subject, reason] of held.failures)
				failures.push({
					subject,
					reason,
					...(subject === this.#options.names[family] ? { kind: 'device' as const } : {}),
				});
		}
		return { desired, installed, failures };
	}

	/** Devices that a pool needs and that stand. */
	get devices(): readonly string[] {
		return allFamilies
			.filter((family) => this.#isNeeded(family) && this.#held[family].index !== undefined)
			.map((family) => this.#options.names[family]);
	}

	#isNeeded(family: Family): boolean {
		const state = this.#state;
		return (
			state !== undefined && !state.leftAlone && state.families.includes(family) && state.local[family] !== undefined
		);
	}

	/** One pass over devices and entries; what comes meanwhile makes another. */
	#refresh(): Promise<void> {
		if (this.#stopped) return Promise.resolve();
		this.#again = true;
		this.#running ??= this.#runWhileAsked().finally(() => {
			this.#running = undefined;
		});
		return this.#running;
	}

	async #runWhileAsked(): Promise<void> {
		// States of one turn are carried out together.
		await new Promise((resolve) => setImmediate(resolve));
		while (this.#again && !this.#stopped) {
			this.#again = false;
			for (const family of allFamilies) await this.#guarded(family);
		}
	}

	async #guarded(family: Family): Promise<void> {
		const held = this.#held[family];
		const device = this.#options.names[family];
		try {
			if (this.#isNeeded(family)) await this.#keep(family, held);
			else await this.#letGo(family, held);
		} catch (error) {
			this.#links = undefined;
			held.stale = true;
			this.#later('retry', retryDelayMs);
			const reason = error instanceof Error ? error.message : String(error);
			// Many interfaces come or go at once: the next pass reads them.
			if (error instanceof DumpInterruptedError) return;
			if (held.failures.get(device) !== reason)
				this.#dependencies.log.error('VXLAN device is not as it should be', { device, reason });
			held.failures.set(device, reason);
		}
	}

	/** Device first, then entries: they are keyed by its index and vanish with it. */
	async #keep(family: Family, held: Held): Promise<void> {
		const { log } = this.#dependencies;
		held.idleSinceMs = undefined;
		const device = this.#options.names[family];
		for (let round = 0; ; round++) {
			if (round === mostStepsInARow)
				throw new Error(`not right after ${mostStepsInARow} attempts: another program changes it`);
			const { links, addresses } = await this.#look();
			const wanted = this.#wantedDevice(family, links, addresses);
			if (wanted === undefined) return;
			const steps = this.#due(deviceSteps(wanted, links, addresses), held);
			const link = links.find(({ name }) => name === device);
			if (steps.length === 0) {
				if (link?.index !== held.index) held.stale = true;
				held.index = link?.index;
				break;
			}
			for (const step of steps) {
				await this.#carryOut(step);
				// A new MAC address removes the neighbours of the device.
				held.stale ||= step.type === 'change';
			}
			this.#links = undefined;
			log.info('VXLAN device set up', { device, mtuBytes: wanted.mtuBytes, address: wanted.local.tunnelAddress });
		}
		held.failures.delete(device);
		await this.#keepEntries(family, held);
	}

	/** Without a change that may wait, until its time has come. */
	#due(steps: readonly VxlanStep[], held: Held): readonly VxlanStep[] {
		const waits = steps.some((step) => step.type === 'change' && step.mayWait);
		if (!waits) {
			held.moveDueMs = undefined;
			return steps;
		}
		const nowMs = this.#dependencies.clock.monotonicMs();
		held.moveDueMs ??= nowMs + this.#options.moveDelaySeconds * 1000;
		if (held.moveDueMs <= nowMs) return steps;
		this.#later('move', held.moveDueMs - nowMs);
		return steps.filter(({ type }) => type !== 'change');
	}

	async #keepEntries(family: Family, held: Held): Promise<void> {
		const { kernel, log } = this.#dependencies;
		const { index } = held;
		const state = this.#state;
		if (index === undefined || state === undefined) return;
		if (held.stale) {
			held.entries = await this.#readEntries(family, index);
			held.stale = false;
		}
		const changes = diffEntries(remoteEntries(state.remotes, family, index), held.entries);
		if (changes.length === 0) return;
		const refused = await kernel.changeNeighbours(changes);
		for (const [position, { key, verb, neighbour }] of changes.entries()) {
			const error = refused.get(position);
			if (error !== undefined) {
				if (held.failures.get(key) !== error.message)
					log.warn('VXLAN entry refused', { device: this.#options.names[family], entry: key, reason: error.message });
				held.failures.set(key, error.message);
				continue;
			}
			held.failures.delete(key);
			if (verb === 'set') held.entries.set(key, neighbour);
			else held.entries.delete(key);
		}
		log.debug('VXLAN entries changed', {
			device: this.#options.names[family],
			changes: changes.length,
			refused: refused.size,
		});
		if (refused.size > 0) {
			held.stale = true;
			this.#later('retry', retryDelayMs);
		}
	}

	async #readEntries(family: Family, index: number): Promise<Map<string, Neighbour>> {
		const { kernel } = this.#dependencies;
		const both = [...(await kernel.neighbours('forwarding', index)), ...(await kernel.neighbours(family, index))];
		// The device's own entries, such as those of multicast groups, have addresses outside of
		// unicast.
		return new Map(both.filter(isUnicast).map((entry) => [entryKey(entry), entry]));
	}

	/** A device that no pool needs any more is removed after a while. */
	async #letGo(family: Family, held: Held): Promise<void> {
		const { kernel, clock, log } = this.#dependencies;
		const state = this.#state;
		// What an earlier process left stays while the own end of the family is not known.
		if (state === undefined || state.leftAlone || state.families.includes(family)) return;
		const name = this.#options.names[family];
		const link = (await this.#look()).links.find((candidate) => candidate.name === name);
		if (link === undefined) {
			held.index = undefined;
			held.idleSinceMs = undefined;
			return;
		}
		const nowMs = clock.monotonicMs();
		held.idleSinceMs ??= nowMs;
		const leftMs = held.idleSinceMs + this.#options.lingerSeconds * 1000 - nowMs;
		if (leftMs > 0) {
			this.#later('retry', leftMs);
			return;
		}
		await kernel.removeLink(link.index);
		this.#links = undefined;
		Object.assign(held, newHeld());
		log.info('VXLAN device removed: no pool needs it', { device: name });
	}

	async #look() {
		this.#links ??= {
			links: await this.#dependencies.kernel.links(),
			addresses: await this.#dependencies.kernel.addresses(),
		};
		return this.#links;
	}

	#wantedDevice(family: Family, links: readonly Link[], addresses: readonly LinkAddress[]): VxlanDevice | undefined {
		const state = this.#state;
		const local = state?.local[family];
		if (state === undefined || local === undefined) return undefined;
		const { vni, port } = state;
		const mtuBytes = state.mtuBytes[family] ?? tunnelMtuBytes(links, addresses, overheads[family]);
		return { name: this.#options.names[family], family, vni, port, mtuBytes, local };
	}

	async #carryOut(step: VxlanStep): Promise<void> {
		const { kernel, log } = this.#dependencies;
		switch (step.type) {
			case 'wait':
				throw new Error(step.why);
			case 'remove':
				log.warn('VXLAN device is made anew', { reason: step.why });
				await kernel.removeLink(step.index);
				break;
			case 'create':
				await kernel.addVxlan(step.device);
				break;
			case 'change':
				await this.#change(step);
				break;
			case 'set': {
				const { type: _, ...change } = step;
				await kernel.changeLink(change);
				break;
			}
			case 'address':
				await kernel.changeAddress(step.verb, step.address);
				break;
			default:
				step satisfies never;
		}
	}

	/** Changes the device in place, and makes it anew where the kernel refuses that. */
	async #change({ change, why, instead }: VxlanStep & { readonly type: 'change' }): Promise<void> {
		const { kernel, log } = this.#dependencies;
		try {
			await kernel.changeVxlan(change);
			log.info('VXLAN device changed in place', { reason: why });
		} catch (error) {
			if (!(error instanceof NetlinkError)) throw error;
			log.warn('VXLAN device is made anew', { reason: why, refused: error.message });
			await kernel.removeLink(change.index);
			await kernel.addVxlan(instead);
		}
	}

	#armAudit(): void {
		const timer = this.#dependencies.clock.after(this.#options.auditSeconds * 1000, () => {
			this.#armAudit();
			this.#links = undefined;
			for (const family of allFamilies) this.#held[family].stale = true;
			void this.#refresh();
		});
		this.#timers.set('audit', timer);
	}

	/** Events that come before are seen by the same pass. */
	#later(name: 'event' | 'retry' | 'move', delayMs: number): void {
		if (this.#timers.has(name) || this.#stopped) return;
		const timer = this.#dependencies.clock.after(delayMs, () => {
			this.#timers.delete(name);
			void this.#refresh();
		});
		this.#timers.set(name, timer);
	}
}

const newHeld = (): Held => ({
	index: undefined,
	entries: new Map(),
	stale: true,
	failures: new Map(),
	idleSinceMs: undefined,
	moveDueMs: undefined,
});

/** A MAC address with the group bit, or a multicast neighbour, belongs to the kernel. */
function isUnicast({ mac, table, address }: Neighbour): boolean {
	if (((mac[0] ?? 0) & 1) === 1) return false;
	return table !== 'ipv6' || address[0] !== 0xff;
}
