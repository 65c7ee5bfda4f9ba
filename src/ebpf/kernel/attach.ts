import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import {
	decodeProgramFilter,
	decodeQdisc,
	encodeClsactAdd,
	encodeClsactRemove,
	encodeFilterDump,
	encodeProgramRemove,
	encodeProgramSet,
	encodeQdiscDump,
	NetlinkError,
	NetlinkSocket,
	SystemCallError,
	type TrafficHook,
} from '../../linux/index.ts';
import { Attributes, bpf, Command, pathBytes, tryBpf } from './call.ts';
import type { Pins } from './pins.ts';
import type { LoadedProgram } from './program.ts';

/** BPF_TCX_INGRESS, BPF_TCX_EGRESS. */
export const attachTypes: Readonly<Record<TrafficHook, number>> = { ingress: 46, egress: 47 };
/** BPF_F_BEFORE, of no program by name: before all. */
const beforeAll = 1 << 3;
/** BPF_F_AFTER and BPF_F_LINK: behind the link whose descriptor follows. */
const afterLink = (1 << 4) | (1 << 13);
export const trafficHooks = ['ingress', 'egress'] as const;

/**
 * The purpose of a set of attachments; each has pins and classifiers of its own, which others leave
 * alone.
 */
export interface Purpose {
	/** Names of pins of links begin with this. */
	readonly pinPrefix: string;
	/** Name of classifiers at clsact. */
	readonly classifier: string;
	/** Place of classifiers among those of others: lower ones see the packet first. */
	readonly priority: Readonly<Record<TrafficHook, number>>;
	/** Where links of TCX stand before those that are there; elsewhere they stand behind. */
	readonly first?: readonly TrafficHook[];
	/** But behind the links of these, where there are such; the last one of them is nearest. */
	readonly behind?: Partial<Readonly<Record<TrafficHook, readonly Purpose[]>>>;
}

/** Policy at the interfaces of pods. */
export const policyPurpose: Purpose = {
	...{ pinPrefix: 'link_', classifier: 'bgpmesh', priority: { ingress: 10, egress: 10 } },
};
/** doNotTrack policy of host endpoints: before all others. */
export const untrackedPurpose: Purpose = {
	...{ pinPrefix: 'raw_link_', classifier: 'bgpmesh-raw', priority: { ingress: 8, egress: 8 } },
	first: ['ingress', 'egress'],
};
/** preDNAT policy of host endpoints: it sees addresses before services are translated. */
export const preDnatPurpose: Purpose = {
	...{ pinPrefix: 'pre_link_', classifier: 'bgpmesh-pre', priority: { ingress: 9, egress: 9 } },
	...{ first: ['ingress'], behind: { ingress: [untrackedPurpose] } },
};
/** Translation of services at interfaces to the outside. */
export const natPurpose: Purpose = {
	...{ pinPrefix: 'nat_link_', classifier: 'bgpmesh-nat', priority: { ingress: 11, egress: 11 } },
	...{ first: ['ingress'], behind: { ingress: [untrackedPurpose, preDnatPurpose] } },
};
/**
 * Policy of host endpoints: it sees the address of the backend, behind translation on the way in,
 * and before it on the way out.
 */
export const hostPurpose: Purpose = {
	...{ pinPrefix: 'host_link_', classifier: 'bgpmesh-host', priority: { ingress: 12, egress: 10 } },
	...{ first: ['egress'], behind: { egress: [untrackedPurpose] } },
};
export const purposes = [policyPurpose, untrackedPurpose, preDnatPurpose, natPurpose, hostPurpose] as const;

/** Where a program is attached. */
export interface AttachPoint {
	readonly interfaceIndex: number;
	readonly interfaceName: string;
	readonly hook: TrafficHook;
}

/**
 * Puts programs at the hooks of interfaces. A program that replaces another does so atomically: no
 * packet passes between.
 */
export interface Attacher {
	readonly kind: 'tcx' | 'clsact';
	/** @throws SystemCallError, NetlinkError (ENODEV: no such interface) */
	set(point: AttachPoint, program: LoadedProgram): Promise<void>;
	/** Nothing there is no error. @throws SystemCallError, NetlinkError */
	remove(point: AttachPoint): Promise<void>;
	/**
	 * Removes what an earlier process left at other points. @throws SystemCallError, NetlinkError,
	 * errors of the file system
	 */
	prune(kept: readonly AttachPoint[]): Promise<void>;
	/** Links without pins are gone afterwards; pinned links and classifiers stay. */
	close(): void;
}

/**
 * TCX where the kernel has it (6.6), else classifiers at clsact. For interfaces of the network
 * namespace that the calling thread is in; `inside` enters it again for later calls. @throws
 * SystemCallError
 */
export function openAttacher(options: AttacherOptions, probe: LoadedProgram): Attacher {
	// Interface 0 does not exist: ENODEV where TCX does, EINVAL where the kernel lacks it.
	const attributes = new Attributes().u32(0, probe.fd).u32(8, attachTypes.ingress);
	const result = tryBpf(Command.linkCreate, attributes, 64);
	return result === -constants.errno.ENODEV ? new TcxAttacher(options) : new ClsactAttacher(options);
}

export interface AttacherOptions {
	/** Links are pinned here and survive the process; without pins they end with it. */
	readonly pins?: Pins;
	/**
	 * Runs synchronous work in the network namespace of the interfaces; by default that of the
	 * thread.
	 */
	readonly inside?: <T>(act: () => T) => T;
	/** By default `policyPurpose`. */
	readonly purpose?: Purpose;
	/** Those of other purposes whose links have no pins, to stand behind them. */
	readonly beside?: readonly Attacher[];
}

/** Links of TCX (kernel 6.6). */
export class TcxAttacher implements Attacher {
	readonly kind = 'tcx';
	readonly #pins: Pins | undefined;
	readonly #inside: <T>(act: () => T) => T;
	readonly #purpose: Purpose;
	readonly #links = new Map<string, number>();
	readonly #beside: readonly Attacher[];

	constructor({ pins, inside = (act) => act(), purpose = policyPurpose, beside = [] }: AttacherOptions = {}) {
		this.#beside = beside;
		this.#pins = pins;
		this.#inside = inside;
		this.#purpose = purpose;
	}

	async set(point: AttachPoint, program: LoadedProgram): Promise<void> {
		const name = linkName(this.#purpose.pinPrefix, point);
		const existing = this.#links.get(name) ?? this.#openPinned(name);
		if (existing !== undefined) {
			const result = tryBpf(Command.linkUpdate, new Attributes().u32(0, existing).u32(4, program.fd), 16);
			if (result >= 0) return;
			// The interface that the link belonged to is gone; another has its name now.
			if (result !== -constants.errno.ENOLINK) throw new SystemCallError(`bpf: update link ${name}`, -result);
			this.#drop(name);
		}
		const attributes = new Attributes().u32(0, program.fd).u32(4, point.interfaceIndex).u32(8, attachTypes[point.hook]);
		const link = this.#create(point, name, attributes);
		try {
			this.#pins?.pin(name, link);
		} catch (error) {
			closeSync(link);
			throw error;
		}
		this.#links.set(name, link);
	}

	/** The place among the programs of the hook stays when others come. */
	#create(point: AttachPoint, name: string, attributes: Attributes): number {
		const { first = [], behind } = this.#purpose;
		const opened: number[] = [];
		try {
			const nearest = [...(behind?.[point.hook] ?? [])].reverse();
			for (const { pinPrefix } of nearest) {
				const other = linkName(pinPrefix, point);
				const own = this.#beside.map((one) => (one instanceof TcxAttacher ? one.#links.get(other) : undefined));
				const fd = own.find((link) => link !== undefined) ?? this.#openPin(other);
				if (fd === undefined) continue;
				if (!own.includes(fd)) opened.push(fd);
				attributes.u32(12, afterLink).u32(16, fd);
				const link = this.#inside(() => tryBpf(Command.linkCreate, attributes, 64));
				if (link >= 0) return link;
				// The other link is detached: its interface went away.
				attributes.u32(12, 0).u32(16, 0);
			}
			if (first.includes(point.hook)) attributes.u32(12, beforeAll);
			return this.#inside(() => bpf(`link ${name}`, Command.linkCreate, attributes, 64));
		} finally {
			for (const fd of opened) closeSync(fd);
		}
	}

	async remove(point: AttachPoint): Promise<void> {
		this.#drop(linkName(this.#purpose.pinPrefix, point));
	}

	async prune(kept: readonly AttachPoint[]): Promise<void> {
		const names = new Set(kept.map((point) => linkName(this.#purpose.pinPrefix, point)));
		for (const name of this.#pins?.names() ?? [])
			if (name.startsWith(this.#purpose.pinPrefix) && !names.has(name)) this.#drop(name);
	}

	close(): void {
		for (const link of this.#links.values()) closeSync(link);
		this.#links.clear();
	}

	#openPinned(name: string): number | undefined {
		const fd = this.#openPin(name);
		if (fd !== undefined) this.#links.set(name, fd);
		return fd;
	}

	#openPin(name: string): number | undefined {
		if (this.#pins === undefined) return undefined;
		const fd = tryBpf(Command.openPin, new Attributes().pointer(0, pathBytes(this.#pins.path(name))), 16);
		return fd < 0 ? undefined : fd;
	}

	#drop(name: string): void {
		const link = this.#links.get(name) ?? this.#openPinned(name);
		if (link !== undefined) detachLink(link);
		this.#pins?.remove(name);
		if (link !== undefined) closeSync(link);
		this.#links.delete(name);
	}
}

/** Pins of links at interfaces; those of programs at sockets begin with `sockets_`. */
const isLink = (name: string): boolean =>
	purposes.some(({ pinPrefix }) => name.startsWith(pinPrefix)) || name.startsWith('sockets_');

/**
 * Takes the program off its hook at once (BPF_LINK_DETACH, kernel 5.9). Without it the program
 * would go on until the last reference to the link is dropped, some moments after the pin is gone.
 */
function detachLink(fd: number): void {
	// A link whose interface is gone is detached already.
	tryBpf(Command.linkDetach, new Attributes().u32(0, fd), 16);
}

/**
 * Detaches the pinned links with these names and removes their pins; gives their names. @throws
 * errors of the file system
 */
export function removePinnedLinks(
	pins: Pins,
	isIncluded: (name: string) => boolean,
	{ dryRun = false } = {},
): string[] {
	const names = pins.names().filter((name) => isLink(name) && isIncluded(name));
	if (dryRun) return names;
	for (const name of names) {
		const fd = tryBpf(Command.openPin, new Attributes().pointer(0, pathBytes(pins.path(name))), 16);
		if (fd >= 0) {
			detachLink(fd);
			closeSync(fd);
		}
		pins.remove(name);
	}
	return names;
}

/**
 * Name of the pin of a link. Dots are not allowed in bpffs; the index distinguishes interfaces of
 * one name.
 */
const linkName = (prefix: string, { interfaceName, interfaceIndex, hook }: AttachPoint): string =>
	`${prefix}${interfaceName.replaceAll('.', '_')}_${interfaceIndex}_${hook}`;

/**
 * Classifiers in direct action at the qdisc clsact (kernel 4.5); they stay when this process ends.
 */
export class ClsactAttacher implements Attacher {
	readonly kind = 'clsact';
	readonly #socket = new NetlinkSocket();
	readonly #purpose: Purpose;

	constructor({ purpose = policyPurpose }: Pick<AttacherOptions, 'purpose'> = {}) {
		this.#purpose = purpose;
	}

	async set({ interfaceIndex, hook }: AttachPoint, program: LoadedProgram): Promise<void> {
		await this.#unless(['EEXIST'], () =>
			this.#socket.request((writer, sequence) => encodeClsactAdd(writer, interfaceIndex, sequence)),
		);
		await this.#socket.request((writer, sequence) =>
			encodeProgramSet(
				writer,
				{ interfaceIndex, hook, priority: this.#purpose.priority[hook] },
				{ fd: program.fd, name: this.#purpose.classifier },
				sequence,
			),
		);
	}

	async remove({ interfaceIndex, hook }: AttachPoint): Promise<void> {
		await this.#unless(['ENOENT', 'EINVAL', 'ENODEV'], () =>
			this.#socket.request((writer, sequence) =>
				encodeProgramRemove(writer, { interfaceIndex, hook, priority: this.#purpose.priority[hook] }, sequence),
			),
		);
	}

	async prune(kept: readonly AttachPoint[]): Promise<void> {
		const points = new Set(kept.map(({ interfaceIndex, hook }) => `${interfaceIndex} ${hook}`));
		for (const found of await this.find())
			if (!points.has(`${found.interfaceIndex} ${found.hook}`)) await this.remove({ ...found, interfaceName: '' });
	}

	/** Hooks of this network namespace that have a classifier of ours. @throws NetlinkError */
	async find(): Promise<Pick<AttachPoint, 'interfaceIndex' | 'hook'>[]> {
		const found: Pick<AttachPoint, 'interfaceIndex' | 'hook'>[] = [];
		for (const interfaceIndex of await this.#interfaces())
			for (const hook of trafficHooks)
				if ((await this.classifiers(interfaceIndex, hook)).includes(this.#purpose.classifier))
					found.push({ interfaceIndex, hook });
		return found;
	}

	/**
	 * Removes all classifiers of ours, and the qdisc clsact where no other classifier is left.
	 * @throws NetlinkError
	 */
	async removeAll(): Promise<void> {
		const interfaces = new Set((await this.find()).map(({ interfaceIndex }) => interfaceIndex));
		await this.prune([]);
		for (const index of interfaces) {
			const left = [...(await this.classifiers(index, 'ingress')), ...(await this.classifiers(index, 'egress'))];
			if (left.length > 0) continue;
			await this.#unless(['ENOENT', 'EINVAL', 'ENODEV'], () =>
				this.#socket.request((writer, sequence) => encodeClsactRemove(writer, index, sequence)),
			);
		}
	}

	close(): void {
		this.#socket.close();
	}

	/** Interfaces that have the qdisc clsact. */
	async #interfaces(): Promise<readonly number[]> {
		let indexes = new Set<number>();
		await this.#socket.dump(
			encodeQdiscDump,
			(message) => {
				const { interfaceIndex, kind } = decodeQdisc(message);
				if (kind === 'clsact') indexes.add(interfaceIndex);
			},
			() => {
				indexes = new Set();
			},
		);
		return [...indexes];
	}

	/** Names of the classifiers at a hook; `''` for one without a name. @throws NetlinkError */
	async classifiers(interfaceIndex: number, hook: TrafficHook): Promise<readonly string[]> {
		let names: string[] = [];
		await this.#unless(['ENODEV', 'EINVAL'], () =>
			this.#socket.dump(
				(writer, sequence) => encodeFilterDump(writer, { interfaceIndex, hook }, sequence),
				(message) => {
					names.push(decodeProgramFilter(message)?.name ?? '');
				},
				() => {
					names = [];
				},
			),
		);
		return names;
	}

	async #unless(codes: readonly string[], act: () => Promise<void>): Promise<void> {
		try {
			await act();
		} catch (error) {
			if (!(error instanceof NetlinkError) || !codes.includes(error.code)) throw error;
		}
	}
}
