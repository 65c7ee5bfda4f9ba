import { type Clock, type Family, familyOf, KeyedLock, type Logger, parseAddress } from '../core/index.ts';
import { type HostInterface, type PodKernel, RouteTakenError } from './kernel.ts';
import { hostInterfaceName, type PodOwner } from './names.ts';

/** A pod's interface as a container runtime asks for it. */
export interface AttachRequest {
	readonly network: string;
	readonly containerId: string;
	readonly ifname: string;
	readonly pod: { readonly namespace: string; readonly name: string } | undefined;
	/** A path of the pod's network namespace. */
	readonly namespace: string;
	/** At most one of each family. */
	readonly addresses: readonly string[];
	/** `undefined`: what the overlay leaves. */
	readonly mtuBytes: number | undefined;
	/** Six bytes; `undefined`: the kernel chooses. */
	readonly mac: Uint8Array | undefined;
}

/** What was made. */
export interface Attached {
	readonly hostName: string;
	readonly mac: Uint8Array;
	readonly mtuBytes: number;
}

/** A pod's interface that is not as it should be, or could not be made. */
export class PodInterfaceError extends Error {
	override readonly name = 'PodInterfaceError';
	/** What helps. */
	readonly hint: string;

	constructor(message: string, hint: string, options?: ErrorOptions) {
		super(message, options);
		this.hint = hint;
	}
}

export interface PodInterfacesDependencies {
	readonly kernel: PodKernel;
	/** Bytes that the overlay takes of each packet: 0, 20 (IP in IP), 50 or 70 (VXLAN). */
	readonly overheadBytes: () => number;
	readonly clock: Clock;
	readonly log: Logger;
}

type Attachment = Pick<AttachRequest, 'network' | 'containerId' | 'ifname'>;

const familiesOf = (addresses: readonly string[]): readonly Family[] => [
	...new Set(addresses.map((address) => familyOf(parseAddress(address).bytes))),
];

/** Where a node has no default route, the MTU of Ethernet. */
const ethernetMtuBytes = 1500;
/**
 * The uplink's MTU is read again after this time, in milliseconds: it takes a dump of the node's
 * routes.
 */
const uplinkAgeMs = 10_000;

/**
 * Makes, checks and removes the interfaces of the pods of this node. One interface is changed by
 * one call at a time.
 */
export class PodInterfaces {
	readonly #dependencies: PodInterfacesDependencies;
	/** An old and a new container of one pod share the name of the interface on the node. */
	readonly #lock = new KeyedLock();
	#uplink: { readonly mtuBytes: Promise<number | undefined>; readonly atMs: number } | undefined;

	constructor(dependencies: PodInterfacesDependencies) {
		this.#dependencies = dependencies;
	}

	/**
	 * Makes a pod's interface and its routes; one of an earlier container of the same pod is
	 * replaced. Removes what it made where it fails. @throws PodInterfaceError
	 */
	attach(request: AttachRequest): Promise<Attached> {
		const { network, containerId, ifname, pod, addresses } = request;
		const hostName = hostInterfaceName(pod, containerId, ifname);
		const owner: PodOwner = { network, containerId, ifname, addresses };
		return this.#lock.run(hostName, async () => {
			const { kernel, log } = this.#dependencies;
			const old = await kernel.find(hostName);
			if (old !== undefined) {
				log.info('interface of an earlier container replaced', { interface: hostName, owner: old.owner });
				await kernel.remove(old.index);
			}
			try {
				const { index, mac, mtuBytes } = await kernel.create({
					...{ hostName, owner, namespace: request.namespace, mac: request.mac },
					mtuBytes: request.mtuBytes ?? (await this.mtuBytes()),
					families: familiesOf(addresses),
				});
				await kernel.addRoutes(addresses, index);
				log.info('interface of a pod made', { interface: hostName, container: containerId, addresses });
				return { hostName, mac, mtuBytes };
			} catch (error) {
				const left = await kernel.find(hostName);
				if (left !== undefined) await kernel.remove(left.index);
				throw await this.#explained(error, hostName);
			}
		});
	}

	/**
	 * Removes the interface of a container. One that is gone, and one that another container has
	 * under the same name by now, is left alone: a runtime may delete an old container after it has
	 * started the new one.
	 */
	async detach(attachment: Attachment): Promise<void> {
		const { kernel, log } = this.#dependencies;
		for (const { name } of (await kernel.interfaces()).filter(({ owner }) => isOf(owner, attachment)))
			await this.#lock.run(name, async () => {
				const current = (await kernel.interfaces()).find((link) => link.name === name && isOf(link.owner, attachment));
				if (current === undefined) return;
				await kernel.remove(current.index);
				log.info('interface of a pod removed', { interface: name, container: attachment.containerId });
			});
	}

	/** @throws PodInterfaceError where something of what ADD made is missing or is different */
	async check(attachment: Attachment, namespace: string, addresses: readonly string[]): Promise<void> {
		const { kernel } = this.#dependencies;
		const wrong = (message: string): never => {
			throw new PodInterfaceError(message, 'delete the pod: its controller makes it anew');
		};
		const link =
			(await kernel.interfaces()).find(({ owner }) => isOf(owner, attachment)) ??
			wrong(`container ${attachment.containerId} has no interface on the node`);
		if (!link.up) wrong(`${link.name} is down`);
		const routed = new Set(await kernel.routedAddresses(link.index));
		for (const address of addresses)
			if (!routed.has(address)) wrong(`the node has no route to ${address} through ${link.name}`);
		const end = (await kernel.inspect(namespace, attachment.ifname)) ?? wrong(`the pod has no ${attachment.ifname}`);
		for (const address of addresses)
			if (!end.addresses.includes(address)) wrong(`${attachment.ifname} of the pod does not have ${address}`);
		for (const family of familiesOf(addresses))
			if (!end.defaultRoutes.includes(family)) wrong(`the pod has no default route for ${family}`);
	}

	/**
	 * Removes the interfaces of a network that no attachment of `valid` has (CNI GC). Gives their
	 * names.
	 */
	async collect(
		network: string,
		valid: readonly { readonly containerId: string; readonly ifname: string }[],
	): Promise<readonly string[]> {
		const { kernel } = this.#dependencies;
		const kept = new Set(valid.map(({ containerId, ifname }) => `${containerId} ${ifname}`));
		const gone = (await kernel.interfaces()).filter(
			({ owner }) => owner?.network === network && !kept.has(`${owner.containerId} ${owner.ifname}`),
		);
		for (const { owner } of gone) if (owner !== undefined) await this.detach(owner);
		return gone.map(({ name }) => name);
	}

	/**
	 * Reads back what is there after a restart, and mends settings and routes that are missing.
	 * Failures are logged, one by one.
	 */
	async repair(): Promise<readonly HostInterface[]> {
		const { kernel, log } = this.#dependencies;
		const all = await kernel.interfaces();
		for (const { name, index, owner } of all) {
			if (owner === undefined) continue;
			try {
				await kernel.restore(name, index, familiesOf(owner.addresses));
				const routed = new Set(await kernel.routedAddresses(index));
				for (const address of owner.addresses) {
					if (routed.has(address)) continue;
					await kernel.addRoutes([address], index);
					log.warn('route of a pod was missing and is back', { interface: name, address });
				}
			} catch (error) {
				log.error('interface of a pod is not as it should be', {
					interface: name,
					error: error instanceof Error ? error.message : String(error),
				});
			}
		}
		return all;
	}

	/** The MTU of a pod's interface: that of the node's uplink, less what the overlay takes. */
	async mtuBytes(): Promise<number> {
		const { kernel, overheadBytes, clock } = this.#dependencies;
		const nowMs = clock.monotonicMs();
		if (this.#uplink === undefined || nowMs - this.#uplink.atMs > uplinkAgeMs) {
			const mtuBytes = kernel.uplinkMtuBytes();
			const uplink = { mtuBytes, atMs: nowMs };
			this.#uplink = uplink;
			// A failed read is not kept.
			mtuBytes.catch(() => {
				if (this.#uplink === uplink) this.#uplink = undefined;
			});
		}
		return ((await this.#uplink.mtuBytes) ?? ethernetMtuBytes) - overheadBytes();
	}

	/** The kernel's refusal with what helps. */
	async #explained(error: unknown, hostName: string): Promise<PodInterfaceError> {
		const message = error instanceof Error ? error.message : String(error);
		if (!(error instanceof RouteTakenError))
			return new PodInterfaceError(`interface ${hostName}: ${message}`, 'the log of bgpmeshd has more', {
				cause: error,
			});
		const holder = (await this.#dependencies.kernel.interfaces()).find(({ index }) => index === error.index);
		return new PodInterfaceError(
			`the route of ${error.address} leads through ${holder?.name ?? `interface ${error.index ?? 'unknown'}`}`,
			holder?.owner === undefined
				? 'another program made that interface: remove it, or the route'
				: `container ${holder.owner.containerId} still has the address`,
			{ cause: error },
		);
	}
}

const isOf = (owner: PodOwner | undefined, { network, containerId, ifname }: Attachment): boolean =>
	owner?.network === network && owner.containerId === containerId && owner.ifname === ifname;
