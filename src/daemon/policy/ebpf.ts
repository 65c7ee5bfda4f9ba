import {
	type Attacher,
	type BpfMap,
	ClsactAttacher,
	checkRequirements,
	EbpfPolicy,
	findOthers,
	hostLinks,
	hostPurpose,
	isNatPin,
	loadProbe,
	natPurpose,
	openAttacher,
	openPolicyMaps,
	Pins,
	type PolicyMaps,
	policyLayoutVersion,
	preDnatPurpose,
	purposes,
	removePinnedLinks,
	untrackedPurpose,
} from '../../ebpf/index.ts';
import { type Conntrack, Rtnetlink } from '../../linux/index.ts';
import type { NodePolicy } from '../../policy/index.ts';
import { nodeAddresses } from '../addresses.ts';
import type { OutsideServices } from '../services/outside.ts';

/** This machine cannot run the eBPF programs; the message names everything that is missing. */
export class EbpfUnavailableError extends Error {
	override readonly name = 'EbpfUnavailableError';

	constructor(missing: readonly string[]) {
		super(missing.join('; '));
	}
}

/** The programs of this node with the maps that they share. */
export interface OpenedEbpf {
	readonly kernel: EbpfPolicy;
	readonly maps: PolicyMaps;
	readonly attachment: 'tcx' | 'clsact';
	/** `undefined`: programs translate no service. */
	readonly serviceMaps?: () => ReadonlyMap<string, BpfMap> | undefined;
	/** What translates services from outside; `undefined`: nftables. */
	readonly outside?: () =>
		| Pick<
				OutsideServices,
				'interfaces' | 'leftFor' | 'direct' | 'directNodes' | 'directConnections' | 'arrivedConnections'
		  >
		| undefined;
	/** What of nftables translates packets from outside, in words; `undefined`: nothing. */
	readonly translator?: (policy: Pick<NodePolicy, 'hosts' | 'policies'>) => string | undefined;
	/** What others put at one of these interfaces, in words. @throws SystemCallError, NetlinkError */
	readonly others?: (names: ReadonlySet<string>) => Promise<string | undefined>;
	/** Everything stays in the kernel. */
	close(): void;
	/** Removes programs, pins and maps; see `RemoveOptions`. */
	remove(options?: Pick<RemoveOptions, 'keepsTranslation'>): Promise<void>;
}

/**
 * Opens pinned maps, or makes them. `outside`: what translates services from outside; at its
 * interfaces, programs of host endpoints see packets behind that; `undefined`: they may stand at
 * all. @throws EbpfUnavailableError, MapMismatchError, SystemCallError
 */
export function openEbpf(
	pinDirectory: string,
	conntrack: Conntrack,
	outside: () => Pick<OutsideServices, 'interfaces' | 'incoming'> | undefined = () => undefined,
): OpenedEbpf {
	const missing = checkRequirements();
	if (missing.length > 0) throw new EbpfUnavailableError(missing);
	const pins = openPins(pinDirectory);
	const maps = openPolicyMaps(pins);
	const netlink = new Rtnetlink();
	const probe = loadProbe();
	const attacher = openAttacher({ pins }, probe);
	const [hostAttacher, untracked, preDnat] = [hostPurpose, untrackedPurpose, preDnatPurpose].map((purpose) =>
		openAttacher({ pins, purpose }, probe),
	) as [Attacher, Attacher, Attacher];
	probe.close();
	const kernel = new EbpfPolicy({
		maps,
		attacher,
		interfaces: async () => new Map((await netlink.links()).map(({ name, index }) => [name, index])),
		hosts: {
			attacher: hostAttacher,
			early: { untracked, 'pre-dnat': preDnat },
			links: async () =>
				hostLinks(await netlink.links()).filter(({ name }) => outside()?.interfaces.includes(name) ?? true),
			translated: () => outside()?.incoming() ?? [],
		},
		ownAddresses: () => new Set(nodeAddresses().all),
		flows: async () => [...(await conntrack.list('ipv4')), ...(await conntrack.list('ipv6'))],
	});
	const close = () => {
		kernel.close();
		netlink.close();
		for (const map of maps.values()) map.close();
	};
	return {
		kernel,
		maps,
		attachment: attacher.kind,
		async others(names) {
			const links = (await netlink.links()).filter(({ name }) => names.has(name));
			return findOthers(new Map(links.map(({ index, name }) => [index, name])));
		},
		close,
		async remove(options) {
			await kernel.cleanup();
			close();
			await removeEbpf(pinDirectory, options);
		},
	};
}

/**
 * What an earlier process left, nothing of it started anew; `undefined`: nothing, or of another
 * layout. @throws as `openEbpf`
 */
export function adoptEbpf(pinDirectory: string, conntrack: Conntrack): OpenedEbpf | undefined {
	const left = Pins.existing(pinDirectory).find(({ version }) => version === policyLayoutVersion);
	return left === undefined ? undefined : openEbpf(pinDirectory, conntrack);
}

export interface RemoveOptions {
	/** By default false. */
	readonly dryRun?: boolean;
	/**
	 * Programs and maps stay that translate connections from outside, for those that are open. By
	 * default false.
	 */
	readonly keepsTranslation?: boolean;
}

function openPins(directory: string): Pins {
	try {
		return new Pins(directory, policyLayoutVersion);
	} catch (error) {
		throw new EbpfUnavailableError([error instanceof Error ? error.message : String(error)]);
	}
}

/**
 * Removes all that eBPF left in this network namespace and below the directory of pins: links,
 * classifiers, maps. Gives what was there, a line for each; with `dryRun` nothing is removed.
 * @throws Error with the kernel's words
 */
export async function removeEbpf(
	pinDirectory: string,
	{ dryRun = false, keepsTranslation = false }: RemoveOptions = {},
): Promise<readonly string[]> {
	const found: string[] = [];
	for (const pins of Pins.existing(pinDirectory)) {
		const goes = (name: string) => !(keepsTranslation && pins.version === policyLayoutVersion && isNatPin(name));
		const links = removePinnedLinks(pins, goes, { dryRun });
		const maps = pins.names().filter((name) => goes(name) && !links.includes(name));
		found.push(...links.map((name) => `link ${pins.path(name)}`), ...maps.map((name) => `map ${pins.path(name)}`));
		if (!dryRun) pins.removeAll(goes);
	}
	const netlink = new Rtnetlink();
	try {
		const names = new Map((await netlink.links()).map(({ name, index }) => [index, name]));
		for (const purpose of purposes) {
			if (keepsTranslation && purpose === natPurpose) continue;
			const classifiers = new ClsactAttacher({ purpose });
			try {
				const points = await classifiers.find();
				for (const { interfaceIndex, hook } of points)
					found.push(`classifier ${names.get(interfaceIndex) ?? interfaceIndex} ${hook}`);
				if (!dryRun && points.length > 0) await classifiers.removeAll();
			} finally {
				classifiers.close();
			}
		}
	} finally {
		netlink.close();
	}
	return found;
}
